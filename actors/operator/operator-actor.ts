/**
 * What operators see and say (status, event, control), and the reports of the actors on their own subjects. What
 * always holds: status is read from the replica, never kept, and tells no trouble of the replica's that is over; a command
 * is answered with what was begun or why it was not.
 */

import type { Outbox } from "../../machines/replica/outbox.ts";
import type { Replica } from "../../machines/replica/replica.ts";
import { backupVerb } from "../../schemas/backup.ts";
import type { RegistryRecord } from "../../schemas/registry.ts";
import type { Settings } from "../../schemas/settings.ts";
import {
  type ControlReply,
  ControlRequest,
  type ControlVerb,
  controlVerbs,
  OwnName,
  type ServerEvent,
  type ServerStatus,
} from "../../schemas/status.ts";
import { parseControlSubject, subjects } from "../../schemas/subjects.ts";
import type { Surroundings } from "../../schemas/surroundings.ts";
import type { Actor, Mailbox } from "../actor.ts";
import type { Application } from "../application/define.ts";
import type { Backups } from "../checkpoint/backups.ts";
import type { ReplyGate } from "../reply-gate.ts";
import type { BusMessage, Clock, Subscription, Timer, World } from "../world/ports.ts";
import { FailoverWatch, failoverText } from "./failover-watch.ts";
import type { Meters } from "./meters.ts";
import { ResultsWatch } from "./results-watch.ts";
import { SchemaAnswers } from "./schema-answers.ts";
import type { Troubles } from "./troubles.ts";

/** The process that the server is, or is in. */
export interface OwnProcess {
  readonly pid: number;
  readonly version: string;
  /** Of memory, now; not there where nobody could make anything of it. */
  readonly residentBytes?: () => number;
}

export interface OperatorOptions {
  readonly settings: Settings;
  readonly world: World;
  readonly mailbox: Mailbox;
  readonly replica: Replica;
  readonly application: Application;
  readonly actors: readonly Actor[];
  /** What the replica does not know of this server. */
  readonly facts: () => Pick<ServerStatus, "application" | "machines" | "timers" | "flushed" | "synced" | "links">;
  readonly flush: () => Promise<void>;
  readonly backups: Backups;
  readonly gate: ReplyGate;
  readonly troubles: Troubles;
  readonly meters: Meters;
  readonly recentEvents: ServerEvent[];
  readonly process: OwnProcess;
}

/** So many beats an answer is waited for before this server makes itself the primary. */
const listenBeats = 2;
/** Transitions that a server remembers for those who ask. */
const maxRecentEvents = 100;
/** How often the disk, the broker and the certificates are looked at. */
const lookAroundMs = 30_000;

export class OperatorActor {
  readonly #options: OperatorOptions;
  readonly #schema: SchemaAnswers;
  #subscriptions: Subscription[] = [];
  #isStatusDue = false;
  #timer: Timer | null = null;
  #surroundings: Surroundings | null = null;
  readonly #resultsWatch = new ResultsWatch();
  readonly #failovers = new FailoverWatch();

  constructor(options: OperatorOptions) {
    this.#options = options;
    this.#schema = new SchemaAnswers({ ...options, digest: options.replica.options.schema });
  }

