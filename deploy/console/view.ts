/**
 * What the console's page shows of one moment, worked out from the servers' own words: where each server is among the three
 * modes, what goes between them, where each would go if the other died, and the figures. What always holds: whether a
 * failover would work, and why not, is said by `twinlog status`'s derivation and by nothing else; the page decides nothing.
 */
import type { Mode } from "../../schemas/registry.ts";
import type { ServerStatus, ServiceStatus } from "../../schemas/status.ts";
import { primaryOf } from "../commands/service-status.ts";
import { headline } from "../commands/status-text.ts";
import type { Latency } from "./latency.ts";
import { type OfferedAction, offeredActions } from "./offered.ts";

export interface View {
  readonly service: string;
  /** Wall clock of the console, ms since 1970. */
  readonly atMs: number;
  /** Since when nothing was heard of any server; null: something is. */
  readonly staleSinceMs: number | null;
  readonly natsConnected: boolean;
  /** ready: a failover would work. degraded: requests are processed, and it would not. down: nobody processes requests. unknown: it listens. */
  readonly verdict: "ready" | "degraded" | "down" | "unknown";
  readonly sentence: string;
  readonly reasons: readonly { readonly server: string; readonly code: string; readonly message: string }[];
  readonly mode: Mode | null;
  readonly epoch: number;
  readonly history: string;
  /** Who processes requests; empty: nobody that speaks. */
  readonly hot: string;
  /** Both by name, as the newest registry record says. */
  readonly primary: string;
  readonly inSync: readonly string[];
  readonly requestsPerSecond: number | null;
  /** Of requests that the primary answered in the last seconds; null: not known, or there were none. */
  readonly latency: Latency | null;
  readonly servers: readonly ServerView[];
  readonly lines: readonly LineView[];
  readonly moves: readonly MoveView[];
  readonly actions: readonly OfferedAction[];
}

export interface ServerView {
  readonly name: string;
  readonly incarnation: string;
  readonly pid: number | null;
  /** The mode in which the registry counts on it; away: it does not. */
  readonly place: Mode | "away";
  /** What its token says: the primary's is hot, a backup's warm. */
  readonly heat: "hot" | "warm" | "none" | "silent";
  readonly role: string;
  readonly state: string;
  /** Why it is there, or what it waits for. */
  readonly why: string;
  readonly silentMs: number | null;
  readonly epoch: number;
  readonly sequence: number;
  readonly committed: number;
  readonly flushed: number;
  readonly inFlight: number;
  /** Of its process; null: not told. */
  readonly residentBytes: number | null;
  /** How many records it has not confirmed to the primary; null: it is the primary, or nobody knows. */
  readonly lag: number | null;
  readonly links: ServerStatus["links"];
  readonly troubles: readonly string[];
  /** Of one that is silent: as it said last. */
  readonly machines: readonly MachineView[];
}

export interface MachineView {
  readonly machine: string;
  /** Of link and mirror: to whom; else empty. */
  readonly peer: string;
  /** As it is told: `hot.normal`, `main.up, failsafe.up, peer.main`. */
  readonly state: string;
  /** Every state that is active: each with those around it. */
  readonly active: readonly string[];
  readonly last: LastStep | null;
}

export interface LastStep {
  /** Empty where it was seen and not told. */
  readonly event: string;
  readonly from: string;
  readonly to: string;
  readonly why: string;
  readonly atMs: number;
}

/** What goes between two servers. */
export interface LineView {
  readonly from: string;
  readonly to: string;
  readonly main: "up" | "down";
  readonly failsafe: "up" | "down";
  /** By which link records go; none: they do not. */
  readonly carrier: "main" | "failsafe" | "none";
  /** The mirror's state at the primary; empty: not told. */
  readonly mirror: string;
  readonly isFlowing: boolean;
}

/** Where a server would go. */
export interface MoveView {
  readonly server: string;
  readonly to: Mode;
  readonly when: string;
  readonly works: boolean;
}

export interface Known {
  readonly atMs: number;
  readonly natsConnected: boolean;
  readonly staleSinceMs: number | null;
  /** It has not listened for long enough to judge. */
  readonly isListening: boolean;
  readonly requestsPerSecond: number | null;
  readonly latency: Latency | null;
  /** The last that was heard of servers that are silent now. */
  readonly lastWords: ReadonlyMap<string, ServerStatus>;
  lastStep(server: string, machine: string, peer: string): LastStep | null;
}

