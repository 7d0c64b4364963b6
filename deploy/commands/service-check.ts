/**
 * "Would a failover work now?", line by line, made of what `status` says (service-status.ts) and of what servers see around
 * them (schemas/surroundings.ts).
 *
 * What always holds:
 * 1. Critical is what `status` gives as a reason why nobody serves or a failover would not work; every other open trouble is a
 *    warning. Judged here is only what no server judges: room, versions, certificates.
 * 2. A line says ok only of what somebody has told; where nobody has, it is unknown.
 */

import type { CheckLevel, CheckLine, CheckName, ServiceCheck } from "../../schemas/check.ts";
import { checkKinds, checkOf } from "../../schemas/check.ts";
import type { ServerStatus, ServiceStatus } from "../../schemas/status.ts";
import { subjects } from "../../schemas/subjects.ts";
import type { LastBackup, StreamSeen, Surroundings } from "../../schemas/surroundings.ts";
import { runbookEntry } from "../runbook.ts";
import { backupsOf, duration, primaryOf } from "./service-status.ts";

const dayMs = 86_400_000;
const MiB = 1024 * 1024;

/** Certificates: so long before their end. */
const certificateWarningMs = 21 * dayMs;
const certificateCriticalMs = 3 * dayMs;
/** Of a volume, so much is free; less than the store takes is a warning too: a snapshot needs as much again. */
const roomWarningShare = 0.1;
const roomCriticalShare = 0.02;
/** What may wait in memory for the disk by default (`maxUnflushedBytes`). */
const roomCriticalBytes = 256 * MiB;

/** The gravest first. Unknown is less than what is known to be wrong. */
const byGravity: readonly CheckLevel[] = ["critical", "warning", "unknown", "ok"];

interface Finding {
  readonly level: CheckLevel;
  readonly says: string;
  /** A trouble's, or the line's own. */
  readonly code: string;
}

export interface CheckFacts {
  readonly status: ServiceStatus;
  readonly nowMs: number;
  /** Lines that are not wanted. */
  readonly skipped: ReadonlySet<CheckName>;
  /** Of settings files that are at hand: certificates, beside those that servers tell. */
  readonly certificates: Surroundings["certificates"];
  /** How old the last backup may be; undefined: as old as it likes. */
  readonly backupWithinMs?: number | undefined;
  /** There has to be a stream over results. */
  readonly wantsResultsStream?: boolean;
}

export function checkService(facts: CheckFacts): ServiceCheck {
  const { status, nowMs, skipped, certificates, backupWithinMs, wantsResultsStream = false } = facts;
  const found = new Map<CheckName, Finding[]>();
  const add = (name: CheckName, finding: Finding) => found.set(name, [...(found.get(name) ?? []), finding]);
  for (const { name, ...finding } of troublesFound(status)) add(name, finding);
  for (const { name, ...finding } of surroundingsFound(status, certificates, nowMs)) add(name, finding);
  const old = oldBackup(status.servers, nowMs, backupWithinMs);
  for (const says of resultsStreamFaults(status, wantsResultsStream))
    add("results-stream", { level: "warning", says, code: "check.results-stream" });
  if (old !== null) add("last-backup", { level: "warning", says: old, code: "check.last-backup" });
  const checks = (Object.keys(checkKinds) as CheckName[])
    .filter((name) => !skipped.has(name) && (name !== "others" || found.has(name)))
    .map((name) => lineOf(name, found.get(name) ?? [], okText(name, status, certificates, nowMs)))
    .sort((one, other) => byGravity.indexOf(one.level) - byGravity.indexOf(other.level));
  const level = checks[0]?.level ?? "ok";
  return { service: status.service, level, failoverReady: status.failoverReady, checks };
}

