/**
 * The door for clients: bytes from the bus become a parsed request or a typed refusal (claim 23; PROTOCOL.md rule 5). What
 * always holds: nothing that does not fit is logged or run, and what every server would refuse alike is refused at once,
 * without a proof.
 */

import { hashOfAny } from "../../machines/codec/body-hash.ts";
import { type Arrival, refusal } from "../../machines/replica/primary/intake.ts";
import { Envelope, keyIsOther, QueryEnvelope } from "../../schemas/envelope.ts";
import type { ErrorCode } from "../../schemas/errors.ts";
import { maxTokenBytes, parseClientSubject, whyNoSubject } from "../../schemas/subjects.ts";
import { timersName } from "../../schemas/timers.ts";
import { readTraceparent, traceparentHeader } from "../../schemas/traceparent.ts";
import type { BusMessage, Watchdog } from "../world/ports.ts";
import type { BodyParser } from "./body.ts";
import { describeIssues } from "./json.ts";

/** `needsProof`: another server might say something else (rule 5). */
export type Parsed<T> =
  | { ok: true; value: T }
  | { ok: false; client: string; code: ErrorCode; refusal: Uint8Array; needsProof?: true };

export interface Query {
  readonly client: string;
  readonly id: string;
  readonly body: unknown;
}

const bodyEndedServer = "a server died of the check of this body: it is not checked again";
const isTimers = `the name ${timersName} is the service's own, for its timers: use another one`;
const utf8 = new TextDecoder("utf-8", { fatal: true });

function refused(client: string, id: string, code: ErrorCode, message: string) {
  return { ok: false, client, code, refusal: refusal(client, id, code, message) } as const;
}

/** What can be told of a sender whose envelope cannot be read. */
function nameIn(value: unknown, field: "client" | "id"): string {
  if (typeof value !== "object" || value === null || !(field in value)) return "";
  const name = (value as Record<string, unknown>)[field];
  return typeof name === "string" ? name.slice(0, 128) : "";
}

function parseJson(message: BusMessage, maxBytes: number): Parsed<unknown> {
  const client = parseClientSubject(message.subject)?.client ?? "";
  if (message.data.length > maxBytes)
    return refused(client, "", "TOO_LARGE", `a message of ${message.data.length} bytes; at most ${maxBytes} are taken`);
  try {
    return { ok: true, value: JSON.parse(utf8.decode(message.data)) };
  } catch {
    return refused(client, "", "INVALID_REQUEST", "the message is not JSON in UTF-8");
  }
}

/** Of a message that is turned away unread; null where it does not say. */
export function senderOf(
  { data, reply }: BusMessage,
  client: string,
): Pick<Arrival, "client" | "id" | "replyTo"> | null {
  try {
    const id = nameIn(JSON.parse(utf8.decode(data)), "id");
    return { client, id, replyTo: reply };
  } catch {
    return null;
  }
}

/** What is asked before the application's own code looks at a message. `endedByBody`: it ended a server (rule 17). */
export interface DoorGuard {
  readonly watchdog: Watchdog;
  endedByBody(client: string, id: string): boolean;
  /** It is done, or runs: sent again, it is no new request, whatever this program makes of its body (rule 12). */
  isKnown(client: string, id: string): boolean;
}

export function parseRequest(
  message: BusMessage,
  parser: BodyParser,
  maxBytes: number,
  guard: DoorGuard,
  sinceMs = 0,
): Parsed<Arrival> {
  const json = parseJson(message, maxBytes);
  if (!json.ok) return json;
  const envelope = Envelope.safeParse(json.value);
  const client = nameIn(json.value, "client");
  const id = nameIn(json.value, "id");
  if (!envelope.success) return refused(client, id, "INVALID_REQUEST", describeIssues(envelope.error));
  if (client === timersName) return refused(client, id, "INVALID_REQUEST", isTimers);
  const address = parseClientSubject(message.subject);
  if (address === null || address.client !== client)
    return refused(client, id, "INVALID_REQUEST", "the subject's last token must be the envelope's client");
  const tooLong = message.subject.length > maxTokenBytes ? whyNoSubject(address.key, client) : "";
  if (tooLong !== "") return refused(client, id, "INVALID_REQUEST", tooLong);
  if (guard.endedByBody(client, id))
    return { ...refused(client, id, "INVALID_REQUEST", bodyEndedServer), needsProof: true };
  guard.watchdog.enter("body", client, id, 0, true);
  const body = parser.parse(envelope.data.body);
  guard.watchdog.leave();
  const isAgain = !body.ok || body.key !== address.key ? guard.isKnown(client, id) : false;
  if (!body.ok && !isAgain) return refused(client, id, "INVALID_REQUEST", body.message);
  if (body.ok && body.key !== address.key && !isAgain)
    return refused(client, id, "INVALID_REQUEST", `${keyIsOther}${body.key}`);
  const sent = envelope.data.body;
  return {
    ok: true,
    value: {
      client,
      id,
      key: address.key,
      bodyHash: body.ok ? parser.hash(body.value) : hashOfAny(sent),
      sent,
      issuedAtMs: envelope.data.issuedAt,
      after: envelope.data.after,
      resend: envelope.data.resend ?? false,
      body: body.ok ? body.value : sent,
      replyTo: message.reply,
      traceparent: readTraceparent(message.headers?.[traceparentHeader]),
      sinceMs,
    },
  };
}

export function parseQuery(message: BusMessage, maxBytes: number): Parsed<Query> {
  const json = parseJson(message, maxBytes);
  if (!json.ok) return json;
  const envelope = QueryEnvelope.safeParse(json.value);
  const client = nameIn(json.value, "client");
  const id = nameIn(json.value, "id");
  if (!envelope.success) return refused(client, id, "INVALID_REQUEST", describeIssues(envelope.error));
  if (client === timersName) return refused(client, id, "INVALID_REQUEST", isTimers);
  const address = parseClientSubject(message.subject);
  if (address?.client !== client)
    return refused(client, id, "INVALID_REQUEST", "the subject's last token must be the envelope's client");
  const tooLong = message.subject.length > maxTokenBytes ? whyNoSubject(address.key, client) : "";
  if (tooLong !== "") return refused(client, id, "INVALID_REQUEST", tooLong);
  return { ok: true, value: envelope.data };
}