  start(): void {
    const { world, mailbox, settings, actors, gate } = this.#options;
    const { service, server } = settings;
    const hear = (subject: string, onMessage: (message: BusMessage) => void) =>
      this.#subscriptions.push(world.bus.subscribe(subject, onMessage));
    const judged = (message: BusMessage, handle: () => void) => {
      if (gate.passes(message.reply, "commands and questions")) mailbox.input(handle);
    };
    hear(subjects.controls(service, server), (message) => judged(message, () => this.#onControl(message)));
    for (const actor of actors) {
      const answer = (message: BusMessage) =>
        this.#answer(message, { actor: actor.name, ...actor.report(), ...this.#past(actor) });
      // Records on the failsafe link come on the same subject, for the link to read; a question is empty.
      hear(subjects.actor(service, server, actor.name), (message) => {
        if (message.data.length === 0) judged(message, () => answer(message));
      });
    }
    hear(subjects.schema(service), (message) => judged(message, () => this.#schema.answer(message.reply, this.#isHot)));
    // Nothing is ever answered there.
    hear(subjects.status(service, server), ({ data }) => mailbox.input(() => this.#onOwnName(data)));
    this.#askForNamesakes();
    this.#schedule();
    this.#announce();
    this.#lookAround();
  }

  get #isHot(): boolean {
    return this.#options.replica.role === "primary";
  }

  /** The failover agent's answer has what happened here. */
  #past({ name }: Actor): { events?: readonly ServerEvent[] } {
    return name === "failover" ? { events: this.#options.recentEvents } : {};
  }

  /** Whoever else has this server's name answers at once, and says what it is again and again. */
  #askForNamesakes(): void {
    const { world, mailbox, settings, replica } = this.#options;
    const { service, server, limits } = settings;
    const inbox = world.bus.inbox();
    this.#subscriptions.push(
      world.bus.subscribe(inbox, (message) => mailbox.input(() => this.#onOwnName(message.data))),
    );
    world.bus.publish(subjects.actor(service, server, "failover"), new Uint8Array(0), undefined, inbox);
    const nowMs = world.clock.nowMs();
    replica.onNamesakesAsked(nowMs + listenBeats * limits.heartbeatMs, nowMs);
  }

  /** Something that came under this server's name; its own is passed over. */
  #onOwnName(data: Uint8Array): void {
    const { world, replica } = this.#options;
    const said = OwnName.safeParse(readJson(data)).data;
    if (said === undefined || said.incarnation === replica.self) return;
    const hot = said.hot ?? said.role === "primary";
    replica.onNamesake({ incarnation: said.incarnation, hot }, world.clock.nowMs());
  }

  /** $SRV.PING, INFO and STATS answer for this server. */
  #announce(): void {
    const { world, mailbox, settings, process, gate } = this.#options;
    const { schema } = this.#options.replica.options;
    const announced = world.bus.announceService({
      name: settings.service,
      version: process.version.split("-")[0] ?? process.version,
      description: `${settings.application} on Twinlog, server ${settings.server}`,
      metadata: {
        server: settings.server,
        application: settings.application,
        schema,
        schemaSubject: subjects.schema(settings.service),
      },
      mayAnswer: (reply) => gate.passes(reply, "questions to the services API"),
      stats: () => {
        const { role, state, mode, epoch, sequence, committed, inFlight } = this.status();
        return { role, state, mode, epoch, sequence, committed, inFlight };
      },
    });
    mailbox.watch(announced, (announcement) => this.#subscriptions.push(announcement));
  }

  stop(): void {
    this.publishStatus();
    this.#timer?.cancel();
    for (const subscription of this.#subscriptions) subscription.stop();
    this.#subscriptions = [];
  }

  /** The replica is asked what troubles it; the actors say it themselves. */
  onTick(): void {
    const { troubles, replica, world } = this.#options;
    for (const [code, message] of replica.troubles()) troubles.set(code, message);
    troubles.set("log.lost", world.log.trouble?.() ?? null);
    troubles.set("peers.unproven", world.unproven ?? null);
    troubles.onTick();
    this.#schema.onTick();
  }

  #schedule(): void {
    const { mailbox, settings } = this.#options;
    this.#timer = mailbox.after(settings.limits.statusMs, () => {
      this.#schedule();
      this.publishStatus();
    });
  }

  #answer(message: BusMessage, body: unknown): void {
    if (message.reply !== "") this.#options.world.bus.publish(message.reply, Buffer.from(JSON.stringify(body)));
  }

  status(): ServerStatus {
    const { settings, world, facts, process, troubles, meters } = this.#options;
    const replica = this.#options.replica;
    const { pid, version, residentBytes } = process;
    const load = residentBytes && { residentBytes: residentBytes(), answered: [...meters.requests.counts] };
    // Raised they are each tick only: what comes and goes between two ticks troubles nobody.
    for (const [code, message] of replica.troubles()) troubles.follow(code, message);
    const { record } = replica;
    const nowMs = world.clock.nowMs();
    return {
      service: settings.service,
      name: settings.server,
      pid,
      version,
      role: replica.role,
      state: replica.state,
      incarnation: replica.self,
      epoch: replica.epochSeen,
      history: replica.history,
      mode: record?.mode ?? null,
      record: record === null ? null : toldRecord(record),
      peers: settings.servers
        .filter(({ name }) => name !== settings.server)
        .map(({ name }) => ({ name, silentMs: replica.silentMs(name, nowMs), ...aheadOf(replica, name, world.clock) })),
      statusMs: settings.limits.statusMs,
      sequence: replica.log.last,
      committed: replica.committed,
      why: replica.why,
      waitingFor: replica.waitingFor,
      troubles: troubles.open,
      ...toldProgram(replica),
      results: replica.results,
      inFlight: replica.inFlight,
      ...(replica.time === null ? {} : { time: replica.time }),
      ...(load === undefined ? {} : { load }),
      ...(this.#failovers.done === null ? {} : { failover: this.#failovers.done }),
      testService: settings.testService,
      atMs: world.clock.wallMs(),
      ...(this.#surroundings === null ? {} : { surroundings: this.#surroundings }),
      ...facts(),
    };
  }

  /** Now, and again and again; what cannot be looked at says so itself. */
  #lookAround(): void {
    const { world, mailbox } = this.#options;
    if (world.lookAround === undefined) return;
    mailbox.after(lookAroundMs, () => this.#lookAround());
    mailbox.watch(world.lookAround(), (seen) => {
      const { resultsStream } = seen;
      this.#surroundings = seen;
      if (resultsStream === undefined) return;
      const lacks = this.#resultsWatch.onLook(resultsStream, this.#options.replica.results);
      if (resultsStream !== null) this.#surroundings = { ...seen, resultsStream: { ...resultsStream, lacks } };
    });
  }

  publishStatus(): void {
    const { world, settings } = this.#options;
    world.bus.publish(subjects.status(settings.service, settings.server), Buffer.from(JSON.stringify(this.status())));
  }

  onEvent({ event, from, to, why }: Extract<Outbox, { type: "event" }>): void {
    this.#failovers.onEvent(from, to);
    this.#tell({ machine: "lifecycle", event, from, to, why });
  }

  /** It takes requests, and all that was acknowledged is committed here. */
  onReady(): void {
    const { replica, world, settings, meters } = this.#options;
    const done = this.#failovers.onReady(replica.lastWord, world.clock.nowMs(), world.clock.wallMs());
    if (done === null) return;
    const { gapMs } = done;
    meters.failoverGaps.observe(gapMs);
    const { state } = replica;
    const why = failoverText(done, settings.server);
    this.#tell({ machine: "failover", event: "failover.done", from: state, to: state, why, gapMs });
  }

  /** Remembered, logged and published. */
  #tell(step: Pick<ServerEvent, "machine" | "event" | "from" | "to" | "why" | "gapMs">): void {
    const { settings, world, recentEvents } = this.#options;
    const replica = this.#options.replica;
    const told: ServerEvent = {
      service: settings.service,
      server: settings.server,
      incarnation: replica.self,
      ...step,
      epoch: replica.epochSeen,
      sequence: replica.log.last,
      atMs: world.clock.wallMs(),
    };
    recentEvents.push(told);
    if (recentEvents.length > maxRecentEvents) recentEvents.shift();
    const { event, from, to, epoch, sequence } = told;
    world.log.info({ event, from, to, epoch, sequence }, told.why);
    world.bus.publish(subjects.event(settings.service, settings.server), Buffer.from(JSON.stringify(told)));
    this.#publishStatusSoon();
  }

  /** Once for all transitions of a moment, and after what follows from them: a takeover does not wait for it. */
  #publishStatusSoon(): void {
    if (this.#isStatusDue) return;
    this.#isStatusDue = true;
    this.#options.mailbox.after(0, () => {
      this.#isStatusDue = false;
      this.publishStatus();
    });
  }

