/**
 * How long clients waited for a fault, from the times of their acknowledgements. Pure.
 *
 * The gap of a fault is the longest time without an acknowledgement to any client, of the times that touch the fault: from
 * its start until the first acknowledgement of a new primary, or, where none took over, until everything was normal again.
 * What is longer after that, while the old primary starts and joins, is `laterMs`.
 */

import type { HistoryEvent } from "../../machines/checker/history.ts";
import { parseReply } from "../../machines/checker/requests.ts";

export interface Ack {
  readonly atMs: number;
  readonly epoch: number;
}

export interface FaultSpan {
  readonly startMs: number;
  readonly normalMs: number;
  /** Of the primary that it was done to. */
  readonly epoch: number;
}

export interface Gap {
  readonly gapMs: number;
  readonly laterMs: number;
}

/** Every answer that is a record's, refusals left out; those before `sinceMs` too, but for the last one. */
export function acksSince(events: readonly HistoryEvent[], sinceMs: number): Ack[] {
  const acks: Ack[] = [];
  for (let at = events.length - 1; at >= 0 && (acks.at(-1)?.atMs ?? sinceMs) >= sinceMs; at -= 1) {
    const event = events[at];
    if (event?.type !== "reply") continue;
    const reply = parseReply(event.bytes);
    if (reply?.sequence !== undefined) acks.push({ atMs: event.atMs, epoch: reply.epoch ?? 0 });
  }
  return acks.reverse();
}

export function gapOf(acks: readonly Ack[], { startMs, normalMs, epoch }: FaultSpan): Gap {
  const times = acks.map(({ atMs }) => atMs);
  const served = acks.find((ack) => ack.atMs >= startMs && (ack.epoch > epoch || ack.atMs >= normalMs));
  const servedMs = served?.atMs ?? normalMs;
  const laterMs = servedMs < normalMs ? longestGap(times, servedMs, normalMs) : 0;
  return { gapMs: longestGap(times, startMs, servedMs), laterMs };
}

/** `times` in order. The longest interval between two of them that touches the span. */
export function longestGap(times: readonly number[], fromMs: number, toMs: number): number {
  let longest = 0;
  for (let at = 1; at < times.length; at += 1) {
    const before = times[at - 1] ?? 0;
    const after = times[at] ?? 0;
    if (after > fromMs && before < toMs) longest = Math.max(longest, after - before);
  }
  return longest;
}