/** Where nobody could be asked: this line is critical, and nothing else is known. No server at all is no primary. */
export function checkNobody(
  service: string,
  name: "nats" | "service",
  says: string,
  skipped: ReadonlySet<CheckName>,
): ServiceCheck {
  const rest = (Object.keys(checkKinds) as CheckName[])
    .filter((each) => each !== name && each !== "others" && !skipped.has(each))
    .map((each): CheckLine => ({ name: each, level: "unknown", says: "no server was heard", codes: [], see: "" }));
  const code = name === "service" ? "primary.missing" : `check.${name}`;
  const line: CheckLine = { name, level: "critical", says, codes: [code], see: runbookEntry(code) };
  return { service, level: "critical", failoverReady: false, checks: [line, ...rest] };
}

/** The gravest findings are told; what is less grave waits for its turn. */
function lineOf(name: CheckName, findings: readonly Finding[], ok: string | null): CheckLine {
  const level = byGravity.find((each) => findings.some((finding) => finding.level === each));
  if (level === undefined)
    return ok === null
      ? { name, level: "unknown", says: "no server tells it", codes: [], see: runbookEntry(`check.${name}`) }
      : { name, level: "ok", says: ok, codes: [], see: "" };
  const gravest = findings.filter((finding) => finding.level === level);
  const says = [...new Set(gravest.map((finding) => finding.says))].join("; ");
  const codes = [...new Set(gravest.map(({ code }) => code))];
  return { name, level, says, codes, see: runbookEntry(name === "others" ? "check.others" : (codes[0] ?? "")) };
}

type Found = Finding & { readonly name: CheckName };

const nameOf = (code: string): CheckName =>
  Object.hasOwn(checkOf, code) ? checkOf[code as keyof typeof checkOf] : "others";

function troublesFound({ reasons, servers, silent, epoch }: ServiceStatus): Found[] {
  const told = (server: string, code: string, message: string, level: CheckLevel): Found => ({
    name: nameOf(code),
    level,
    says: server === "" ? message : `${server}: ${message}`,
    code,
  });
  const isReason = (server: string, code: string) =>
    reasons.some((each) => each.server === server && each.code === code);
  const open = servers.flatMap(({ name, troubles }) =>
    troubles
      .filter(({ code }) => !isReason(name, code))
      .map(({ code, message }) => told(name, code, message, "warning")),
  );
  const unheard = silent
    .filter(({ name }) => !isReason(name, "server.silent"))
    .map(({ name }) => told(name, "server.silent", "does not speak", "warning"));
  const lost = reasons.map(({ server, code, message }) => told(server, code, message, "critical"));
  // Its silence may be all that is told so far.
  if (backupsOf(servers, epoch).length === 0 && !lost.some(({ name }) => name === "backup"))
    lost.push(told("", "backup.lost", "no backup that is in sync speaks", "critical"));
  return [...lost, ...open, ...unheard];
}

function surroundingsFound(
  { servers }: ServiceStatus,
  own: Surroundings["certificates"],
  nowMs: number,
): readonly Found[] {
  const found: Found[] = [];
  const add = (name: CheckName, level: CheckLevel, says: string) =>
    found.push({ name, level, says, code: `check.${name}` });
  for (const { name, surroundings, links } of servers) {
    if (links.failsafe === "down" && servers.length > 1) add("links", "warning", `${name}: the failsafe link is down`);
    const { disk = null, broker = null, certificates = [] } = surroundings ?? {};
    if (disk !== null) {
      const level = roomLevel(disk);
      if (level !== "ok") add("disk", level, `${name}: ${roomText(disk)}`);
    }
    for (const { kind, says } of broker?.warnings ?? []) {
      if (kind === "unsafe" || kind === "old") add("registry-version", kind === "old" ? "warning" : "critical", says);
      if (kind === "bucket") add("registry-settings", "warning", says);
    }
    for (const certificate of certificates) addCertificate(certificate, `${name}: `);
  }
  for (const certificate of own) addCertificate(certificate, "");
  const versions = [...new Set(servers.map(({ version }) => version))];
  if (versions.length > 1) {
    const each = servers.map(({ name, version }) => `${name} ${version}`).join(", ");
    add("versions", "warning", `${each}: bring all to one`);
  }
  const known = servers.map(({ name, peers }) => [name, [name, ...peers.map((peer) => peer.name)].sort().join(", ")]);
  if (new Set(known.map(([, names]) => names)).size > 1) {
    const each = known.map(([name, names]) => `${name} knows ${names}`).join("; ");
    add("settings", "warning", `\`servers\` differs: ${each}; set the same on all`);
  }
  return found;

  function addCertificate({ file, untilMs }: Surroundings["certificates"][number], where: string): void {
    if (untilMs === null) {
      add("certificates", "warning", `${where}${file} cannot be read`);
      return;
    }
    const leftMs = untilMs - nowMs;
    if (leftMs > certificateWarningMs) return;
    const text = leftMs <= 0 ? "is over" : `is over in ${duration(leftMs)}`;
    add("certificates", leftMs <= certificateCriticalMs ? "critical" : "warning", `${where}${file} ${text}: renew it`);
  }
}