  #onControl(message: BusMessage): void {
    const { verb = "", operator = null } = parseControlSubject(message.subject) ?? {};
    if (verb === backupVerb) {
      this.#options.backups.onRequest(message);
      return;
    }
    const known = controlVerbs.find((name) => name === verb);
    if (known === undefined) {
      this.#answer(message, {
        ok: false,
        message: `there is no command ${verb}; there are: ${[...controlVerbs, backupVerb].join(", ")}`,
      });
      return;
    }
    const { self: incarnation } = this.#options.replica;
    const answer = (reply: ControlReply) => this.#answer(message, { ...reply, incarnation });
    const request = readRequest(message.data, operator);
    if (typeof request === "string") {
      answer({ ok: false, message: request });
      return;
    }
    const notMeant = this.#options.replica.whyNotMeant(request.incarnation, known === "recover");
    const told = (reply: ControlReply) => {
      this.#tellCommand(known, request, operator !== null, reply);
      answer(reply);
    };
    if (notMeant === null) this.#obey(known, request, told);
    else told({ ok: false, message: notMeant });
  }

  /** Who did it is seen by everybody; what was refused stands in this server's log. */
  #tellCommand(
    verb: ControlVerb,
    { by, forMs }: ControlRequest,
    isNamed: boolean,
    { ok, message }: ControlReply,
  ): void {
    const { world, replica } = this.#options;
    const claimed = by === undefined ? "an operator who gave no name" : `somebody who says to be ${by}`;
    const asked = `${verb} by ${isNamed ? by : claimed}`;
    if (!ok) {
      world.log.info({ verb, by, forMs }, `${asked}, refused: ${message}`);
      return;
    }
    const { state } = replica;
    const lasts = forMs === undefined ? "" : `, for ${forMs / 1_000} s`;
    this.#tell({ machine: "operator", event: verb, from: state, to: state, why: `${asked}: ${message}${lasts}` });
  }

  #obey(verb: ControlVerb, { despite, forMs }: ControlRequest, answer: (reply: ControlReply) => void): void {
    const { world, mailbox, flush } = this.#options;
    const replica = this.#options.replica;
    const nowMs = world.clock.nowMs();
    const told = (refusal: string | null, done: string): ControlReply => ({
      ok: refusal === null,
      message: refusal ?? done,
    });
    switch (verb) {
      case "switch":
        answer(told(replica.onSwitch(nowMs), "the roles are being switched"));
        return;
      case "recover":
        answer(told(replica.onRecover(despite, nowMs), acceptedLoss(replica.log.last)));
        return;
      case "pause":
      case "resume":
        answer(
          told(
            replica.onPause(verb === "pause", forMs, nowMs),
            verb === "pause" ? "intake is paused" : "intake goes on",
          ),
        );
        return;
      case "accept-time":
        answer(
          told(replica.onAcceptTime(nowMs, world.clock.wallMs()), "requests and timers go by this server's clock"),
        );
        return;
      case "pause-failover":
        answer(told(replica.onPauseFailover(true, forMs, nowMs), "failover is being paused"));
        return;
      case "resume-failover":
        answer(told(replica.onPauseFailover(false, undefined, nowMs), "failover goes on"));
        return;
      case "flush":
        mailbox.watch(flush(), () => answer({ ok: true, message: "everything committed is on the disk" }));
        return;
    }
  }
}

