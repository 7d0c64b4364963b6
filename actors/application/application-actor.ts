/**
 * The application process of one server (claims 15, 16, 25): warm, it applies committed records; hot, it takes requests,
 * runs handlers, and hands out what the replica releases. What always holds: state changes by effects through one code
 * path; the hot state runs ahead of the commit point and dies with the role; nothing here decides what may leave.
 */

import assert from "node:assert/strict";
import {
  type ApplicationAction,
  type ApplicationEvent,
  type ApplicationSnapshot,
  applicationStep,
  loadingApplication,
} from "../../machines/application.ts";
import { hashOfAny } from "../../machines/codec/body-hash.ts";
import type { LogBatch } from "../../machines/log/batch.ts";
import type { RunningRequest } from "../../machines/replica/log/requests.ts";
import type { Outbox } from "../../machines/replica/outbox.ts";
import { refusal } from "../../machines/replica/primary/intake.ts";
import type { Replica } from "../../machines/replica/replica.ts";
import type { Rules } from "../../machines/replica/rules.ts";
import { stateName } from "../../machines/step.ts";
import { duplicateHeaders } from "../../schemas/envelope.ts";
import type { Settings } from "../../schemas/settings.ts";
import { parseClientSubject, subjects } from "../../schemas/subjects.ts";
import { timersName } from "../../schemas/timers.ts";
import type { Actor, Mailbox } from "../actor.ts";
import { BoundedLines, stackOf } from "../bounded-lines.ts";
import { UnderWay } from "../operator/durations.ts";
import type { Meters } from "../operator/meters.ts";
import type { ReplyGate } from "../reply-gate.ts";
import {
  type BusFault,
  type BusHeaders,
  type BusMessage,
  noWatchdog,
  type Subscription,
  type Watchdog,
  type World,
} from "../world/ports.ts";
import { Applying } from "./applying.ts";
import { BodyParser } from "./body.ts";
import type { Application } from "./define.ts";
import { Door } from "./door.ts";
import { messageOf } from "./errors.ts";
import { type DoorGuard, parseQuery, parseRequest, senderOf } from "./front.ts";
import { Migrating } from "./migrating.ts";
import { publishReply } from "./pieces.ts";
import { answerNotHot, Replays } from "./replay.ts";
import { ResultsPublisher } from "./results.ts";
import { HandlerRunner } from "./runner.ts";
import type { ApplicationState } from "./state.ts";
import { Timers } from "./timers.ts";

export interface ApplicationActorOptions {
  readonly application: Application;
  readonly settings: Settings;
  readonly world: Pick<World, "clock" | "bus" | "log" | "watchdog">;
  readonly mailbox: Mailbox;
  readonly replica: Replica;
  readonly rules: Rules;
  readonly meters: Meters;
  readonly gate: ReplyGate;
  /** What the disk makes of the state, and through which record. */
  readonly loaded: { readonly state: ApplicationState; readonly applied: number };
  /** The committed log, oldest first: from disk, then from memory. */
  readonly committedLog: (from: number) => AsyncIterable<LogBatch>;
  /** Builds the state again from the disk, and ends in `loaded`. */
  readonly loadState: () => void;
}

export interface Delivery {
  readonly replies: number;
  /** Sent in pieces. */
  readonly omittedReplies: number;
  /** For which a stand-in was published. */
  readonly omittedResults: number;
  /** NATS forbids them. */
  readonly areResultsHeldBack: boolean;
}

/** What a message has besides a record: headers, the sender's name, fields of its own. */
const messageRoomBytes = 16 * 1024;
/** Of one turn, at most, for what waits at the door or behind an attempt record: others are to be heard meanwhile. */
const maxServeMs = 25;
/** Whatever the broker takes, a record may have so many bytes: an application that failed says so in fewer. */
const leastRecordBytes = 1024;

/** The largest record that a broker takes that takes so much: as a result, a reply, or on the failsafe link. */
function recordBytesFor(payloadBytes: number): number {
  return Math.max(leastRecordBytes, payloadBytes - Math.min(messageRoomBytes, payloadBytes / 2));
}