export function viewOf(status: ServiceStatus, known: Known): View {
  const primary = primaryOf(status.servers, status.epoch);
  const record = newestRecord(status.servers) ?? newestRecord([...known.lastWords.values()]);
  const mode = status.mode;
  const servers = [
    ...status.servers.map((server) => speaking(server, status, primary, known)),
    ...status.silent.map((silent) => silentOne(silent, status, record, known)),
  ].sort((one, other) => (one.name < other.name ? -1 : 1));
  return {
    service: status.service,
    atMs: known.atMs,
    staleSinceMs: known.staleSinceMs,
    natsConnected: known.natsConnected,
    verdict: verdictOf(status, known),
    sentence: sentenceOf(status, known),
    reasons: known.isListening ? [] : status.reasons,
    mode,
    epoch: status.epoch,
    history: status.history,
    hot: primary?.name ?? "",
    primary: record?.primary.server ?? "",
    inSync: record?.inSync.map(({ server }) => server) ?? [],
    requestsPerSecond: known.requestsPerSecond,
    latency: known.latency,
    servers,
    lines: linesOf(status.servers, primary, known.requestsPerSecond),
    moves: movesOf(servers, status),
    actions: offeredActions(status, !known.isListening && known.staleSinceMs === null),
  };
}

function verdictOf({ serving, failoverReady }: ServiceStatus, { isListening }: Known): View["verdict"] {
  if (isListening) return "unknown";
  if (!serving) return "down";
  return failoverReady ? "ready" : "degraded";
}

function sentenceOf(status: ServiceStatus, { isListening, staleSinceMs }: Known): string {
  if (isListening) return `listening to the servers of ${status.service}`;
  if (staleSinceMs !== null) return `no server of ${status.service} speaks`;
  return headline(status);
}

function newestRecord(servers: readonly ServerStatus[]): ServerStatus["record"] {
  const [newest] = servers.filter(({ record }) => record !== null).sort((one, other) => other.epoch - one.epoch);
  return newest?.record ?? null;
}

function speaking(
  server: ServerStatus,
  { servers, epoch, mode }: ServiceStatus,
  primary: ServerStatus | undefined,
  known: Known,
): ServerView {
  const { name, incarnation, pid, state, sequence, committed, flushed, inFlight, links } = server;
  const isNamed = newestRecord(servers)?.inSync.some((member) => member.incarnation === incarnation) ?? false;
  const isOld = server.role !== "none" && server.epoch < epoch;
  const isWarm = server.application === "warm" && server.role !== "primary" && !isOld;
  return {
    name,
    incarnation,
    pid,
    place: isNamed && mode !== null ? mode : "away",
    heat: server === primary ? "hot" : isWarm ? "warm" : "none",
    role: isOld ? `${server.role} of epoch ${server.epoch}` : server.role === "none" ? "no member" : server.role,
    state,
    why: server.waitingFor === "" ? server.why : server.waitingFor,
    silentMs: null,
    epoch: server.epoch,
    sequence,
    committed,
    flushed,
    inFlight,
    residentBytes: server.load?.residentBytes ?? null,
    lag: lagOf(server, primary),
    links,
    troubles: server.troubles.map(({ message }) => message),
    machines: machinesOf(server, known),
  };
}

function silentOne(
  { name, silentMs }: ServiceStatus["silent"][number],
  { mode }: ServiceStatus,
  record: ServerStatus["record"],
  known: Known,
): ServerView {
  const last = known.lastWords.get(name);
  const isNamed = record?.inSync.some(
    ({ server, incarnation }) => server === name && incarnation === (last?.incarnation ?? incarnation),
  );
  return {
    name,
    incarnation: last?.incarnation ?? "",
    pid: null,
    place: isNamed === true && mode !== null ? mode : "away",
    heat: "silent",
    role: "silent",
    state: "",
    why: last === undefined ? "not heard yet" : `its last word: ${last.state}`,
    silentMs,
    epoch: last?.epoch ?? 0,
    sequence: last?.sequence ?? 0,
    committed: last?.committed ?? 0,
    flushed: last?.flushed ?? 0,
    inFlight: 0,
    residentBytes: null,
    lag: null,
    links: { main: "down", failsafe: "down" },
    troubles: [],
    machines: last === undefined ? [] : machinesOf(last, known),
  };
}

/** By what it confirmed where the primary tells that; else by both logs, told at different moments. */
function lagOf(server: ServerStatus, primary: ServerStatus | undefined): number | null {
  if (primary === undefined || server === primary || server.history !== primary.history) return null;
  const mirror = primary.machines?.mirrors.find(({ peer }) => peer === server.name);
  const isOpen = mirror?.state.startsWith("open") ?? false;
  return Math.max(0, primary.sequence - (mirror !== undefined && isOpen ? mirror.confirmed : server.sequence));
}

