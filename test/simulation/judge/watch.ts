/**
 * Counts what happens in a simulated world as interesting moments, and records what the registry says of new histories. It
 * changes nothing.
 */
import type { Recorder } from "../../../actors/testing/recorder.ts";
import type { SimProcess } from "../../../actors/testing/world/sim-process.ts";
import type { SimWorld, SimWorldWatcher } from "../../../actors/testing/world/sim-world.ts";
import { headers } from "../../../schemas/envelope.ts";
import { pieceHeaders } from "../../../schemas/pieces.ts";
import type { RegistryRecord } from "../../../schemas/registry.ts";
import { subjectKind } from "../../../schemas/subjects.ts";
import type { Announcements } from "./announcements.ts";
import { whyTakenOver } from "./failover-pause.ts";
import { type Moments, momentNames } from "./moments.ts";
import type { Oracle } from "./oracle.ts";

/** As the servers' log has it. */
const unfitLine = "a message from a peer does not fit, and was dropped";

export interface Watched {
  readonly sim: SimWorld;
  readonly moments: Moments;
  readonly oracle: Oracle;
  readonly recorder: Recorder;
  readonly announcements: Announcements;
  readonly onViolation: (of: string, text: string) => void;
  readonly isLifeOf: (process: SimProcess, incarnation: string) => boolean;
}

/** What the broker takes, forbids, and cuts off for (rules 13 and 15). */
function watchBroker({
  sim,
  moments,
  oracle,
  onViolation,
}: Pick<Watched, "sim" | "moments" | "oracle" | "onViolation">) {
  const { broker } = sim;
  const { service } = sim.options;
  broker.onCutOff = (host, why) => onViolation("rule 15", `${host} is cut off by the broker: ${why}`);
  broker.onForbidden = (kind, subject) => {
    if (kind === "subscribe") moments.count("subscription forbidden");
    else moments.count(subjectKind(service, subject) === "result" ? "result forbidden" : "reply or status forbidden");
  };
  broker.onLimits = (limits) => oracle.published.onLimits(limits, service);
  broker.onTaken = (_, message) => {
    const { subject, headers: given } = message;
    if (given === undefined) return;
    const isResult = subjectKind(service, subject) === "result";
    if (isResult) oracle.published.onTaken(message);
    if (given[headers.omitted] !== undefined) moments.count(isResult ? "result stood in for" : "reply stood in for");
    if (given[pieceHeaders.of] !== undefined) moments.count("result replayed in pieces");
  };
}

export function watcherOf({
  sim,
  moments,
  oracle,
  recorder,
  announcements,
  onViolation,
  isLifeOf,
}: Watched): SimWorldWatcher {
  watchBroker({ sim, moments, oracle, onViolation });
  const sent = new Map<number, string>();
  let primary = "";
  let history = "";
  let inSync = 0;
  let before: RegistryRecord | null = null;
  return {
    onProcessError: (process, error) =>
      onViolation(
        "assertion",
        `${process.name}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
      ),
    onPlannedCrash: (_, { when }, what) => {
      moments.count("crash at an I/O boundary");
      const moment = momentNames.find((name) => name === `crash ${when} ${what}`);
      if (moment !== undefined) moments.count(moment);
      if (what === "registry.cas" && when === "before") moments.count("crash between sync and compare-and-set");
      if (what.startsWith("side")) moments.count("snapshot interrupted");
    },
    onCompareAndSetSent: (by, expectedRevision) => {
      const other = sent.get(expectedRevision);
      if (other !== undefined && other !== by) moments.count("both race a compare-and-set");
      sent.set(expectedRevision, by);
    },
    onRegistryWritten: ({ record }, _, late) => {
      moments.count(late ? "compare-and-set landed late" : "compare-and-set won");
      if (primary !== "" && record.primary.server !== primary) moments.count("takeover");
      if (record.durability === "disk") moments.count("alone on disk");
      if (record.inSync.length > inSync) moments.count("joined");
      if (history !== "" && record.history !== history) {
        moments.count("new history");
        const { epoch, base } = record;
        const [process = ""] = record.primary.incarnation.split(".", 1);
        announcements.onFork(process, base.sequence, sim.nowMs);
        recorder.record({ type: "fork", ...record.primary, history: record.history, epoch, ...base });
      }
      const takenOver = whyTakenOver(before, record);
      if (takenOver !== null) onViolation("rule 21", takenOver);
      before = record;
      primary = record.primary.server;
      history = record.history;
      inSync = record.inSync.length;
      oracle.onRecord(record);
    },
    onLog: (process, level, { fault, error, trouble }, line) => {
      const isNamed = () => before?.inSync.some(({ incarnation }) => isLifeOf(process, incarnation)) === true;
      // Its entry in the runbook says to stop that server at once.
      if (trouble === "disk.empty" && level === "warn" && isNamed())
        onViolation("status", `${process.name} is a member with what it was given, and says that its disk is empty`);
      if (line === unfitLine && !sim.hasMisfits)
        onViolation("rule 15", `${process.name} drops what another server says (${String(fault)}): ${String(error)}`);
    },
    onStaleRead: () => moments.count("stale registry read"),
    onRegistryAnswerLost: () => moments.count("compare-and-set answer lost"),
  };
}