/** The newest that a server tells of; null: none that is known. undefined: nobody tells. */
function lastBackup(servers: readonly ServerStatus[]): LastBackup | null | undefined {
  const told = servers.flatMap(({ surroundings }) => (surroundings?.backup === undefined ? [] : [surroundings.backup]));
  if (told.length === 0) return undefined;
  return told.reduce((best, one) => ((one?.atMs ?? 0) > (best?.atMs ?? 0) ? one : best), null);
}

const takenText = ({ atMs, sequence }: LastBackup, nowMs: number): string =>
  `the last was taken ${duration(Math.max(0, nowMs - atMs))} ago, as of record ${sequence}`;

/** Null: it is not, or nobody asks. */
function oldBackup(servers: readonly ServerStatus[], nowMs: number, withinMs: number | undefined): string | null {
  const last = lastBackup(servers);
  if (withinMs === undefined || last === undefined) return null;
  const wanted = `one within ${duration(withinMs)} is wanted: \`twinlog backup FILE\``;
  if (last === null) return `no server knows of one, and ${wanted}`;
  return nowMs - last.atMs <= withinMs ? null : `${takenText(last, nowMs)}, and ${wanted}`;
}

/** Of a stream's limit, so much is used: it drops results that are younger than its age. */
const fullShare = 0.95;

/** The primary's word where it has one: it is the one that publishes. undefined: nobody tells. */
function resultsStreamOf({ servers, epoch }: ServiceStatus): StreamSeen | null | undefined {
  const told = [primaryOf(servers, epoch), ...servers].map((server) => server?.surroundings?.resultsStream);
  return told.find((each) => each !== undefined);
}

function resultsStreamFaults(status: ServiceStatus, isWanted: boolean): string[] {
  const seen = resultsStreamOf(status);
  if (seen === undefined) return [];
  if (seen === null) return isWanted ? ["there is none: `twinlog init --config FILE --results-stream` makes it"] : [];
  const { name, subjects: held, bytes, maxBytes, lacks = 0 } = seen;
  const wanted = subjects.results(status.service);
  return [
    ...(held.length === 1 && held[0] === wanted
      ? []
      : [`${name} stands over ${held.join(", ") || "nothing"}; wanted is ${wanted} alone`]),
    ...(maxBytes > 0 && bytes >= fullShare * maxBytes
      ? [`${name} is full (${size(bytes)} of ${size(maxBytes)}): it drops the oldest results before their time`]
      : []),
    ...(lacks > 0 ? [`${name} has not stored ${lacks} of the latest results: \`replay\` has them`] : []),
  ];
}

function resultsStreamText({ name, messages, bytes, maxBytes }: StreamSeen): string {
  const room = maxBytes > 0 ? ` of ${size(maxBytes)}` : "";
  return `${name} keeps ${messages} results, ${size(bytes)}${room}`;
}

type Disk = NonNullable<Surroundings["disk"]>;

function roomLevel({ freeBytes, sizeBytes, storeBytes }: Disk): CheckLevel {
  if (freeBytes < Math.max(roomCriticalShare * sizeBytes, roomCriticalBytes)) return "critical";
  return freeBytes < Math.max(roomWarningShare * sizeBytes, storeBytes) ? "warning" : "ok";
}

