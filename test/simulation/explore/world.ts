/**
 * A small world for exploring the replica alone: two or three servers that are nothing but a replica and a disk, a
 * registry, and messages that may arrive at any time. Every choice that is open is listed by name, and taking one is
 * deterministic. A world is a handful of values that never change, so that a copy costs next to nothing.
 *
 * What always holds: after each choice everything in checks.ts was asserted. Time stands still but for `silence`:
 * all else that a clock would bring (heartbeats, questions asked again) may happen at any time, so it is a choice.
 */
import { initialRecord } from "../../../machines/replica/registry/initial-record.ts";
import { type Counted, type Spent, spendOne, timesOf } from "./bounds.ts";
import type { Checks } from "./checks.ts";
import { type ChoiceView, choicesOf } from "./choices.ts";
import type { Mailbox, Sent } from "./mailbox.ts";
import type { OpenCas, SmallRegistry } from "./registry.ts";
import type { Scope } from "./scope.ts";
import type { SmallServer } from "./server.ts";
import type { ServerState } from "./server-state.ts";
import { type ChangingWorld, takeChoice } from "./take.ts";
import type { Effect, Turn } from "./turn.ts";

export class SmallWorld implements ChoiceView, ChangingWorld {
  readonly #scope: Scope;
  /** In the order of the scope's servers, as the next two are. */
  #states: readonly ServerState[];
  #mailboxes: readonly Mailbox[];
  #readings: readonly (number | null)[];
  #registry: SmallRegistry;
  #checks: Checks;
  #spent: Spent;
  /** Requests that came before anything was counted. */
  #earlier: number;

  /** All servers have just started for the first time; or as another world. */
  constructor(scope: Scope, original: SmallWorld | null = null) {
    this.#scope = scope;
    if (original !== null) {
      this.#states = original.#states;
      this.#mailboxes = original.#mailboxes;
      this.#readings = original.#readings;
      this.#registry = original.#registry;
      this.#checks = original.#checks;
      this.#spent = original.#spent;
      this.#earlier = original.#earlier;
      return;
    }
    const names = scope.bounds.servers;
    this.#states = names.map((name) => scope.states.fresh(name));
    this.#mailboxes = names.map(() => scope.mailboxes.of([], []));
    this.#readings = names.map(() => null);
    this.#registry = scope.registries.of([initialRecord("small", names[0] ?? "", "h")], []);
    this.#checks = scope.checks.nothingKnown;
    this.#spent = 0;
    this.#earlier = 0;
    for (const name of names) this.turn(name, "start", (turn) => turn.start());
  }

