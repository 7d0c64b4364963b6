/**
 * A simulated operator: sends commands to servers as `twinlog switch`, `pause`, `resume`, `flush` and `accept-time` do. What always holds:
 * whoever was told to pause is told to go on when the faults are over, again and again until the primary has heard it.
 */
import type { Bus, BusMessage, Clock } from "../../../actors/world/ports.ts";
import { StatusGathering } from "../../../deploy/commands/service-status.ts";
import { type ControlReply, type ControlVerb, ServerStatus, type ServiceStatus } from "../../../schemas/status.ts";
import { subjects } from "../../../schemas/subjects.ts";
import type { Moment, Moments } from "../judge/moments.ts";

const againMs = 300;

interface Asked {
  readonly server: string;
  readonly verb: ControlVerb;
  readonly onAnswer: (reply: ControlReply) => void;
}

export class Operator {
  readonly #service: string;
  readonly #servers: readonly string[];
  readonly #bus: Bus;
  readonly #clock: Clock;
  readonly #moments: Moments;
  readonly #asked = new Map<string, Asked>();
  /** The incarnation of a server that it sees. */
  seen: (server: string) => string = () => "";
  /** A server obeyed, and said this. */
  onObeyed: (server: string, verb: ControlVerb, message: string) => void = () => {};
  /** Servers whose clock it has taken for right, or may have. */
  readonly acceptedClocks = new Set<string>();
  /** Whom it has told to go on by force, each time that it did. */
  readonly recovering: string[] = [];
  #count = 0;
  #hasPaused = false;
  #hasPausedFailover = false;

  constructor(options: { service: string; servers: readonly string[]; bus: Bus; clock: Clock; moments: Moments }) {
    this.#service = options.service;
    this.#servers = options.servers;
    this.#bus = options.bus;
    this.#clock = options.clock;
    this.#moments = options.moments;
  }

  async start(): Promise<void> {
    this.#bus.subscribe("_INBOX.operator.*", (message) => this.#onReply(message));
    await this.#bus.start(() => undefined);
  }

  /** `incarnation`: the one that is meant, where it is not the one that is seen first. */
  command(
    server: string,
    verb: ControlVerb,
    onAnswer: Asked["onAnswer"] = () => {},
    incarnation = this.seen(server),
    forMs?: number,
  ): void {
    if (verb === "pause") this.#hasPaused = true;
    if (verb === "pause-failover") this.#hasPausedFailover = true;
    if (verb === "accept-time") this.acceptedClocks.add(server);
    if (verb === "recover") this.recovering.push(server);
    this.#count += 1;
    const reply = `_INBOX.operator.${this.#count}`;
    this.#asked.set(reply, { server, verb, onAnswer });
    const body = Buffer.from(JSON.stringify({ incarnation, ...(forMs === undefined ? {} : { forMs }) }));
    this.#bus.publish(subjects.control(this.#service, server, verb), body, undefined, reply);
  }

  /** Listens to what the servers say of themselves, as `twinlog status` does, until it is asked what follows from it. */
  gather(): () => ServiceStatus {
    const gathering = new StatusGathering();
    const subscription = this.#bus.subscribe(subjects.statuses(this.#service), ({ data }) =>
      gathering.onStatus(ServerStatus.parse(JSON.parse(Buffer.from(data).toString())), this.#clock.nowMs()),
    );
    return () => {
      subscription.stop();
      return gathering.conclude(this.#service, this.#clock.nowMs());
    };
  }

  /**
   * Intake and failover go on wherever they were paused. A server that is no primary refuses: the next one to be it may be the paused
   * one; where there is none, each lets failover go on.
   */
  resumeAll(): void {
    if (!this.#hasPaused && !this.#hasPausedFailover) return;
    if (this.#hasPaused) for (const server of this.#servers) this.command(server, "resume");
    if (this.#hasPausedFailover) for (const server of this.#servers) this.command(server, "resume-failover");
    this.#clock.after(againMs, () => this.resumeAll());
  }

  #onReply(message: BusMessage): void {
    const asked = this.#asked.get(message.subject);
    if (asked === undefined || message.status !== undefined) return;
    const answer = JSON.parse(Buffer.from(message.data).toString()) as ControlReply;
    const { ok, message: text } = answer;
    asked.onAnswer(answer);
    const moment = obeyed[asked.verb];
    if (!ok) return;
    this.#asked.delete(message.subject);
    this.onObeyed(asked.server, asked.verb, text);
    if (moment !== undefined) this.#moments.count(moment);
  }
}

const obeyed: Readonly<Partial<Record<ControlVerb, Moment>>> = {
  switch: "operator: roles switched",
  pause: "operator: intake paused",
  resume: "operator: intake goes on",
  flush: "operator: flushed",
  recover: "operator: recovered by force",
  "accept-time": "operator: clock taken for right",
};