function toldRecord({ primary, inSync, failoverPause }: RegistryRecord): ServerStatus["record"] {
  return { primary, inSync, ...(failoverPause === undefined ? {} : { failoverPause }) };
}

function toldProgram({ options, stateVersion }: Replica): Pick<ServerStatus, "program"> {
  const { program } = options;
  if (program === undefined) return {};
  return { program: { application: program.application, version: program.version, state: stateVersion } };
}

function aheadOf(replica: Replica, name: string, clock: Clock): { aheadMs?: number } {
  const aheadMs = replica.aheadMs(name, clock.nowMs(), clock.wallMs());
  return aheadMs === undefined ? {} : { aheadMs: Math.round(aheadMs) };
}

/**
 * An empty body says nothing beside the verb. Why it is none: it may have said for how long, or whom it meant. `operator`: whom the
 * subject names; what the body says of that counts for nothing then.
 */
function readRequest(data: Uint8Array, operator: string | null): ControlRequest | string {
  const said = data.length === 0 ? {} : readJson(data);
  const named = operator === null || !isFields(said) ? said : { ...said, by: operator };
  const parsed = ControlRequest.safeParse(named);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const at = issue === undefined || issue.path.length === 0 ? "" : `${issue.path.join(".")}: `;
  return `what the command says does not fit (${at}${issue?.message}): nothing was done`;
}

const isFields = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null;

function readJson(data: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(data).toString());
  } catch {
    return undefined;
  }
}

/** Rule 18: what may be lost is what others have and this server has not. */
function acceptedLoss(last: number): string {
  return `goes on alone with a new history after record ${last}; what was acknowledged and is not among these is lost`;
}