  clone(): SmallWorld {
    return new SmallWorld(this.#scope, this);
  }

  get servers(): readonly SmallServer[] {
    return this.#states.map(({ server }) => server);
  }
  get registry(): SmallRegistry {
    return this.#registry;
  }
  server(name: string): SmallServer {
    return this.#state(name).server;
  }
  mailboxOf(server: string): Mailbox {
    return this.#mailboxes[this.#at(server)] as Mailbox;
  }
  readingOf(server: string): number | null {
    return this.#readings[this.#at(server)] ?? null;
  }
  letter(id: number): Sent {
    return this.#scope.letters.get(id);
  }

  /** Equal numbers: nothing that decides how it goes on is different, nor what was told to whom. */
  get facts(): readonly number[] {
    const { revision } = this.#registry;
    const facts = [this.#spent, this.#checks.id];
    let oldest = revision;
    for (let at = 0; at < this.#states.length; at += 1) {
      const reading = this.#readings[at] ?? 0;
      facts.push((this.#states[at] as ServerState).id, (this.#mailboxes[at] as Mailbox).id * maxRevision + reading);
      if (reading > 0) oldest = Math.min(oldest, reading);
    }
    facts.push(this.#registry.idFrom(oldest));
    return facts;
  }
  /** What people can see: what clients were told, what the registry says, and what each server does. */
  get outcome(): string {
    const { epoch, mode, primary, inSync } = this.#registry.record;
    const servers = this.servers.map(({ name, replica, disk }) => [
      name,
      replica?.state,
      replica?.committed,
      disk.last,
    ]);
    return JSON.stringify([this.#checks.facts, epoch, mode, primary, inSync, servers]);
  }

  get isNormal(): boolean {
    const states = this.servers.map(({ replica }) => replica?.state);
    return (
      this.#registry.record.inSync.length === states.length &&
      states.every((state) => state?.endsWith("normal") || state?.endsWith("warm"))
    );
  }

  #at(name: string): number {
    return this.#scope.bounds.servers.indexOf(name);
  }
  #state(name: string): ServerState {
    return this.#states[this.#at(name)] as ServerState;
  }

  // --- choices ----------------------------------------------------------------------------------------------------

  /** What may happen now, the ordinary first. */
  choices(): string[] {
    return choicesOf(this);
  }
  /** It may happen once more. */
  isLeft(what: Counted): boolean {
    return timesOf(this.#spent, what) < this.#scope.bounds[what];
  }
  /** Requests that were sent. */
  get requests(): number {
    return this.#earlier + timesOf(this.#spent, "requests");
  }

  take(choice: string): void {
    takeChoice(choice, this);
    this.#registry = this.#registry.tidy((cas) => this.#isAlive(cas));
    if (this.#scope.letsGo) this.#letGo();
    this.#checks = this.#checks.check(this.#states, this.#registry);
  }

  get spent(): Spent {
    return this.#spent;
  }
  spend(what: Counted): void {
    this.#spent = spendOne(this.#spent, what);
  }

  // --- servers ----------------------------------------------------------------------------------------------------

  /** `input`: its name, and all that it says. */
  turn(name: string, input: string, take: (turn: Turn) => void): void {
    const at = this.#at(name);
    const { next, effects, error } = (this.#states[at] as ServerState).step(input, take);
    this.#states = this.#states.with(at, next);
    for (const effect of effects) this.#on(at, effect);
    if (error !== null) throw error;
  }

  #on(at: number, effect: Effect): void {
    switch (effect.type) {
      case "send": {
        const { to } = effect.sent;
        this.#setMailbox(to, this.mailboxOf(to).with(effect.sent));
        return;
      }
      case "ask":
        this.#registry = this.#registry.ask(effect.asked);
        return;
      case "read":
        this.#readings = this.#readings.with(at, this.#registry.revision);
        return;
      case "ended":
        this.#readings = this.#readings.with(at, null);
        return;
      default:
        this.#checks = this.#checks.on(effect);
    }
  }

  #setMailbox(server: string, mailbox: Mailbox): void {
    const at = this.#at(server);
    if (mailbox !== this.#mailboxes[at]) this.#mailboxes = this.#mailboxes.with(at, mailbox);
  }

  /** `other`: the only one that is not heard; all of them if it is empty. */
  silence(server: string, other: string): void {
    const heard: Sent[] = [];
    for (const peer of this.servers) {
      const heartbeat = this.mailboxOf(server).newestHeartbeat(peer.name);
      if (other === "" || peer.name === other || peer.replica === null || heartbeat === undefined) continue;
      this.#setMailbox(server, this.mailboxOf(server).after(heartbeat));
      heard.push(heartbeat);
    }
    this.turn(server, `silence ${heard.map(({ id }) => id)}`, (turn) => turn.silence(heard));
  }

  /** Of all that the other one is. */
  snapshot(server: string): void {
    const { peer } = this.server(server).snapshot ?? { peer: server };
    const from = this.#state(peer);
    this.turn(server, `snapshot ${from.id}`, (turn) => turn.snapshot(from.server.replica));
  }

  // --- messages and the registry ----------------------------------------------------------------------------------

  deliver(server: string, id: number): void {
    const sent = this.letter(id);
    this.#setMailbox(server, this.mailboxOf(server).after(sent));
    this.turn(server, `deliver ${id}`, (turn) => turn.deliver(sent));
  }

  /** Nobody is there: what was to be heard of it is not heard any more. */
  miss(server: string, peer: string): void {
    this.#setMailbox(server, this.mailboxOf(server).withoutHeartbeats(peer));
    this.turn(server, `miss ${peer}`, (turn) => turn.miss(peer));
  }

  #letGo(): void {
    for (let at = 0; at < this.#states.length; at += 1) {
      const mailbox = this.#mailboxes[at] as Mailbox;
      const kept = mailbox.keptBy(this.#states[at] as ServerState);
      if (kept !== mailbox) this.#mailboxes = this.#mailboxes.with(at, kept);
    }
  }

  #isAlive(cas: OpenCas): boolean {
    return this.server(cas.by).replica?.self === cas.incarnation;
  }

  land(writeId: string): void {
    this.#registry = this.#registry.land(writeId);
  }

  /** Its sender is told how it ended, or that no answer came. */
  answer(writeId: string, isLate: boolean): void {
    const { by, answer } = this.#registry.byName(writeId);
    this.#registry = this.#registry.tell(writeId);
    const told = isLate || answer === null ? ({ outcome: "unknown", reason: "timeout" } as const) : answer;
    const name = `answer ${writeId} ${told.outcome} ${told.outcome === "won" ? told.revision : ""}`;
    this.turn(by, name, (turn) => turn.take((replica, nowMs) => replica.onCasAnswer(writeId, told, nowMs)));
  }

  read(server: string, revision: number): void {
    this.#readings = this.#readings.with(this.#at(server), null);
    const name = `read ${revision} ${this.#registry.recordId(revision)}`;
    this.turn(server, name, (turn) => turn.read(this.#registry.at(revision), revision));
  }

  /** Nothing is under way any more. */
  forgetMessages(): void {
    this.#mailboxes = this.#mailboxes.map((mailbox) => mailbox.cleared());
  }
  /** From here on what happens counts. */
  beginCounting(): void {
    this.#earlier = this.requests;
    this.#spent = 0;
  }
}

/** Revisions are below it. */
const maxRevision = 64;
