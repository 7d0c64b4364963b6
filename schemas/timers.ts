/**
 * Durable timers (rule 20): requests that the service sends to itself when they are due. A timer is a row of a table of the state's
 * own, and has the name of that table as its client; its request's id says which timer it is, and which of its settings.
 */
import { z } from "zod";
import { Count } from "./ranges.ts";

/** The name of the table of timers, and of the client whose requests they are: no other may have it. */
export const timersName = "$timers";

/** Longest name of a timer, in UTF-16 units: with what makes it a request's id it fits an id. */
export const maxTimerIdLength = 100;

/** How many timers an application may allow itself. */
export const maxTimers = 10_000_000;

/** A timer as it is stored; the row's key is its name. */
export const Timer = z.strictObject({
  /** Due at this time of the log, ms since 1970. */
  atMs: Count,
  /** Partition key of its body. */
  key: z.string(),
  /** As the request's schema gave it when it was scheduled. */
  body: z.unknown(),
  /** The record that set it, and its place among that record's changes: no two settings have both. */
  sequence: Count,
  nth: Count,
});
export type Timer = Readonly<z.infer<typeof Timer>>;

/** Which setting of which timer. */
export interface TimerName extends Pick<Timer, "sequence" | "nth"> {
  readonly id: string;
}

/** The same on every server, so that what was done is known to all as done (rule 12). */
export function timerRequestId({ id, sequence, nth }: TimerName): string {
  return `${id}@${sequence}.${nth}`;
}

/** Null: the request is none of a timer's. */
export function timerOf(client: string, requestId: string): TimerName | null {
  if (client !== timersName) return null;
  const [, id = "", sequence, nth] = /^(.*)@(\d+)\.(\d+)$/s.exec(requestId) ?? [];
  return sequence === undefined ? null : { id, sequence: Number(sequence), nth: Number(nth) };
}
