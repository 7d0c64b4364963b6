/**
 * Runs requests and queries against the hot state. What always holds: whatever a handler does, it harms nothing but its
 * own request (situation 35), and after `abandonAll` no handler can change anything. One call and no promise for a
 * request whose handler is synchronous.
 */
import type { Clock } from "../world/ports.ts";
import type { Application } from "./define.ts";
import { messageOf } from "./errors.ts";
import { describeIssues } from "./json.ts";
import { type Bench, Run, type RunnerSink, type RunRequest } from "./run.ts";
import { Scheduling } from "./scheduling.ts";
import { type ApplicationState, StateReader } from "./state.ts";
import { TransactionBuffer } from "./transaction.ts";

export type { CompletedTransaction, RunnerSink, RunRequest } from "./run.ts";

export type QueryAnswer =
  | { ok: true; json: string }
  | { ok: false; code: "INVALID_REQUEST" | "APPLICATION_ERROR"; message: string };

export class HandlerRunner<Token> {
  readonly #bench: Bench<Token>;
  readonly #reader: StateReader;
  /** Runs whose handler has returned a promise that is not settled. */
  readonly #running = new Set<Run<Token>>();

  constructor(options: {
    application: Application;
    state: ApplicationState;
    sink: RunnerSink<Token>;
    clock: Clock;
    takesTimer: (ordinal: number) => boolean;
    limits: { handlerMs: number; maxRecordBytes: () => number; maxTimerBytes: number };
  }) {
    const { application, state, sink, clock, takesTimer, limits } = options;
    const buffer = new TransactionBuffer(state);
    const nextSequence = () => sink.nextSequence();
    this.#reader = new StateReader(state);
    this.#bench = {
      application,
      buffer,
      scheduling: new Scheduling({ application, buffer, maxBodyBytes: limits.maxTimerBytes, nextSequence }),
      sink,
      clock,
      takesTimer,
      ...limits,
      isBuilding: false,
      isBroken: false,
      generation: 0,
      onOver: (run) => {
        this.#running.delete(run);
        this.#tellWaiting();
      },
    };
  }

  /** Handlers that have not finished yet. */
  get inProgress(): number {
    return this.#running.size;
  }

  /** Runs the request's handler; what it does goes to the sink, before this returns or later. */
  run(request: RunRequest, token: Token): void {
    const run = new Run(this.#bench, request, token);
    run.start();
    if (!run.isAsynchronous) return;
    this.#running.add(run);
    this.#tellWaiting();
  }

  /** Its body cannot be run any more: that is its result. */
  refuse(request: RunRequest, token: Token, message: string): void {
    new Run(this.#bench, request, token).refuse(new Error(message));
  }

  #tellWaiting(): void {
    const { size } = this.#running;
    const [one] = size === 1 ? this.#running : [];
    this.#bench.sink.onWaiting(size, one?.token);
  }

  /** The server stops being hot: handlers that still run can change nothing from here on, and nothing is said of them. */
  abandonAll(): void {
    this.#bench.generation += 1;
    for (const run of this.#running) run.abandon();
  }

  /** The query's name and the fields of its body are one object. `sequence`: the log position that the state is at; `client`: who asks. */
  query(body: unknown, sequence: number, client: string): QueryAnswer {
    const invalid = (message: string): QueryAnswer => ({ ok: false, code: "INVALID_REQUEST", message });
    if (typeof body !== "object" || body === null || !("query" in body))
      return invalid("a query's body names the query");
    const { query: name, ...fields } = body;
    const { queries } = this.#bench.application;
    const query = typeof name === "string" && Object.hasOwn(queries, name) ? queries[name] : undefined;
    if (query === undefined)
      return invalid(`there is no such query; there are: ${Object.keys(queries).join(", ") || "none"}`);
    try {
      const parsed = query.body.safeParse(fields);
      if (!parsed.success) return invalid(describeIssues(parsed.error));
      const answer = query.answer(parsed.data, this.#reader, sequence, { client });
      const held = query.result?.safeParse(answer);
      if (held?.success === false)
        throw new Error(`the answer is not what its schema says: ${describeIssues(held.error)}`);
      const json = JSON.stringify(held === undefined ? answer : held.data);
      if (typeof json !== "string") throw new Error("the answer is not JSON");
      return { ok: true, json };
    } catch (error) {
      return { ok: false, code: "APPLICATION_ERROR", message: messageOf(error) };
    }
  }
}
