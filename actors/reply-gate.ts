/**
 * The gate for subjects that somebody else names for an answer: requests, queries, replays, commands, questions to an actor and
 * to the services API all come through it. What always holds: nothing is published, and nothing is done, for a message whose
 * answer would go where the broker or a server acts; such messages are told once a minute, without a byte of theirs.
 */
import type { Settings } from "../schemas/settings.ts";
import { inboxes, mayAnswerTo } from "../schemas/subjects.ts";
import { BoundedLines } from "./bounded-lines.ts";
import type { Clock, Log } from "./world/ports.ts";

export class ReplyGate {
  readonly #service: string;
  readonly #prefixes: readonly string[];
  readonly #world: { readonly clock: Clock; readonly log: Log };
  /** By what was asked for. */
  readonly #lines = new Map<string, BoundedLines>();

  /**
   * `replyPrefixes`: where answers may go, and besides to whoever has this server's name and asks whether another has it (rule 1);
   * none: anywhere that is not ours or the broker's.
   */
  constructor(settings: Pick<Settings, "service" | "server" | "replyPrefixes">, world: { clock: Clock; log: Log }) {
    const { service, server, replyPrefixes } = settings;
    this.#service = service;
    this.#prefixes = replyPrefixes.length === 0 ? [] : [...replyPrefixes, `${inboxes.server(service, server)}.`];
    this.#world = world;
  }

  /** Whether an answer may go there; "": none is wanted. `what`: for the log, one of few. */
  passes(reply: string, what: string): boolean {
    if (mayAnswerTo(this.#service, reply, this.#prefixes)) return true;
    const lines = this.#lines.get(what) ?? new BoundedLines(this.#world.clock, 1);
    this.#lines.set(what, lines);
    const line = lines.next();
    if (line !== null)
      this.#world.log.warn(
        { ...line, what },
        "a message was dropped: no answer may go to the reply subject that it names",
      );
    return false;
  }
}
