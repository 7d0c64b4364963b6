/**
 * What JetStream answers, as far as the registry reads it: acknowledgements, messages and a stream's settings. Unknown
 * fields are allowed, since every release of nats-server adds some.
 */
import { z } from "zod";

export const ApiError = z.object({
  code: z.number(),
  err_code: z.number().optional(),
  description: z.string().optional(),
});
export type ApiError = z.infer<typeof ApiError>;

const Refusal = z.object({ error: ApiError });

export const PublishAnswer = z.union([
  Refusal,
  z.object({ stream: z.string(), seq: z.number().int().positive(), duplicate: z.boolean().optional() }),
]);

/** `hdrs` and `data` are base64. */
export const MessageAnswer = z.union([
  Refusal,
  z.object({
    message: z.object({
      subject: z.string(),
      seq: z.number().int().positive(),
      hdrs: z.string().optional(),
      data: z.string().optional(),
      /** When it was stored. */
      time: z.string().optional(),
    }),
  }),
]);

/** `max_age` in nanoseconds; 0: for ever. */
export const StreamConfig = z.object({
  name: z.string(),
  storage: z.string(),
  max_age: z.number().optional(),
  max_msgs_per_subject: z.number().optional(),
  num_replicas: z.number().optional(),
  subjects: z.array(z.string()).optional(),
  max_bytes: z.number().optional(),
  /** In nanoseconds. */
  duplicate_window: z.number().optional(),
  allow_direct: z.boolean().optional(),
  /** It stores and says nothing to whoever published. */
  no_ack: z.boolean().optional(),
});
export type StreamConfig = z.infer<typeof StreamConfig>;

/** `last_seq`: how many messages it has stored since it was made, those that are dropped included. */
const StreamState = z.object({ messages: z.number(), bytes: z.number(), last_seq: z.number() });

export const StreamAnswer = z.union([Refusal, z.object({ config: StreamConfig, state: StreamState.optional() })]);
export type StreamAnswer = z.infer<typeof StreamAnswer>;

/** Names of streams that share subjects with the one that was asked for; none at all is null on some brokers. */
export const NamesAnswer = z.union([Refusal, z.object({ streams: z.array(z.string()).nullish() })]);
