/**
 * Replay: results again, from a result number (rule 13). The protocol, in full:
 *
 *   1. An integrator publishes a `ReplayRequest` (envelope.ts) on `<service>.replay` with a reply subject.
 *   2. The hot server publishes on that reply subject, in the order of result numbers and without a gap, each result from
 *      `from` on that is committed and still remembered, at most `limit` (and at most `maxReplayResults`) of them. Each is
 *      the reply's bytes with the headers of a result (History, Epoch, Sequence, Result) and `Twinlog-Subject`, the
 *      subject on which it was first published. One that the broker does not take whole comes in pieces (pieces.ts).
 *   3. Last comes one message with the header `Twinlog-Replay-End: <next>`: the number that the next request should name.
 *      Its data is a `ReplayEnd`. An answer without this message was cut off (the server lost NATS, or its role): ask again.
 *   4. One answer at a time for each reader, who is known by his reply subject (`replayReaderOf`): another request of his
 *      meanwhile is told BUSY, and the answer goes on. All answers together keep to `maxReplayBytesPerSecond`: nobody is
 *      refused for it, but answers come more slowly.
 *
 * What always holds: nothing above the commit point is answered (rule 5), so an answer may end at once with `next === from`;
 * and results of one answer are of one history: the one that was asked for, or the current one if none was. Of a history
 * whose log the current one goes on with, the results can be had as long as that log is kept, and `last` is its true last
 * number; `following` names the one after it. A server that knows nothing of the history that was asked for says
 * UNKNOWN_HISTORY; `current` always names the one that goes on.
 */
import * as z from "zod";

/** The most results in one answer, whatever `limit` says: more would overrun a slow reader's connection. */
export const maxReplayResults = 10_000;

/** Answers that one server gives at once, each of which reads the log; past them BUSY. */
export const maxReplaysAtOnce = 16;

/**
 * Whom a reply subject is of. A reader has an inbox and names each request by one more token, as in `<inbox>.<number>`: so it is
 * the subject without its last token. All of it where that would leave one token, such as `_INBOX`, that strangers share, or
 * where the broker gave the subject (`_R_.`: from another account).
 */
export function replayReaderOf(reply: string): string {
  const end = reply.lastIndexOf(".");
  return reply.startsWith("_R_.") || !reply.slice(0, end).includes(".") ? reply : reply.slice(0, end);
}

/** Headers of the messages of an answer, besides those of results. */
export const replayHeaders = { end: "Twinlog-Replay-End", subject: "Twinlog-Subject" } as const;

/**
 * UNKNOWN_HISTORY: this server has no results of that history. FORGOTTEN: results before `oldest` are no longer remembered.
 * INVALID_REQUEST: not a ReplayRequest. NOT_HOT: this server has not committed what it inherited; ask again later.
 * BUSY: it is giving as many answers as it gives at once, or one to this reader; ask again later.
 */
export const ReplayErrorCode = z.enum(["UNKNOWN_HISTORY", "FORGOTTEN", "INVALID_REQUEST", "NOT_HOT", "BUSY"]);
export type ReplayErrorCode = z.infer<typeof ReplayErrorCode>;

export const ReplayEnd = z.object({
  /** The history of this answer's results; the current one when there are none. */
  history: z.string(),
  /** The history that is going on now. */
  current: z.string(),
  /** The one after `history`; not there where that is the current one. */
  following: z.string().optional(),
  /** As in the header. */
  next: z.number().int().min(1),
  /** The lowest result number that can still be asked for. */
  oldest: z.number().int().min(1),
  /** The highest committed result number, 0 when there is none. More can be asked for while `next <= last`. */
  last: z.number().int().nonnegative(),
  error: z.object({ code: ReplayErrorCode, message: z.string() }).optional(),
});
export type ReplayEnd = z.infer<typeof ReplayEnd>;
