/**
 * Runs an application as a hot server does, with a warm copy that is fed the bytes alone. What always holds after each
 * request: hot and warm have the same digest (checked by `assertEqual`, on demand, because digests cost).
 */

import { BodyParser } from "../../actors/application/body.ts";
import { type Application, applicationParts } from "../../actors/application/define.ts";
import { type CompletedTransaction, HandlerRunner } from "../../actors/application/runner.ts";
import { ApplicationState } from "../../actors/application/state.ts";
import type { Clock } from "../../actors/world/ports.ts";
import { shippedRules } from "../../machines/replica/rules.ts";

export interface Sent {
  kind: "transaction" | "final";
  token: string;
  ordinal: number;
  name: string;
  effects: Uint8Array;
  /** A transaction's value, or a request's outcome in braces. */
  json: string;
}

/** A clock that moves when told to. */
export class HandClock implements Clock {
  #now = 0;
  #timers = new Set<{ at: number; run: () => void }>();

  nowMs = () => this.#now;
  wallMs = () => 1_700_000_000_000 + this.#now;
  randomId = () => "id";
  random = () => 0.5;
  soon = (run: () => void) => void this.after(0, run);

  after(delayMs: number, run: () => void) {
    const timer = { at: this.#now + delayMs, run };
    this.#timers.add(timer);
    return { cancel: () => void this.#timers.delete(timer) };
  }

  get waiting(): number {
    return this.#timers.size;
  }

  advance(ms: number): void {
    this.#now += ms;
    for (const timer of this.#timers) {
      if (timer.at <= this.#now && this.#timers.delete(timer)) timer.run();
    }
  }
}

export class Harness {
  readonly application: Application;
  readonly clock = new HandClock();
  readonly hot: ApplicationState;
  readonly warm: ApplicationState;
  readonly parser: BodyParser;
  readonly runner: HandlerRunner<string>;
  readonly sent: Sent[] = [];
  readonly fatal: unknown[] = [];
  /** Whose the requests are that are started next. */
  client = "alice";
  /** When the next request is taken. */
  nowMs = 1_700_000_000_000;
  /** What handlers failed of, and how many waited for something, each time that was told. */
  readonly failures: unknown[] = [];
  readonly waiting: [count: number, one: string | undefined][] = [];
  /** Resolves `committed()` calls; by hand when `holdsCommits`. */
  readonly commits: (() => void)[] = [];
  holdsCommits = false;
  readonly #limits: { handlerMs?: number; maxRecordBytes?: number };

  constructor(application: Application, limits: { handlerMs?: number; maxRecordBytes?: number } = {}) {
    this.application = application;
    this.#limits = limits;
    this.hot = new ApplicationState(application);
    this.warm = new ApplicationState(application);
    this.parser = new BodyParser(application);
    const keep = (sent: Sent) => {
      this.sent.push({ ...sent, effects: Uint8Array.from(sent.effects) });
      this.warm.apply(sent.effects);
    };
    this.runner = new HandlerRunner<string>({
      application,
      state: this.hot,
      clock: this.clock,
      takesTimer: shippedRules.takesTimer,
      limits: {
        handlerMs: 1_000,
        maxTimerBytes: 1_024,
        ...limits,
        maxRecordBytes: () => limits.maxRecordBytes ?? 64 * 1024,
      },
      sink: {
        transaction: (token, { value, ...rest }) => keep({ kind: "transaction", token, json: value, ...rest }),
        final: (token, { outcome, ...rest }) => keep({ kind: "final", token, json: `{${outcome}}`, ...rest }),
        committed: () =>
          this.holdsCommits ? new Promise((resolve) => this.commits.push(() => resolve())) : Promise.resolve(),
        nextSequence: () => this.sent.length + 1,
        failed: (_token, error) => void this.failures.push(error),
        onWaiting: (count, one) => void this.waiting.push([count, one]),
        fatal: (error) => void this.fatal.push(error),
      },
    });
  }

  /** Starts a request; `token` is also its id. */
  start(body: unknown, token = "1", completed: CompletedTransaction[] = []): void {
    const parsed = this.parser.parse(body);
    if (!parsed.ok) throw new Error(parsed.message);
    const resumed = completed.length > 0;
    const { client } = this;
    const request = {
      client,
      id: token,
      key: parsed.key,
      stampMs: 5,
      takenMs: this.nowMs,
      body: parsed.value,
      completed,
      resumed,
    };
    this.runner.run(request, token);
  }

  /** The outcome of a request; undefined while it runs. */
  outcome(token = "1"): unknown {
    const final = this.sent.find((one) => one.token === token && one.kind === "final");
    return final === undefined ? undefined : JSON.parse(final.json);
  }

  /** Runs a request whose handler is synchronous and returns its result. */
  result(body: unknown, token = "1"): unknown {
    const from = this.sent.length;
    this.start(body, token);
    const last = this.sent.at(-1);
    if (this.sent.length === from || last?.kind !== "final") throw new Error("the request has not ended");
    const outcome = JSON.parse(last.json);
    if (outcome.ok !== true) throw new Error(last.json);
    return outcome.result;
  }

  /** A state loaded from what a store would hold of `from`, rows in an order of their own. */
  reload(from: ApplicationState): ApplicationState {
    return this.#load(new ApplicationState(this.application), from);
  }

  /** A new server whose hot and warm state were both loaded from what this one would have stored. */
  takenOver(): Harness {
    const next = new Harness(this.application, this.#limits);
    for (const state of [next.hot, next.warm]) this.#load(state, this.hot);
    return next;
  }

  #load(loaded: ApplicationState, from: ApplicationState): ApplicationState {
    const bytes = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));
    for (const part of applicationParts(this.application)) {
      if (part.kind === "table") {
        const rows = [...from.table(part.name).rows].sort(([left], [right]) => (left < right ? 1 : -1));
        for (const [key, row] of rows) loaded.loadRow(part.part, key, bytes(row));
      } else {
        const queue = from.queue(part.name);
        for (let at = 0; at < queue.length; at += 1)
          loaded.loadQueueItem(part.part, queue.head + at, bytes(queue.at(at)));
      }
    }
    return loaded;
  }
}

/** Lets promises that are ready go on. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
}
