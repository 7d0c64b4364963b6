/**
 * Every metric that a server tells Prometheus: its name, what it says, and where it is read. What always holds: names follow Prometheus'
 * conventions (base units, `_total`); labels are of short lists that the service itself makes; what is not known is left out, never 0.
 */
import type { Replica } from "../../machines/replica/replica.ts";
import { type ErrorCode, errorCodes } from "../../schemas/errors.ts";
import { type TroubleCode, troubleKinds } from "../../schemas/troubles.ts";
import type { ApplicationActor } from "../application/application-actor.ts";
import type { Metric, ProcessFacts, Sample } from "../world/ports.ts";
import { type Health, healthOf, type LifeFacts } from "./health.ts";
import { faultKinds, type Meters, registryOutcomes, takeoverReasons } from "./meters.ts";

/** How much a life holds, and what waits in it. */
export interface LifeNumbers {
  readonly memory: Replica["memory"];
  readonly registry: ReturnType<Replica["registryFacts"]>;
  readonly load: ApplicationActor["load"];
  /** Committed records whose results NATS has not certainly got; null where none are published. */
  readonly unpublished: number | null;
}

type Facts = LifeFacts & LifeNumbers;

export interface MetricsSource {
  readonly version: string;
  readonly application: string;
  /** Null while no life takes part. */
  readonly facts: Facts | null;
  readonly meters: Meters;
  readonly process: ProcessFacts;
}

type Read = (facts: Facts) => number | null | undefined;

const one = (value: number): readonly Sample[] => [{ value }];
/** A set of which one is true. */
const states = (label: string, all: readonly string[], is: string | null): readonly Sample[] =>
  is === null ? [] : all.map((each) => ({ labels: { [label]: each }, value: each === is ? 1 : 0 }));

function gauge(name: string, help: string, read: Read): Metric<MetricsSource> {
  return {
    name: `twinlog_${name}`,
    help,
    type: "gauge",
    labels: [],
    read: ({ facts }) => {
      const value = facts === null ? null : read(facts);
      return value === null || value === undefined ? [] : one(value);
    },
  };
}

/** One value for each of what `label` names. */
function gauges(
  name: string,
  help: string,
  label: string,
  read: (facts: Facts) => readonly Sample[],
  more: readonly string[] = [],
): Metric<MetricsSource> {
  const labels = [label, ...more];
  return {
    name: `twinlog_${name}`,
    help,
    type: "gauge",
    labels,
    read: ({ facts }) => (facts === null ? [] : read(facts)),
  };
}

function counter(name: string, help: string, read: (meters: Meters) => number): Metric<MetricsSource> {
  return { name: `twinlog_${name}_total`, help, type: "counter", labels: [], read: ({ meters }) => one(read(meters)) };
}

function counters<Key extends string>(
  name: string,
  help: string,
  label: string,
  keys: readonly Key[],
  read: (meters: Meters, key: Key) => number,
): Metric<MetricsSource> {
  return {
    name: `twinlog_${name}_total`,
    help,
    type: "counter",
    labels: [label],
    read: ({ meters }) => keys.map((key) => ({ labels: { [label]: key }, value: read(meters, key) })),
  };
}

function durations(
  name: string,
  help: string,
  kind: "requests" | "mirrors" | "flushes" | "syncs" | "failoverGaps",
): Metric<MetricsSource> {
  return { name: `twinlog_${name}_seconds`, help, type: "histogram", read: ({ meters }) => meters[kind] };
}

/** What `/livez` and the others answer. */
function health(name: string, help: string, asked: keyof Health): Metric<MetricsSource> {
  const read = ({ facts }: MetricsSource) => one(healthOf(facts)[asked] === "" ? 1 : 0);
  return { name: `twinlog_${name}`, help, type: "gauge", labels: [], read };
}

function ofProcess(
  name: string,
  help: string,
  read: (process: ProcessFacts) => number,
  type: "gauge" | "counter" = "gauge",
): Metric<MetricsSource> {
  return { name, help, type, labels: [], read: ({ process }) => one(read(process)) };
}

const peers = (read: (peer: LifeFacts["status"]["peers"][number]) => number | null | undefined) => (facts: LifeFacts) =>
  facts.status.peers.flatMap((peer) => {
    const value = read(peer);
    return value === null || value === undefined ? [] : [{ labels: { peer: peer.name }, value }];
  });

function mirrorLags({ status }: LifeFacts): readonly Sample[] {
  const { machines, sequence } = status;
  return (machines?.mirrors ?? [])
    .filter(({ state }) => state.startsWith("open"))
    .map(({ peer, confirmed }) => ({ labels: { peer }, value: Math.max(0, sequence - confirmed) }));
}

