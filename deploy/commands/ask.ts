/**
 * One question to the service and its answers, for commands that are not the client library's business.
 */
import type { Bus, BusMessage, Clock, Timer } from "../../actors/world/ports.ts";
import { noRespondersStatus } from "../../actors/world/ports.ts";
import { Refusals } from "./forbidden.ts";
import { whenAborted } from "./world.ts";

export type AskedFor<T> = { outcome: "answered"; data: T } | { outcome: "nobody" } | { outcome: "silence" };
export type Asked = AskedFor<unknown>;

/** Two processes may have one name: how long an answer of the one that is meant is waited for after one that is not. */
const othersMs = 500;

/**
 * Publishes `data` and waits for the first answer that `isMeant`, else for another one. nobody: nobody listens there.
 * silence: none came in time. Throws CommandError at once where the broker forbids to ask.
 */
export function ask(
  bus: Bus,
  clock: Clock,
  subject: string,
  data: unknown,
  timeoutMs: number,
  isMeant: (data: unknown) => boolean = () => true,
): Promise<Asked> {
  return askFor({ bus, clock, subject, data, timeoutMs, isMeant, read: readJson });
}

interface Question<T> {
  readonly bus: Bus;
  readonly clock: Clock;
  readonly subject: string;
  readonly data: unknown;
  readonly timeoutMs: number;
  readonly isMeant?: (data: T) => boolean;
  /** Aborted: no longer waited for, as if nobody had answered. */
  readonly stopped?: AbortSignal;
  /** What an answer's bytes mean. */
  readonly read: (bytes: Uint8Array) => T;
}

/** The same for answers that are not JSON. */
export function askFor<T>(question: Question<T>): Promise<AskedFor<T>> {
  const { bus, clock, subject, data, timeoutMs, isMeant = () => true, stopped, read } = question;
  return new Promise((resolve, reject) => {
    const inbox = bus.inbox();
    let other: AskedFor<T> = { outcome: "silence" };
    let unlisten = (): void => undefined;
    const stop = () => {
      timer.cancel();
      unlisten();
      refusal.stop();
      subscription.stop();
    };
    const end = (asked: AskedFor<T>) => {
      stop();
      resolve(asked);
    };
    const refusal = new Refusals(bus, (error) => {
      stop();
      reject(error);
    });
    const endsAfter = (ms: number) => heardFirst(clock, ms, () => end(other));
    let timer = endsAfter(timeoutMs);
    const subscription = bus.subscribe(inbox, (message: BusMessage) => {
      if (message.status === noRespondersStatus) {
        end({ outcome: "nobody" });
        return;
      }
      const answered = { outcome: "answered", data: read(message.data) } as const;
      if (isMeant(answered.data)) {
        end(answered);
        return;
      }
      if (other.outcome === "answered") return;
      other = answered;
      timer.cancel();
      timer = endsAfter(Math.min(othersMs, timeoutMs));
    });
    bus.publish(subject, Buffer.from(JSON.stringify(data)), undefined, inbox);
    if (stopped !== undefined) unlisten = whenAborted(stopped, () => end({ outcome: "silence" }));
  });
}

/** So long is waited in all for a server that runs, to all appearances, and is slow: with a word of its own, or with an answer. */
export const lateMs = 5_000;

export interface Answers {
  readonly answers: unknown[];
  /** Subjects on which somebody listens, and nobody answered in time: of a process that is slow, or stands still. */
  readonly unanswered: string[];
  /** Subjects on which nobody listens. */
  readonly nobody: string[];
}

/**
 * Asks each with an empty message, and gathers every answer for `waitMs`: two processes may listen on one subject. Where somebody
 * listens and nobody has answered by then it waits on, up to `lateMs` in all: who is slow is not taken for who is not there.
 * Throws CommandError at once where the broker forbids it.
 */
export async function askAll(
  bus: Bus,
  clock: Clock,
  subjects: readonly string[],
  waitMs: number,
  stopped?: AbortSignal,
): Promise<Answers> {
  const answers: unknown[] = [];
  const nobody: string[] = [];
  if (subjects.length === 0) return { answers, unanswered: [], nobody };
  const unanswered = new Set(subjects);
  const complete = new AbortController();
  const subscriptions = subjects.map((subject) => {
    const inbox = bus.inbox();
    const subscription = bus.subscribe(inbox, (message: BusMessage) => {
      if (message.status === undefined) answers.push(readJson(message.data));
      else nobody.push(subject);
      unanswered.delete(subject);
      if (unanswered.size === 0) complete.abort();
    });
    bus.publish(subject, new Uint8Array(0), undefined, inbox);
    return subscription;
  });
  try {
    await allowed(bus, clock, waitMs, stopped);
    if (unanswered.size > 0 && stopped?.aborted !== true) {
      const forget = stopped === undefined ? () => undefined : whenAborted(stopped, () => complete.abort());
      await allowed(bus, clock, lateMs - waitMs, complete.signal).finally(forget);
    }
  } finally {
    for (const subscription of subscriptions) subscription.stop();
  }
  return { answers, unanswered: [...unanswered], nobody };
}

/** Waits. Throws CommandError as soon as the broker forbids something; resolves at once when `stopped` is aborted. */
export async function allowed(bus: Bus, clock: Clock, waitMs: number, stopped?: AbortSignal): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const end = (settle: () => void) => {
      timer.cancel();
      refusal.stop();
      unlisten();
      settle();
    };
    const timer = heardFirst(clock, waitMs, () => end(resolve));
    const refusal = new Refusals(bus, (error) => end(() => reject(error)));
    // Waited for again and again with --watch: nothing stays behind on the signal.
    let unlisten = (): void => undefined;
    if (stopped !== undefined) unlisten = whenAborted(stopped, () => end(resolve));
  });
}

/** After so long, and after what is there by then: where this process was held up, what came meanwhile is heard before anything is judged. */
function heardFirst(clock: Clock, ms: number, run: () => void): Timer {
  return clock.after(ms, () => clock.soon(run));
}

export function readJson(data: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(data).toString());
  } catch {
    return undefined;
  }
}
