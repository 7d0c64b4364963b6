/**
 * What an operator does at the console: the commands of `twinlog switch`, `pause`, `resume` and `flush`, carried out one at a time,
 * over a connection to NATS of the console's own, and shown to everybody who looks while it goes on. What always holds: it does
 * what the command line does, by the same code; who asked is told to the servers; the incarnation that the page showed is meant.
 */
import type { Bus, Clock } from "../../actors/world/ports.ts";
import { type Meant, type MildVerb, operate, usualTimeoutMs } from "../commands/operate.ts";
import type { View } from "./view.ts";

export interface ActionRequest {
  readonly verb: MildVerb;
  /** `pause`: for so long. */
  readonly forMs?: number | undefined;
}

/** One that goes on, or the last one. */
export interface ActionView {
  readonly id: number;
  readonly verb: MildVerb;
  readonly label: string;
  readonly by: string;
  readonly atMs: number;
  readonly state: "going on" | "done" | "failed";
  /** What happened, one after the other; the last says how it ended. */
  readonly lines: readonly string[];
}

export interface ActionsOptions {
  readonly service: string;
  readonly clock: Clock;
  /** With what an operator may do; connected for as long as the console runs. */
  readonly bus: Bus;
  readonly view: () => View;
  onAction(action: ActionView): void;
}

export class Actions {
  readonly #options: ActionsOptions;
  #last: ActionView | null = null;
  #count = 0;

  constructor(options: ActionsOptions) {
    this.#options = options;
  }

  get last(): ActionView | null {
    return this.#last;
  }

  /** Begins it; a text says why not. */
  begin({ verb, forMs }: ActionRequest, by: string): string | null {
    const { view, clock } = this.#options;
    if (this.#last?.state === "going on") return `${this.#last.by}'s ${this.#last.verb} goes on: wait for its end`;
    const now = view();
    const offered = now.actions.find((one) => one.verb === verb);
    if (offered === undefined || offered.why !== "") return offered?.why ?? `there is no action ${verb}`;
    this.#count += 1;
    const { label } = offered;
    const action: ActionView = { id: this.#count, verb, label, by, atMs: clock.wallMs(), state: "going on", lines: [] };
    this.#set(action);
    void this.#run({ ...action, forMs, servers: meantBy(verb, now) });
    return null;
  }

  async #run({
    verb,
    by,
    forMs,
    servers,
  }: ActionView & { forMs: number | undefined; servers: readonly Meant[] }): Promise<void> {
    const { bus, clock, service } = this.#options;
    const body = { by, ...(forMs === undefined ? {} : { forMs }) };
    const tell = (line: string) => this.#end("going on", line);
    try {
      await operate(bus, clock, { service, verb, servers, body, timeout: usualTimeoutMs }, tell);
      this.#end("done");
    } catch (error) {
      this.#end("failed", (error as Error).message);
    }
  }

  #end(state: ActionView["state"], ...lines: string[]): void {
    if (this.#last !== null) this.#set({ ...this.#last, state, lines: [...this.#last.lines, ...lines] });
  }

  #set(action: ActionView): void {
    this.#last = action;
    this.#options.onAction(action);
  }
}

function meantBy(verb: MildVerb, { servers, hot }: View): Meant[] {
  const isForAll = verb === "flush" || (verb === "resume-failover" && hot === "");
  const speaking = servers.filter(({ name, heat }) => (isForAll ? heat !== "silent" : name === hot));
  return speaking.map(({ name, incarnation }) => ({ name, incarnation }));
}