function openTroubles({ status }: LifeFacts): readonly Sample[] {
  const open = new Set(status.troubles.map(({ code }) => code));
  const own = Object.entries(troubleKinds).filter(([code]) => !seenFromOutside.has(code));
  return own.map(([code, { costs }]) => ({
    labels: { code, costs },
    value: open.has(code) ? 1 : 0,
  }));
}

function firstCertificateEnd({ status }: LifeFacts): number | null {
  const ends = (status.surroundings?.certificates ?? []).flatMap(({ untilMs }) => (untilMs === null ? [] : [untilMs]));
  return ends.length === 0 ? null : Math.min(...ends) / 1_000;
}

/** REPLY_OMITTED refuses nothing: the reply follows. */
const codes = (Object.keys(errorCodes) as ErrorCode[]).filter((code) => code !== "REPLY_OMITTED");
/** What no server can say of itself. */
const seenFromOutside: ReadonlySet<string> = new Set(["primary.missing", "server.silent"] satisfies TroubleCode[]);

export const metrics: readonly Metric<MetricsSource>[] = [
  {
    name: "twinlog_info",
    help: "Always 1: the program's version and the application",
    type: "gauge",
    labels: ["version", "application"],
    read: ({ version, application }) => [{ labels: { version, application }, value: 1 }],
  },
  health("live", "1: the server works, as /livez says", "live"),
  health("ready", "1: it serves, or is a backup that could take over, as /readyz says", "ready"),
  health("serving", "1: it is the primary and processes requests, as /primary says", "primary"),
  health("backup_ready", "1: it is a backup that could take over, as /backup says", "backup"),

  gauges("role", "1 at the server's role; none: it is no member", "role", ({ status }) =>
    states("role", ["primary", "backup", "none"], status.role),
  ),
  gauges("mode", "1 at the service's mode, as this server knows it", "mode", ({ status }) =>
    states("mode", ["normal", "primary-only", "backup-only"], status.mode),
  ),
  gauges("application_state", "1 at the state of the application process", "state", ({ status }) =>
    states("state", ["hot", "warm", "stopped"], status.application),
  ),
  gauge("epoch", "Number of the newest configuration that this server knows of", ({ status }) => status.epoch),
  counters(
    "takeovers",
    "Times that this process became the primary: from one that was lost, by a planned switch, or where there was none",
    "reason",
    takeoverReasons,
    ({ takeovers }, reason) => takeovers[reason],
  ),
  durations(
    "failover_gap",
    "For how long nobody was answered: from a lost primary's last word to this server's being ready",
    "failoverGaps",
  ),
  counter("lives", "Lives (incarnations) of this process", ({ lives }) => lives),

  gauge("sequence", "Last record in the memory log", ({ status }) => status.sequence),
  gauge("committed_sequence", "Last committed record", ({ status }) => status.committed),
  gauge("flushed_sequence", "Last record in the tables on the disk", ({ status }) => status.flushed),
  gauge("synced_sequence", "Last record of the log that is synced to the disk", ({ status }) => status.synced),
  gauge("lag_records", "On a backup: records of its primary, as it said last, that it has not", ({ lag }) => lag),
  gauges("mirror_lag_records", "On a primary: records that this follower has not confirmed", "peer", mirrorLags),
  gauges(
    "peer_silent_seconds",
    "Since anything came from this server on either link",
    "peer",
    peers(({ silentMs }) => (silentMs === null ? null : silentMs / 1_000)),
  ),
  gauges(
    "clock_ahead_seconds",
    "How far this server's clock is ahead of that one's",
    "peer",
    peers(({ aheadMs }) => (aheadMs === undefined ? null : aheadMs / 1_000)),
  ),
  gauges("link_up", "1: the link to some peer is up", "link", ({ status }) =>
    (["main", "failsafe"] as const).map((link) => ({ labels: { link }, value: status.links[link] === "up" ? 1 : 0 })),
  ),

  counter("requests_received", "Requests that came, refused ones and duplicates too", ({ received }) => received),
  counter("queries_received", "Queries that came", ({ queries }) => queries),
  counter(
    "request_duplicates",
    "Requests that were done already: their stored reply was sent",
    ({ tally }) => tally.duplicates,
  ),
  counter(
    "replies_recalled",
    "Stored replies that memory had let go of, and that were read from the disk again",
    ({ tally }) => tally.recalled,
  ),
  counter("requests_joined", "Copies of a request that was running", ({ tally }) => tally.joined),
  counters("refusals", "Requests and queries that were refused", "code", codes, ({ tally }, code) =>
    tally.refusals(code),
  ),
  counter(
    "handler_failures",
    "Requests whose handler failed (APPLICATION_ERROR)",
    ({ handlerFailures }) => handlerFailures,
  ),
  gauge("requests_in_flight", "Requests that run or wait for their commit", ({ status }) => status.inFlight),
  gauge("requests_waiting", "Messages that were read and wait for their turn", ({ load }) => load.waiting),
  gauge("requests_waiting_bytes", "The same in bytes", ({ load }) => load.waitingBytes),
  gauge("handlers_running", "Handlers that wait for something of theirs", ({ load }) => load.handlers),
  durations("request_duration", "From a request's arrival to its answer, waiting and commit included", "requests"),
  durations("mirror_duration", "From records' way to a backup to its confirm", "mirrors"),
  durations("flush_duration", "Of a flush of tables and log to the disk", "flushes"),
  durations("sync_duration", "From the wish to have records synced to their being it", "syncs"),

  gauge("result_number", "Number of the newest committed result, on a primary", ({ status }) => status.results),
  gauge(
    "results_unconfirmed_records",
    "On a primary: committed records whose results NATS has not certainly got",
    ({ unpublished }) => unpublished,
  ),

  gauge("registry_reachable", "1: the registry answered when it was asked last", ({ registry }) =>
    Number(registry.isAnswered),
  ),
  gauge("registry_silent_seconds", "For how long it has answered nothing", ({ registry }) => registry.silentMs / 1_000),
  {
    name: "twinlog_registry_last_error_timestamp_seconds",
    help: "When the registry answered nothing the last time, since 1970; what it was says the trouble registry.silent",
    type: "gauge",
    labels: [],
    read: ({ meters }) => (meters.registryErrorMs === 0 ? [] : one(meters.registryErrorMs / 1_000)),
  },
  gauge("registry_frozen", "1: it lost its record or went back", ({ registry }) => Number(registry.isFrozen)),
  counters(
    "registry_operations",
    "Answers: of reads found, missing, unavailable; of compare-and-sets won, lost, unknown",
    "outcome",
    registryOutcomes,
    ({ registry }, outcome) => registry[outcome],
  ),
  gauge("nats_connected", "1: there is a connection to NATS", ({ isConnected }) => Number(isConnected)),
  counters(
    "nats_faults",
    "What NATS did not take: publish and subscribe: forbidden; size; cutOff: it ended a connection; lost: a dial failed",
    "kind",
    faultKinds,
    ({ faults }, kind) => faults[kind],
  ),
  gauges("trouble_open", "1: this trouble is open", "code", openTroubles, ["costs"]),

  gauge("log_memory_bytes", "Records in memory", ({ memory }) => memory.logBytes),
  gauge(
    "log_unsynced_bytes",
    "Records in memory that are not synced to the disk",
    ({ memory }) => memory.unsyncedBytes,
  ),
  gauge("log_uncommitted_bytes", "Records that are not committed", ({ memory }) => memory.unconfirmedBytes),
  gauge("remembered_replies", "Replies that are remembered for duplicates", ({ memory }) => memory.replies),
  gauge(
    "remembered_reply_bytes",
    "Of these, what is in memory, beside the log's records",
    ({ memory }) => memory.replyBytes,
  ),
  gauge("client_floors", "Clients that have a floor of their own", ({ memory }) => memory.floors),
  gauge("state_rows", "Rows and queue items of the application in memory", ({ load }) => load.rows),
  gauge("store_bytes", "What the store takes on the disk", ({ status }) => status.surroundings?.disk?.storeBytes),
  gauge("disk_free_bytes", "Room on the store's volume", ({ status }) => status.surroundings?.disk?.freeBytes),
  gauge("disk_size_bytes", "Size of the store's volume", ({ status }) => status.surroundings?.disk?.sizeBytes),
  gauge(
    "certificate_expiry_timestamp_seconds",
    "When the first of the configured certificates is over, since 1970",
    firstCertificateEnd,
  ),
  gauge(
    "last_backup_timestamp_seconds",
    "When the last backup was read from this server to its end, since 1970",
    ({ status }) => (status.surroundings?.backup ? status.surroundings.backup.atMs / 1_000 : null),
  ),

  ofProcess(
    "twinlog_event_loop_delay_p99_seconds",
    "How late the main thread came to what was due in the last half minute, all but a hundredth of it",
    ({ delaySeconds }) => delaySeconds.p99,
  ),
  ofProcess(
    "twinlog_event_loop_delay_max_seconds",
    "The same, the worst of it",
    ({ delaySeconds }) => delaySeconds.max,
  ),
  ofProcess("process_cpu_seconds_total", "Time on a core, all threads", ({ cpuSeconds }) => cpuSeconds, "counter"),
  ofProcess("process_resident_memory_bytes", "Resident memory", ({ residentBytes }) => residentBytes),
  ofProcess(
    "process_start_time_seconds",
    "When the process began, since 1970",
    ({ startedAtSeconds }) => startedAtSeconds,
  ),
  ofProcess("nodejs_heap_used_bytes", "JavaScript's heap", ({ heapBytes }) => heapBytes),
];
