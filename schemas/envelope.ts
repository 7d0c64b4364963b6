/**
 * What clients send and get: the request's envelope and the reply (claim 23). Parsed once, at
 * the edge. The body is the application's own schema and is checked there.
 */
import * as z from "zod";
import { ErrorCodeSchema } from "./errors.ts";

/** Longest client name or request id, in UTF-16 units; both are kept for as long as the reply is remembered. */
export const maxNameLength = 128;

/** Control characters separate keys inside; a lone surrogate has no UTF-8. */
function isClean(text: string): boolean {
  for (let at = 0; at < text.length; at += 1) {
    const unit = text.charCodeAt(at);
    if (unit < 0x20 || unit === 0x7f) return false;
  }
  return !/\p{Surrogate}/u.test(text);
}

const Name = z
  .string()
  .min(1)
  .max(maxNameLength)
  .refine(isClean, "control characters and lone surrogates are not allowed");

/** `issuedAt`: the client's clock, ms since 1970, used only to tell an old request from a new one (rule 12). */
export const Envelope = z.strictObject({
  client: Name,
  id: Name,
  body: z.unknown().refine((body) => body !== undefined, "a body is required"),
  after: Name.optional(),
  issuedAt: z.number().int().nonnegative().max(Number.MAX_SAFE_INTEGER).optional(),
  resend: z.boolean().optional(),
});
export type Envelope = z.infer<typeof Envelope>;

/** How the refusal of a request begins that went to another partition key than its body's, which follows. */
export const keyIsOther = "the subject's key must be the body's: ";

/**
 * With a refusal that is for the request's stamp: what the service's clock says, and which `issuedAt` it would take from this
 * client now: later than `after`, at most `until`. None, where `until` is not later.
 */
export const StampRange = z.object({ now: z.number(), after: z.number(), until: z.number() });
export type StampRange = z.infer<typeof StampRange>;

export const ReplyError = z.object({
  code: ErrorCodeSchema,
  message: z.string(),
  /** `false`: this copy of the request was certainly not executed. An earlier copy of the same id may have been (rule 5). */
  executed: z.boolean(),
  stamps: StampRange.optional(),
});

export const Reply = z.discriminatedUnion("ok", [
  z.object({
    client: z.string(),
    id: z.string(),
    ok: z.literal(true),
    result: z.unknown(),
    sequence: z.number().int(),
    epoch: z.number().int(),
  }),
  z.object({
    client: z.string(),
    id: z.string(),
    ok: z.literal(false),
    error: ReplyError,
    sequence: z.number().int().optional(),
    epoch: z.number().int().optional(),
  }),
]);
export type Reply = z.infer<typeof Reply>;

/** Headers of replies and results. */
export const headers = {
  duplicate: "Twinlog-Duplicate",
  history: "Twinlog-History",
  epoch: "Twinlog-Epoch",
  sequence: "Twinlog-Sequence",
  result: "Twinlog-Result",
  messageId: "Nats-Msg-Id",
  /**
   * On a small message that stands in for one that the broker does not take (pieces.ts): never a result and never the reply.
   * Its value is the result number, or 1 where it stands in for a reply.
   */
  omitted: "Twinlog-Omitted",
} as const;

/** Headers of the reply to a duplicate; its bytes are those of the first. */
export const duplicateHeaders: Readonly<Record<string, string>> = { [headers.duplicate]: "1" };

/** A query: a read of committed state, never logged. Its body is the application's. */
export const QueryEnvelope = z.strictObject({ client: Name, id: Name, body: z.unknown() });
export type QueryEnvelope = z.infer<typeof QueryEnvelope>;

/** `replay`: results again, from a result number of one history (the current one if none is named). */
export const ReplayRequest = z.strictObject({
  from: z.number().int().min(1),
  history: z.string().optional(),
  limit: z.number().int().min(1).optional(),
});
export type ReplayRequest = z.infer<typeof ReplayRequest>;

/** `<service>.signal`: a server has gone hot (claim 34). */
export const ReadySignal = z.object({
  signal: z.literal("ready"),
  service: z.string(),
  server: z.string(),
  incarnation: z.string(),
  epoch: z.number().int(),
  history: z.string(),
  sequence: z.number().int(),
});
export type ReadySignal = z.infer<typeof ReadySignal>;