function roomText({ freeBytes, sizeBytes, storeBytes }: Disk): string {
  return `${size(freeBytes)} free of ${size(sizeBytes)}, and the store takes ${size(storeBytes)}`;
}

function size(bytes: number): string {
  const units = ["bytes", "KiB", "MiB", "GiB", "TiB"];
  const at = Math.min(units.length - 1, Math.max(0, Math.floor(Math.log2(Math.max(1, bytes)) / 10)));
  const value = bytes / 1024 ** at;
  return `${value < 10 && at > 0 ? value.toFixed(1) : Math.floor(value)} ${units[at]}`;
}

/** What is said where nothing was found; null: nobody has told anything of it. */
function okText(
  name: CheckName,
  status: ServiceStatus,
  own: Surroundings["certificates"],
  nowMs: number,
): string | null {
  const { servers, epoch } = status;
  const primary = primaryOf(servers, epoch);
  const seen = servers.flatMap(({ name: server, surroundings }) =>
    surroundings === undefined ? [] : [{ server, ...surroundings }],
  );
  const broker = seen.find(({ broker: each }) => each !== null)?.broker ?? null;
  switch (name) {
    case "service":
      return `${primary?.name ?? "nobody"} is the primary, epoch ${epoch}`;
    case "backup":
      return `in sync: ${backupsOf(servers, epoch)
        .map((each) => each.name)
        .join(", ")}`;
    case "servers":
      return `${servers.map((each) => each.name).join(", ")} speak`;
    case "links":
      return servers.length > 1 ? "main and failsafe are up" : "no other server speaks";
    case "nats":
      return broker === null ? "every server reaches it" : `every server reaches it, nats-server ${broker.version}`;
    case "registry":
      return "answers, and takes changes";
    case "registry-version":
      return broker === null ? null : `nats-server ${broker.version}`;
    case "registry-settings":
      return broker === null ? null : "as wanted; NATS does not tell whether sync_interval is always";
    case "permissions":
      return "nothing was forbidden";
    case "disk": {
      const told = seen.flatMap(({ server, disk }) => (disk === null ? [] : `${server}: ${roomText(disk)}`));
      return told.length < servers.length ? null : told.join("; ");
    }
    case "clocks":
      return skewText(servers);
    case "certificates": {
      const all = [...seen.flatMap((each) => each.certificates), ...own];
      const ends = all.flatMap(({ untilMs }) => (untilMs === null ? [] : [untilMs]));
      if (seen.length < servers.length && all.length === 0) return null;
      return ends.length === 0 ? "none is configured" : `the first is over in ${duration(Math.min(...ends) - nowMs)}`;
    }
    case "last-backup": {
      const last = lastBackup(servers);
      if (last === undefined) return null;
      return last === null ? "no server knows of one; --backup-within says that one is wanted" : takenText(last, nowMs);
    }
    case "results-stream": {
      const stream = resultsStreamOf(status);
      if (stream === undefined) return null;
      return stream === null ? "there is none; --results-stream says that one is wanted" : resultsStreamText(stream);
    }
    case "versions": {
      const [first] = servers;
      if (first === undefined) return null;
      const { version, program } = first;
      return program === undefined ? version : `${version}, ${program.application} version ${program.version}`;
    }
    case "settings":
      return "the same, as far as servers tell";
    case "aside":
      return "none is set aside";
    case "application":
      return "none is told";
    case "log":
      return "every line is written";
    case "others":
      return null;
  }
}

/** The greatest difference that a server tells of one that speaks. */
function skewText(servers: readonly ServerStatus[]): string | null {
  const names = new Set(servers.map(({ name }) => name));
  if (names.size < 2) return "no other server speaks";
  const told = servers.flatMap(({ peers }) =>
    peers.flatMap(({ name, aheadMs }) => (names.has(name) && aheadMs !== undefined ? [Math.abs(aheadMs)] : [])),
  );
  return told.length === 0 ? null : `within ${duration(Math.max(...told))} of each other`;
}