export class ApplicationActor implements Actor {
  readonly name = "application";
  readonly #options: ApplicationActorOptions;
  readonly #parser: BodyParser;
  readonly #results: ResultsPublisher;
  readonly #replica: Replica;
  #machine: ApplicationSnapshot = loadingApplication;
  #state: ApplicationState;
  #runner: HandlerRunner<RunningRequest>;
  #applied: number;
  #applying: Applying;
  /** Given to be applied, through this record. */
  #given: number;
  /** Results of records through here are NATS's already. */
  #publishAfter = 0;
  #subscriptions: Subscription[] = [];
  readonly #door: Door;
  /** For how long what waits is handled in one turn. */
  readonly #serveMs: number;
  /** Its, while it is open. */
  #listening: Subscription[] = [];
  #waiting: { needs: number; resolve: () => void }[] = [];
  #requests = 0;
  readonly #migrating: Migrating;
  readonly #timers: Timers;
  /** Why nothing can be made of the state, as the replica was told. */
  #told = "";
  /** Sent, as far as the connection was there; and those of them that went in pieces. */
  #replies = 0;
  #omittedReplies = 0;
  readonly #replays: Replays;
  readonly #watchdog: Watchdog;
  readonly #guard: DoorGuard;
  readonly #errorLines: BoundedLines;
  /** Requests whose result is a record, until that is committed. */
  readonly #unanswered = new UnderWay();