function machinesOf({ name, state, machines, application }: ServerStatus, known: Known): MachineView[] {
  const one = (machine: string, peer: string, of: string): MachineView => ({
    machine,
    peer,
    state: of,
    active: activeIn(of),
    last: known.lastStep(name, machine, peer),
  });
  return [
    one("lifecycle", "", state),
    ...(machines?.links ?? []).map(({ peer, state }) => one("link", peer, state)),
    one("application", "", machines?.application ?? application),
    ...(machines?.mirrors ?? []).map(({ peer, state }) => one("mirror", peer, state)),
    ...(machines === undefined ? [] : [one("checkpoint", "", machines.checkpoint)]),
  ];
}

/** `hot.normal` is in `hot` and in `hot.normal`. */
export function activeIn(state: string): string[] {
  return state.split(", ").flatMap((path) => {
    const names = path.split(".");
    return names.map((_, at) => names.slice(0, at + 1).join("."));
  });
}

/** NATS is lost: what was known last, and said to be old. */
export function lostView(last: View, atMs: number, sinceMs: number): View {
  return {
    ...last,
    atMs,
    staleSinceMs: sinceMs,
    natsConnected: false,
    verdict: "unknown",
    sentence: "NATS is lost: nothing is known of the servers now",
    reasons: [],
    requestsPerSecond: null,
    latency: null,
    lines: last.lines.map((line) => ({ ...line, isFlowing: false })),
    actions: last.actions.map((action) => ({ ...action, why: "NATS is lost" })),
  };
}

/** As it was when this server had just made this step, whatever it did since. */
export function withStep(view: View, server: string, step: LastStep): View {
  const stepped = (machine: MachineView): MachineView =>
    machine.machine === "lifecycle" ? { ...machine, state: step.to, active: activeIn(step.to), last: step } : machine;
  return {
    ...view,
    servers: view.servers.map((one) =>
      one.name === server ? { ...one, state: step.to, why: step.why, machines: one.machines.map(stepped) } : one,
    ),
  };
}

/** From the primary to everybody who speaks; without one, between each two. */
function linesOf(
  servers: readonly ServerStatus[],
  primary: ServerStatus | undefined,
  requestsPerSecond: number | null,
): LineView[] {
  const from = primary === undefined ? servers : [primary];
  const pairs = from.flatMap((one) =>
    servers.filter((other) => other !== one && (primary !== undefined || one.name < other.name)).map((to) => [one, to]),
  );
  return pairs.flatMap(([from, to]) => (from === undefined || to === undefined ? [] : [line(from, to)]));

  function line(one: ServerStatus, other: ServerStatus): LineView {
    const link = one.machines?.links.find(({ peer }) => peer === other.name)?.state;
    const mirror = one.machines?.mirrors.find(({ peer }) => peer === other.name)?.state ?? "";
    const main = link === undefined ? one.links.main : link.includes("main.up") ? "up" : "down";
    const failsafe = link === undefined ? one.links.failsafe : link.includes("failsafe.up") ? "up" : "down";
    const isMirrored = one === primary && (mirror === "" ? other.role === "backup" : mirror.startsWith("open"));
    const carrier = !isMirrored ? "none" : main === "up" ? "main" : failsafe === "up" ? "failsafe" : "none";
    const isFlowing = carrier !== "none" && (requestsPerSecond ?? 0) > 0;
    return { from: one.name, to: other.name, main, failsafe, carrier, mirror, isFlowing };
  }
}

function movesOf(servers: readonly ServerView[], { mode, failoverReady, serving }: ServiceStatus): MoveView[] {
  const members = servers.filter(({ place }) => place === mode && mode !== null);
  const primary = members.find(({ heat }) => heat === "hot");
  const [backup, ...more] = members.filter((member) => member !== primary);
  if (mode === "normal") {
    // With three or more the mode stays what it is, whoever dies.
    if (primary === undefined || backup === undefined || more.length > 0) return [];
    return [
      { server: primary.name, to: "primary-only", when: `if ${backup.name} died now`, works: serving },
      { server: backup.name, to: "backup-only", when: `if ${primary.name} died now`, works: failoverReady },
    ];
  }
  return servers
    .filter(({ place, state }) => place === "away" && state === "following.joining")
    .map(({ name }) => ({ server: name, to: "normal", when: "when it holds every record", works: true }));
}
