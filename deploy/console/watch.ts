/**
 * Listens to one service for the console: what its servers say becomes the view of now and the timeline.
 *
 * What always holds: it asks nobody anything and publishes nothing; what does not fit its schema, is too large or is another
 * service's is dropped; what is kept is bounded, however many names and incarnations are made up; at most so many views are
 * made in a second.
 */
import type { Bus, Clock, Subscription, Timer } from "../../actors/world/ports.ts";
import { ServerEvent, ServerStatus, type ServiceStatus } from "../../schemas/status.ts";
import { subjects } from "../../schemas/subjects.ts";
import { readJson } from "../commands/ask.ts";
import { StatusGathering } from "../commands/service-status.ts";
import type { ActionView } from "./actions.ts";
import { LatencyWatch } from "./latency.ts";
import { Rate } from "./rate.ts";
import { type Mark, type Sample, Series, sampleMs } from "./series.ts";
import { type Entry, maxEntries, Timeline } from "./timeline.ts";
import { type Known, type LastStep, lostView, type View, viewOf, withStep } from "./view.ts";

/** A status is some two kilobytes. */
const maxMessageBytes = 64 * 1024;
/** Servers by name, and machines by server, of which something is remembered. */
const maxNames = 64;
/** A view is made so often where nothing happens; after something so soon, with what else comes at that moment. */
const everyMs = 250;
const soonMs = 20;
const leastGapMs = 60;
/** A beat that comes later than this was held up by ourselves: what was said meanwhile is heard first, then it is judged. */
const lateMs = 400;
/** As long as `twinlog status` gathers before it judges. */
const listenMs = 800;

/** Events of this machine are commands. */
const operator = "operator";
/** This one tells what a takeover cost. */
const failover = "failover";

export interface ConsoleWatchOptions {
  readonly service: string;
  readonly clock: Clock;
  onView(view: View): void;
  onEntry(entry: Entry): void;
  onSample(sample: Sample): void;
  onMark(mark: Mark): void;
}

type Told = Omit<Entry, "id" | "atMs"> & { readonly atMs?: number };

export class ConsoleWatch {
  readonly timeline = new Timeline();
  readonly #options: ConsoleWatchOptions;
  #gathering = new StatusGathering();
  readonly series = new Series();
  readonly #rate = new Rate();
  readonly #latency = new LatencyWatch();
  #sampledMs = Number.NEGATIVE_INFINITY;
  /** By name; the newest last. */
  readonly #lastWords = new Map<string, ServerStatus>();
  /** By server, machine and peer. */
  readonly #states = new Map<string, { readonly incarnation: string; readonly state: string }>();
  readonly #steps = new Map<string, LastStep>();
  /** Told since the last view. */
  #events: { readonly event: ServerEvent; view: View | null }[] = [];
  #seen: Told[] = [];
  /** The newest with a server in it that speaks. */
  #known: ServiceStatus | null = null;
  #before: View | null = null;
  #silent = new Set<string>();
  #registry = "";
  #view: View | null = null;
  #viewMs = Number.NEGATIVE_INFINITY;
  #beatMs: number;
  #holdsUntilMs = Number.NEGATIVE_INFINITY;
  #heardWallMs: number;
  #listensSinceMs: number;
  #connected = true;
  #timer: Timer | null = null;
  #soon: Timer | null = null;
  #subscriptions: Subscription[] = [];

  constructor(options: ConsoleWatchOptions) {
    this.#options = options;
    this.#heardWallMs = options.clock.wallMs();
    this.#listensSinceMs = options.clock.nowMs();
    this.#beatMs = options.clock.nowMs();
  }

