/**
 * Gives timers that are due to the intake, as requests of the service's own client (rule 20). What always holds: they come in the order in
 * which they are due, through the same door as every request but the one for clients; where there is no room for them they wait; a
 * timer is in the state until the first record of its request, and whoever has the role then fires what is there and due. What
 * the primary before may have died of comes as if it were sent again.
 */
import { hashOfAny } from "../../machines/codec/body-hash.ts";
import { EffectWriter } from "../../machines/codec/effects.ts";
import type { RunningRequest } from "../../machines/replica/log/requests.ts";
import type { Replica } from "../../machines/replica/replica.ts";
import type { Rules } from "../../machines/replica/rules.ts";
import { timersName } from "../../schemas/timers.ts";
import type { Mailbox } from "../actor.ts";
import type { Clock, Timer as ClockTimer } from "../world/ports.ts";
import type { ApplicationState } from "./state.ts";
import type { WaitingTimer } from "./timer-index.ts";

export interface TimersOptions {
  readonly clock: Clock;
  readonly mailbox: Pick<Mailbox, "after" | "touch">;
  readonly replica: Pick<
    Replica,
    "epoch" | "inherited" | "isDone" | "isKnown" | "onRequest" | "takesTimers" | "timeNow"
  >;
  readonly rules: Rules;
  readonly run: (request: RunningRequest) => void;
}

/** A turn comes at least so often while one waits: a clock's timer may wait no longer than some weeks. */
const longestWaitMs = 86_400_000;

export class Timers {
  readonly #options: TimersOptions;
  readonly #effects = new EffectWriter();
  /** The log's time when this server looked for the first time since it has the role; null: it has not. */
  #hotMs: number | null = null;
  #wake: { readonly atMs: number; readonly timer: ClockTimer } | null = null;

  constructor(options: TimersOptions) {
    this.#options = options;
  }

  /** All that are due, until `untilMs`, monotonic: the rest with the next turn. */
  fire(state: ApplicationState, untilMs: number): void {
    const { clock, mailbox, replica, rules } = this.#options;
    this.#hotMs ??= replica.timeNow(clock.nowMs(), clock.wallMs());
    const hotMs = this.#hotMs;
    for (let next = state.timers.next; next !== undefined; next = state.timers.next) {
      const nowMs = replica.timeNow(clock.nowMs(), clock.wallMs());
      if (!rules.isTimerDue(next.timer.atMs, nowMs) || !replica.takesTimers(timersName, clock.nowMs())) return;
      if (clock.nowMs() >= untilMs) {
        mailbox.touch();
        return;
      }
      this.#fire(next, state, hotMs);
    }
  }

  #fire(waiting: WaitingTimer, state: ApplicationState, hotMs: number): void {
    const { clock, replica, rules, run } = this.#options;
    const { id, timer } = waiting;
    const { sequence, nth, atMs } = timer;
    const requestId = rules.timerRequest({ id, sequence, nth }, replica.epoch);
    if (replica.isKnown(timersName, requestId))
      throw new Error(`timer ${id} was fired as ${requestId}, and is there still`);
    const ending = this.#ending(state.table(timersName).part, id);
    state.timers.fire();
    const { key, body } = timer;
    const request = replica.onRequest(
      {
        client: timersName,
        id: requestId,
        key,
        bodyHash: hashOfAny(body),
        issuedAtMs: undefined,
        after: undefined,
        resend: rules.mayHaveBeenTried(sequence, replica.inherited, atMs, hotMs),
        body,
        replyTo: "",
        sinceMs: clock.nowMs(),
        ending,
      },
      clock.nowMs(),
      clock.wallMs(),
    );
    if (request !== null) run(request);
    // It came to its end without being run: the record is there, and the state follows.
    else if (replica.isDone(timersName, requestId)) state.apply(ending);
    else if (!replica.isKnown(timersName, requestId)) state.timers.putBack(waiting);
  }

  #ending(part: number, id: string): Uint8Array {
    this.#effects.reset();
    this.#effects.delete(part, id);
    return Uint8Array.from(this.#effects.view());
  }

  /** After a turn: another one when the next is due. */
  arm(state: ApplicationState): void {
    const { clock, mailbox, replica } = this.#options;
    const next = state.timers.next;
    if (next?.timer.atMs === this.#wake?.atMs) return;
    this.#wake?.timer.cancel();
    this.#wake = null;
    if (next === undefined) return;
    const { atMs } = next.timer;
    const inMs = Math.max(1, atMs - replica.timeNow(clock.nowMs(), clock.wallMs()));
    const timer = mailbox.after(Math.min(inMs, longestWaitMs), () => {
      // The turn that this begins looks again.
      this.#wake = null;
    });
    this.#wake = { atMs, timer };
  }

  /** The role is gone. */
  drop(state: ApplicationState): void {
    this.#wake?.timer.cancel();
    this.#wake = null;
    this.#hotMs = null;
    state.timers.putAllBack();
  }
}