  constructor(options: ApplicationActorOptions) {
    this.#options = options;
    this.#replica = options.replica;
    this.#parser = new BodyParser(options.application);
    this.#watchdog = options.world.watchdog ?? noWatchdog;
    this.#guard = {
      watchdog: this.#watchdog,
      endedByBody: (client, id) => this.#replica.endedByBody(client, id),
      isKnown: (client, id) => this.#replica.isKnown(client, id),
    };
    this.#errorLines = new BoundedLines(options.world.clock);
    this.#replays = new Replays(options.world.clock, options.settings.limits.maxReplayBytesPerSecond);
    this.#results = new ResultsPublisher(options.world.bus, options.settings.service, options.rules);
    const { heartbeatMs, maxInFlight, maxUnconfirmedBytes } = options.settings.limits;
    this.#serveMs = Math.min(maxServeMs, heartbeatMs / 2);
    this.#door = new Door({
      clock: options.world.clock,
      rules: options.rules,
      maxMessages: maxInFlight,
      maxBytes: maxUnconfirmedBytes,
      serveMs: this.#serveMs,
      isOpen: () => options.mailbox.isOpen,
      handle: (message, isQuery, sinceMs) => (isQuery ? this.#onQuery(message) : this.#onRequest(message, sinceMs)),
      turnAway: (message) => this.#turnAway(message),
    });
    this.#migrating = new Migrating(options, recordBytesFor);
    this.#timers = new Timers({ ...options, ...options.world, run: (request) => this.#run(request) });
    this.#state = options.loaded.state;
    this.#applied = options.loaded.applied;
    this.#given = this.#applied;
    this.#applying = new Applying(this.#state);
    this.#runner = this.#makeRunner();
    this.#send({ type: "state.loaded" });
  }

  get state(): ApplicationState {
    return this.#state;
  }
  /** The last record whose effects are in the state. */
  get applied(): number {
    return this.#applied;
  }
  /** The application machine's. */
  get machineState(): string {
    return stateName(this.#machine);
  }
  get process(): "hot" | "warm" | "stopped" {
    const name = stateName(this.#machine);
    return name === "hot" || name === "warm" ? name : "stopped";
  }

  #send(event: ApplicationEvent): void {
    const [next, actions] = applicationStep(this.#machine, event);
    this.#machine = next;
    for (const action of actions) this.#perform(action);
  }

  #perform(action: ApplicationAction): void {
    switch (action) {
      case "loadState":
        this.#options.loadState();
        return;
      case "takeRequests":
        if (this.#options.settings.publishResults) this.#results.start(this.#publishAfter);
        // Not only when a turn ends: clients wait, and results that are still to be published would go first.
        this.#judgeDoor();
        return;
      case "abandonHandlers":
        this.#runner.abandonAll();
        this.#unanswered.clear();
        this.#migrating.drop();
        this.#timers.drop(this.#state);
        this.#waiting = [];
        this.#results.stop();
        this.#replays.cut();
        this.#closeDoor();
        this.#door.close();
        return;
    }
  }

  #makeRunner(): HandlerRunner<RunningRequest> {
    const { application, settings, world, mailbox, rules } = this.#options;
    const { handlerMs, maxRecordBytes, maxRequestBytes } = settings.limits;
    return new HandlerRunner<RunningRequest>({
      application,
      state: this.#state,
      clock: world.clock,
      takesTimer: rules.takesTimer,
      limits: {
        handlerMs,
        maxTimerBytes: maxRequestBytes,
        // The broker may take less tomorrow: asked for each transaction, and never of what is stored already.
        maxRecordBytes: () => rules.recordRoom(maxRecordBytes, recordBytesFor(world.bus.maxPayloadBytes())),
      },
      sink: {
        transaction: (request, record) => {
          this.#replica.onTransaction(request, record, world.clock.nowMs());
          this.#applied = this.#replica.log.last;
          mailbox.touch();
        },
        final: (request, record) => {
          this.#replica.onResult(request, record, world.clock.nowMs());
          this.#applied = this.#replica.log.last;
          if (request.sinceMs > 0) this.#unanswered.begin(this.#applied, request.sinceMs);
          mailbox.touch();
        },
        committed: () => {
          const needs = this.#replica.log.last;
          mailbox.touch();
          return new Promise((resolve) => this.#waiting.push({ needs, resolve }));
        },
        nextSequence: () => this.#replica.log.last + 1,
        failed: (request, error) => this.#tellFailure(request, error),
        onWaiting: (count, one) =>
          this.#watchdog.onWaiting(count, one?.client ?? "", one?.id ?? "", (one?.startsAfter ?? 0) > 0),
        fatal: (error) => mailbox.fail(error),
      },
    });
  }

  /** For the application's author. */
  #tellFailure({ client, id }: RunningRequest, error: unknown): void {
    this.#options.meters.handlerFailures += 1;
    const more = this.#errorLines.next();
    if (more === null) return;
    const fields = { client, id, stack: stackOf(error), ...more };
    this.#options.world.log.warn(fields, `a handler failed: ${messageOf(error)}`);
  }

  // --- state ------------------------------------------------------------------------------------------------------

  /** The state that counts from now on; it holds the records through `applied`. */
  loaded(state: ApplicationState, applied: number): void {
    this.#state = state;
    this.#applied = applied;
    this.#given = applied;
    this.#applying = new Applying(state);
    if (!this.#replica.hasViews) this.#replica.onViews(true, this.#options.world.clock.nowMs());
    this.#runner = this.#makeRunner();
    this.#tellWhetherReadable();
    this.#send({ type: "state.loaded" });
  }
  outdated(): void {
    this.#send({ type: "state.outdated" });
  }

  /** Applies these records; their effects are for good on this server. */
  apply({ through, batches }: Extract<Outbox, { type: "apply" }>): void {
    const last = this.#applying.isDone ? this.#applied : this.#given;
    if (through <= last) return;
    assert.equal(batches[0]?.first, last + 1, "records that go on from those that are applied");
    this.#given = through;
    this.#applying.add(batches);
    this.#applyOn();
  }

  /** True when all that was given is applied; views of a large state are made over many turns, and nothing is served meanwhile. */
  #applyOn(): boolean {
    if (this.#applying.isDone) return true;
    const { clock } = this.#options.world;
    const untilMs = clock.nowMs() + this.#serveMs;
    this.#watchdog.enter("view", "", "", 0, true);
    this.#applying.goOn(() => clock.nowMs() < untilMs);
    this.#watchdog.leave();
    const { isDone } = this.#applying;
    if (isDone) this.#applied = this.#given;
    else this.#options.mailbox.touch();
    if (this.#replica.hasViews !== isDone) this.#replica.onViews(isDone, clock.nowMs());
    this.#tellWhetherReadable();
    return isDone;
  }

  /** The program of a server that follows may be older than the one that made the records. */
  #tellWhetherReadable(): void {
    const { whyUnreadable } = this.#state;
    if (whyUnreadable === this.#told) return;
    this.#told = whyUnreadable;
    const { clock, log } = this.#options.world;
    if (whyUnreadable !== "") log.error({ why: whyUnreadable }, "this program can make nothing of the state any more");
    this.#replica.onStateRead(whyUnreadable, clock.nowMs());
  }

  // --- hot and cold -----------------------------------------------------------------------------------------------

  start(): void {
    const { world, settings } = this.#options;
    const replay = this.#heard((message) => this.#onReplay(message));
    this.#subscriptions.push(world.bus.subscribe(subjects.replay(settings.service), replay));
    // Nobody sends there: a server that is not hot finds out so whether NATS would let it hear requests.
    for (const unused of [subjects.request(settings.service, "", ""), subjects.query(settings.service, "", "")])
      this.#subscriptions.push(world.bus.subscribe(unused, () => undefined));
  }

  stop(): void {
    this.#send({ type: "stop" });
    for (const subscription of this.#subscriptions) subscription.stop();
    this.#subscriptions = [];
  }

  goHot(publishAfter: number): void {
    this.#publishAfter = publishAfter;
    this.#send({ type: "role.hot" });
  }

  goCold(): void {
    this.#send({ type: "role.cold" });
  }

  /**
   * One input a message; whoever wants the answer where it would do harm gets none, and nothing is done for him.
   */
  #heard(handle: (message: BusMessage) => void): (message: BusMessage) => void {
    const { mailbox, gate } = this.#options;
    return (message) => {
      if (gate.passes(message.reply, "requests, queries and replays")) mailbox.input(() => handle(message));
    };
  }

  #judgeDoor(): void {
    const isOpen = this.#replica.takesRequests && this.process === "hot";
    if (isOpen && this.#listening.length === 0) this.#openDoor();
    if (!isOpen && this.#listening.length > 0) this.#closeDoor();
  }

  #openDoor(): void {
    const { world, settings } = this.#options;
    const onRequest = this.#heard((message) => this.#door.arrive(message, false));
    const onQuery = this.#heard((message) => this.#door.arrive(message, true));
    this.#listening = [
      world.bus.subscribe(subjects.requests(settings.service), onRequest),
      world.bus.subscribe(subjects.queries(settings.service), onQuery),
    ];
  }

  #closeDoor(): void {
    for (const subscription of this.#listening) subscription.stop();
    this.#listening = [];
  }

  /** Something that the broker did not take. */
  onFault(fault: BusFault): void {
    if (this.#replica.hot) this.#results.onFault(fault, this.#options.world.clock.nowMs());
  }

  /** What the broker's limits and permissions cost: replies in this life, results since the role was taken. */
  get delivery(): Delivery {
    const { omitted, isHeldBack } = this.#results;
    const [replies, omittedReplies] = [this.#replies, this.#omittedReplies];
    return { replies, omittedReplies, omittedResults: omitted, areResultsHeldBack: isHeldBack };
  }

  onBus(connected: boolean): void {
    if (connected) return;
    this.#results.rewind(this.#replica.published);
    this.#replays.cut();
  }

  // --- requests ---------------------------------------------------------------------------------------------------

  /** There is no room for it at the door. */
  #turnAway(message: BusMessage): void {
    const client = parseClientSubject(message.subject)?.client ?? "";
    this.#options.meters.received += 1;
    const isReadable = message.data.length <= this.#options.settings.limits.maxRequestBytes;
    const sender = isReadable && this.#replica.tellsTurnedAway(client) ? senderOf(message, client) : null;
    if (sender !== null) this.#replica.onTurnedAway(sender, this.#options.world.clock.nowMs());
    else this.#options.meters.tally.refused("BUSY");
  }

  /** `waitedMs`: since when it waits; 0: it came just now. */
  #onRequest(message: BusMessage, waitedMs: number): void {
    const { settings, world, meters } = this.#options;
    this.#requests += 1;
    meters.received += 1;
    const replica = this.#replica;
    if (!replica.hot) return;
    const sinceMs = waitedMs > 0 ? waitedMs : world.clock.nowMs();
    const parsed = parseRequest(message, this.#parser, settings.limits.maxRequestBytes, this.#guard, sinceMs);
    if (!parsed.ok) {
      meters.tally.refused(parsed.code);
      const sender = { client: parsed.client, replyTo: message.reply };
      if (parsed.needsProof) replica.onUnreadable(sender, parsed.refusal, world.clock.nowMs());
      else if (message.reply !== "") this.#reply(message.reply, parsed.refusal);
      return;
    }
    const request = replica.onRequest(parsed.value, world.clock.nowMs(), world.clock.wallMs());
    if (request !== null) this.#run(request);
  }

  #run(request: RunningRequest): void {
    // Another version of the program may have begun it, or set the timer.
    const isOld = request.resumed || request.client === timersName;
    const body = isOld ? this.#parser.parse(request.body) : null;
    if (body?.ok === false) {
      const why = request.resumed ? "begun" : "scheduled";
      this.#runner.refuse(
        request,
        request,
        `it was ${why} by an earlier version of the application, and this one does not take its body: ${body.message}`,
      );
      return;
    }
    if (body !== null) request.body = body.value;
    this.#watchdog.enter("handler", request.client, request.id, 0, request.startsAfter > 0);
    this.#runner.run(request, request);
    this.#watchdog.leave();
    if (!request.done) this.#replica.onHandlerWaits(request, this.#options.world.clock.nowMs());
  }

  #onQuery(message: BusMessage): void {
    const { settings, world, meters } = this.#options;
    const replica = this.#replica;
    meters.queries += 1;
    if (!replica.hot || message.reply === "") return;
    const parsed = parseQuery(message, settings.limits.maxRequestBytes);
    if (!parsed.ok) {
      meters.tally.refused(parsed.code);
      this.#reply(message.reply, parsed.refusal);
      return;
    }
    const { client, id, body } = parsed.value;
    const bodyHash = hashOfAny(body);
    const sender = { client, id, replyTo: message.reply };
    const sequence = replica.onQuery(sender, bodyHash, world.clock.nowMs());
    if (sequence === null) return;
    this.#watchdog.enter("query", client, id, bodyHash, true);
    const answer = this.#runner.query(body, sequence, client);
    this.#watchdog.leave();
    if (!answer.ok) {
      meters.tally.refused(answer.code);
      const told = refusal(client, id, answer.code, answer.message);
      // An error that the application threw may say what it saw: it waits like an answer.
      if (answer.code === "INVALID_REQUEST") this.#reply(message.reply, told);
      else replica.onAnswer(sender, told, sequence, world.clock.nowMs());
      return;
    }
    const head = `{"client":${JSON.stringify(client)},"id":${JSON.stringify(id)},"ok":true,`;
    const reply = Buffer.from(`${head}"result":${answer.json},"sequence":${sequence},"epoch":${replica.epoch}}`);
    replica.onAnswer(sender, reply, sequence, world.clock.nowMs());
  }

  #onReplay(message: BusMessage): void {
    const { world, settings, mailbox, committedLog } = this.#options;
    const replica = this.#replica;
    if (!replica.hot || message.reply === "") return;
    if (replica.committed < replica.inherited) {
      answerNotHot(message, world.bus);
      return;
    }
    const { history, committed } = replica;
    const source = {
      service: settings.service,
      history,
      committed,
      lastResult: () => replica.results,
      start: replica.historyStart,
      ancestors: replica.ancestors,
      batches: committedLog,
    };
    mailbox.watch(this.#replays.answer(message, world.bus, source), () => {});
  }

  // --- turns ------------------------------------------------------------------------------------------------------

  /**
   * Before the end of a turn: whether the door is open, and what waits there or for an attempt record. `goesOn`: more is to be read
   * before that is handled.
   */
  beforeTurnEnd(goesOn = false): void {
    const replica = this.#replica;
    const isWhole = goesOn || this.#applyOn();
    this.#judgeDoor();
    if (!replica.hot || goesOn || !isWhole) return;
    if (!replica.isCurrent) {
      this.#migrate();
      if (!replica.isCurrent) return;
    }
    this.#door.serve();
    const { clock } = this.#options.world;
    const untilMs = clock.nowMs() + this.#serveMs;
    if (this.process === "hot") this.#timers.fire(this.#state, untilMs);
    for (let next = replica.nextToStart(); next !== null; next = replica.nextToStart()) {
      this.#run(next);
      // The rest with the next turn: what comes meanwhile must be read.
      if (clock.nowMs() >= untilMs) break;
    }
  }

  /** Makes the state the program's, a piece in each turn; then requests are taken (rule 19). */
  #migrate(): void {
    if (this.process !== "hot" || this.#applied < this.#replica.log.last) return;
    this.#watchdog.enter("migration", "", "", 0, true);
    const outcome = this.#migrating.step(this.#state, this.#serveMs);
    this.#watchdog.leave();
    this.#applied = this.#replica.log.last;
    if (outcome === "goes on") this.#options.mailbox.touch();
    if (outcome === "done") this.#judgeDoor();
  }

  /** After it: replies, results, handlers that wait for the commit. */
  afterTurnEnd(): void {
    const { world, mailbox } = this.#options;
    const replica = this.#replica;
    if (!replica.hot) return;
    // Records without effects count too (attempts, a new history): without the role nobody reads them again, and memory
    // may have let go of them.
    if (this.process === "hot" && this.#applying.isDone) this.#applied = replica.log.last;
    this.#unanswered.end(replica.committed, world.clock.nowMs(), this.#options.meters.requests);
    replica.release((to, bytes, isDuplicate) => this.#reply(to, bytes, isDuplicate ? duplicateHeaders : undefined));
    const publishable = this.#options.rules.mayPublish(replica.log.closed.sequence, replica.committed);
    if (this.#results.publish(replica.log, publishable, replica.history, world.clock.nowMs())) mailbox.touch();
    if (this.#waiting.length > 0) this.#resolveCommitted(replica.committed);
    if (replica.hasStartable || this.#door.waiting > 0) mailbox.touch();
    if (this.process === "hot" && this.#applying.isDone) this.#timers.arm(this.#state);
  }

  onLongRun(): void {
    this.#door.onLongRun();
  }

  #reply(to: string, bytes: Uint8Array, given?: BusHeaders): void {
    const sent = publishReply(this.#options.world.bus, to, bytes, given);
    if (sent === "omitted") this.#omittedReplies += 1;
    if (sent !== "lost") this.#replies += 1;
  }

  #resolveCommitted(committed: number): void {
    const ready = this.#waiting.filter(({ needs }) => needs <= committed);
    this.#waiting = this.#waiting.filter(({ needs }) => needs > committed);
    for (const { resolve } of ready) resolve();
  }

  /** Now and then: asks NATS what it has got, so that the watermark can move. */
  onTick(): void {
    if (!this.#replica.hot) return;
    const { mailbox, settings, world } = this.#options;
    if (!settings.publishResults) {
      // Nobody waits for them: nothing is kept for them.
      this.#replica.onPublished(this.#replica.committed, world.clock.nowMs());
      return;
    }
    mailbox.watch(this.#results.confirm(), (published) => {
      if (published !== null && this.#replica.hot) this.#replica.onPublished(published, world.clock.nowMs());
    });
  }

  /** Of an application that has timers: how many are set, and when the next one is due. */
  get timers(): { count: number; nextMs: number | null } | undefined {
    if (this.#options.application.timers === null) return undefined;
    const { timerCount, timers } = this.#state;
    return { count: timerCount, nextMs: timers.next?.timer.atMs ?? null };
  }

  /** What waits, and what the state holds. */
  get load(): { waiting: number; waitingBytes: number; handlers: number; rows: number } {
    const { waiting, waitingBytes } = this.#door;
    return { waiting, waitingBytes, handlers: this.#runner.inProgress, rows: this.#state.size };
  }

  report(): Record<string, unknown> {
    const { size } = this.#state;
    return {
      process: this.process,
      applied: this.#applied,
      size,
      requests: this.#requests,
      waiting: this.#door.waiting,
      handlers: this.#runner.inProgress,
    };
  }
}