  start(bus: Bus): void {
    const { service } = this.#options;
    this.#subscriptions = [
      bus.subscribe(subjects.statuses(service), ({ data }) => this.#onStatus(data)),
      bus.subscribe(subjects.events(service), ({ data }) => this.#onEvent(data)),
    ];
    this.#beat();
  }

  stop(): void {
    for (const subscription of this.#subscriptions) subscription.stop();
    this.#timer?.cancel();
    this.#soon?.cancel();
  }

  get view(): View {
    return this.#view ?? this.#look();
  }

  onNats(connected: boolean): void {
    if (connected === this.#connected) return;
    this.#connected = connected;
    const { clock } = this.#options;
    if (connected) {
      // Who was silent meanwhile is not known: it is listened to anew.
      this.#gathering = new StatusGathering();
      this.#listensSinceMs = clock.nowMs();
    }
    this.#seen.push({ kind: "nats", server: "", what: connected ? "NATS is back" : "NATS is lost", why: "" });
    this.#happened();
  }

  /** How it ended; that it was begun its server tells. */
  onAction({ verb, by, state, lines }: ActionView): void {
    if (state === "going on") return;
    const what = `${verb} by ${by}: ${state}`;
    this.#seen.push({ kind: "action", server: "", what, why: lines.at(-1) ?? "" });
    this.#happened();
  }

  #beat(): void {
    const { clock } = this.#options;
    const nowMs = clock.nowMs();
    if (nowMs - this.#beatMs > everyMs + lateMs) this.#holdsUntilMs = nowMs + listenMs / 2;
    this.#beatMs = nowMs;
    this.#timer = clock.after(everyMs, () => this.#beat());
    this.#refresh();
  }

  #onStatus(data: Uint8Array): void {
    const { service, clock } = this.#options;
    const status = data.length > maxMessageBytes ? undefined : ServerStatus.safeParse(readJson(data)).data;
    if (status === undefined || status.service !== service) return;
    this.#heardWallMs = clock.wallMs();
    this.#gathering.onStatus(status, clock.nowMs());
    remember(this.#lastWords, status.name, status);
    if (status.role === "primary" && status.application === "hot" && status.epoch >= (this.#known?.epoch ?? 0))
      this.#noteWork(status);
    this.#noteMachines(status);
    // A server says its status right after an event: that is its moment.
    for (const told of this.#events)
      if (told.view === null && told.event.server === status.name && told.event.incarnation === status.incarnation)
        told.view = momentOf(this.#look(), told.event);
  }

  /** Of the primary. */
  #noteWork({ history, incarnation, pid, results, load }: ServerStatus): void {
    const nowMs = this.#options.clock.nowMs();
    if (results !== undefined) this.#rate.note(`${history} ${incarnation}`, results, nowMs);
    if (load !== undefined) this.#latency.note(`${pid} ${incarnation}`, load.answered, nowMs);
  }

  /** Machines of which no event tells: what they are in now, set against what they were in before. */
  #noteMachines({ name, incarnation, machines, application, atMs }: ServerStatus): void {
    const note = (machine: string, peer: string, state: string): void => {
      const key = `${name} ${machine} ${peer}`;
      const before = this.#states.get(key);
      remember(this.#states, key, { incarnation, state }, maxNames * 4);
      if (before === undefined || before.state === state || before.incarnation !== incarnation) return;
      const step = { event: "", from: before.state, to: state, why: "", atMs };
      remember(this.#steps, key, step, maxNames * 4);
      // A flush is no news.
      if (machine === "checkpoint") return;
      const to = peer === "" ? "" : ` to ${peer}`;
      this.#seen.push({
        kind: "transition",
        server: name,
        what: `${machine}${to}: ${before.state} → ${state}`,
        why: "",
        atMs,
      });
      this.#happened();
    };
    note("application", "", machines?.application ?? application);
    for (const { peer, state } of machines?.links ?? []) note("link", peer, state);
    for (const { peer, state } of machines?.mirrors ?? []) note("mirror", peer, state);
    if (machines !== undefined) note("checkpoint", "", machines.checkpoint);
  }

  #onEvent(data: Uint8Array): void {
    const event = data.length > maxMessageBytes ? undefined : ServerEvent.safeParse(readJson(data)).data;
    if (event === undefined || event.service !== this.#options.service) return;
    if (isStep(event)) remember(this.#steps, `${event.server} ${event.machine} `, event, maxNames * 4);
    this.#events = [...this.#events.slice(1 - maxEntries), { event, view: null }];
    this.#happened();
  }

  /** With what else is told at this moment: a server says its status right after an event. */
  #happened(): void {
    if (this.#soon !== null) return;
    const { clock } = this.#options;
    const gapMs = leastGapMs - (clock.nowMs() - this.#viewMs);
    this.#soon = clock.after(Math.max(soonMs, gapMs), () => {
      this.#soon = null;
      this.#refresh();
    });
  }

  #refresh(): void {
    const { onView, clock } = this.#options;
    if (clock.nowMs() < this.#holdsUntilMs) return;
    const view = this.#look();
    this.#view = view;
    this.#viewMs = this.#options.clock.nowMs();
    this.#tell(view);
    onView(view);
    this.#measure(view);
  }

  #measure(view: View): void {
    const { onMark, onSample, clock } = this.#options;
    const mark = this.series.onView(view);
    if (mark !== null) onMark(mark);
    const nowMs = clock.nowMs();
    if (nowMs - this.#sampledMs < sampleMs) return;
    // On the second, as long as nothing is late.
    this.#sampledMs = nowMs - this.#sampledMs < 2 * sampleMs ? this.#sampledMs + sampleMs : nowMs;
    onSample(this.series.sample(view));
  }

  #look(): View {
    const { service, clock } = this.#options;
    const nowMs = clock.nowMs();
    const atMs = clock.wallMs();
    if (!this.#connected && this.#before !== null) return lostView(this.#before, atMs, this.#heardWallMs);
    const now = this.#gathering.conclude(service, nowMs);
    if (now.servers.length > 0) this.#known = now;
    const isAnybody = now.servers.length > 0;
    const { mode, epoch, history } = this.#known ?? now;
    const known: Known = {
      atMs,
      natsConnected: this.#connected,
      staleSinceMs: isAnybody ? null : this.#heardWallMs,
      isListening: nowMs - this.#listensSinceMs < listenMs,
      requestsPerSecond: this.#rate.perSecond(nowMs),
      latency: this.#latency.now(nowMs),
      lastWords: this.#lastWords,
      lastStep: (server, machine, peer) => this.#steps.get(`${server} ${machine} ${peer}`) ?? null,
    };
    return viewOf({ ...now, mode, epoch, history }, known);
  }

  /** What became different with this view. */
  #tell(view: View): void {
    const events = this.#events;
    const seen = this.#seen;
    this.#events = [];
    this.#seen = [];
    for (const { event, view: moment } of events) {
      const { server, why, atMs } = event;
      this.#add({ ...entryOf(event), server, why, atMs }, moment ?? momentOf(view, event));
    }
    for (const told of seen.slice(-maxEntries)) this.#add(told, view);
    if (view.verdict === "unknown") return;
    this.#tellRegistry(view);
    this.#tellSilence(view);
    if (this.#before === null || verdictKey(this.#before) !== verdictKey(view)) {
      const why = view.reasons.map(({ server, message }) => (server === "" ? message : `${server}: ${message}`));
      this.#add({ kind: "verdict", server: "", what: view.sentence, why: why.join("; ") }, view);
    }
    this.#before = view;
  }

  #tellRegistry(view: View): void {
    const { mode, epoch, primary, inSync } = view;
    if (mode === null || primary === "") return;
    const what = `epoch ${epoch}, ${mode}: primary ${primary}, in sync ${inSync.join(", ")}`;
    if (what === this.#registry) return;
    this.#registry = what;
    this.#add({ kind: "registry", server: "", what, why: "" }, view);
  }

  #tellSilence(view: View): void {
    const silent = new Set(view.servers.filter(({ heat }) => heat === "silent").map(({ name }) => name));
    for (const name of silent)
      if (!this.#silent.has(name))
        this.#add({ kind: "silence", server: name, what: "is silent", why: lastOf(this.#lastWords.get(name)) }, view);
    for (const { name, heat, pid } of view.servers)
      if (heat !== "silent" && this.#silent.has(name))
        this.#add({ kind: "silence", server: name, what: `speaks again (process ${pid})`, why: "" }, view);
    this.#silent = silent;
  }

  #add(told: Told, view: View): void {
    const entry = this.timeline.add({ ...told, atMs: told.atMs ?? view.atMs }, view);
    this.#options.onEntry(entry);
  }
}

/** A machine's; a command and a failover's end are none. */
const isStep = ({ machine }: ServerEvent): boolean => machine !== operator && machine !== failover;

function entryOf({ machine, event, from, to, gapMs }: ServerEvent): Pick<Told, "kind" | "what"> {
  if (machine === operator) return { kind: "action", what: event };
  if (machine === failover)
    return { kind: failover, what: `took over: clients without answers for some ${gapMs ?? "?"} ms` };
  return { kind: "transition", what: `${machine === "lifecycle" ? "" : `${machine}: `}${from} → ${to}` };
}

/** As it was with this. */
function momentOf(view: View, event: ServerEvent): View {
  return isStep(event) ? withStep(view, event.server, event) : view;
}

/** That somebody is silent is told by itself. */
function verdictKey({ sentence, reasons }: View): string {
  const codes = reasons.filter(({ code }) => code !== "server.silent").map(({ server, code }) => `${server} ${code}`);
  return [sentence, ...codes.sort()].join("\n");
}

function lastOf(status: ServerStatus | undefined): string {
  return status === undefined ? "" : `its last word: ${status.state}`;
}

/** Sets it as the newest; the oldest goes where there are too many. */
function remember<Value>(map: Map<string, Value>, key: string, value: Value, most = maxNames): void {
  map.delete(key);
  map.set(key, value);
  const [oldest] = map.keys();
  if (map.size > most && oldest !== undefined) map.delete(oldest);
}
