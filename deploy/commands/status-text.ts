/**
 * A service's status for people: the verdict, why, then a row for each server. What always holds: sentence and table say the
 * same; on a terminal no line is longer than it is wide.
 */
import type { ServerStatus, ServiceStatus } from "../../schemas/status.ts";
import { costOf, troubleKinds } from "../../schemas/troubles.ts";
import { anchorOf, runbookEntry } from "../runbook.ts";
import { duration, primaryOf } from "./service-status.ts";

export function statusText(status: ServiceStatus, columns = Number.POSITIVE_INFINITY): string {
  const lines = [
    `${status.service}: ${headline(status)}`,
    placeText(status),
    ...timersText(status),
    ...status.reasons.map(({ server, message }) => `- ${server === "" ? "" : `${server}: `}${message}`),
    ...whatToDo(status),
    "",
    ...tableOf(status, columns),
    "",
    ...programsText(status),
    ...status.servers.flatMap((server) => notesOf(server, status)),
  ];
  return `${lines.flatMap((line) => wrap(line, columns)).join("\n")}\n`;
}

/** The verdict, as one sentence. */
export function headline({ serving, failoverReady, reasons, servers, epoch }: ServiceStatus): string {
  if (!serving) {
    const isMissing = reasons.some(({ code }) => code === "primary.missing");
    return `no requests are processed now, ${isMissing ? "no primary speaks" : "although a primary speaks"}`;
  }
  const primary = primaryOf(servers, epoch);
  if (failoverReady)
    return `a failover would work now${primary?.links.main === "down" ? "; the main link is down, NATS carries the mirror" : ""}`;
  const isAlone = primary?.mode !== "normal" && primary?.mode !== null;
  const alone = isAlone ? `: ${primary?.name} is alone, each request is on its disk before it is acknowledged` : "";
  return `a failover would not work now${alone}`;
}

/** One line for all reasons: each has its entry. */
function whatToDo({ reasons }: ServiceStatus): string[] {
  const codes = [...new Set(reasons.map(({ code }) => code))].filter((code) => Object.hasOwn(troubleKinds, code));
  const [first, ...others] = codes;
  if (first === undefined) return [];
  return [`what to do: ${[runbookEntry(first), ...others.map((code) => `#${anchorOf(code)}`)].join(", ")}`];
}

/** Where no primary speaks, the mode is what the registry says, and no more than that. */
function placeText({ reasons, mode, epoch, history }: ServiceStatus): string {
  const known = `mode ${mode ?? "unknown"}, epoch ${epoch}, history ${history === "" ? "unknown" : history}`;
  const isMissing = reasons.some(({ code }) => code === "primary.missing");
  return isMissing ? `the registry, as it was seen last: ${known}` : known;
}

/** Of the primary: how many timers are set. */
function timersText({ servers, epoch }: ServiceStatus): string[] {
  const { timers, time } = primaryOf(servers, epoch) ?? {};
  if (timers === undefined || timers.count === 0) return [];
  const { count, nextMs } = timers;
  const next = nextMs === null || time === undefined ? "" : `, the next one ${dueText(nextMs - time.nowMs)}`;
  return [`${count} ${count === 1 ? "timer is" : "timers are"} set${next}`];
}

function dueText(inMs: number): string {
  return inMs >= 0 ? `in ${duration(inMs)}` : `due for ${duration(-inMs)}`;
}

interface Column {
  readonly title: string;
  /** Those with the highest number go first where a terminal is too narrow. */
  readonly rank: number;
  readonly cell: (server: ServerStatus, status: ServiceStatus) => string;
}

const columnsOfTable: readonly Column[] = [
  { title: "server", rank: 0, cell: ({ name }) => name },
  { title: "role", rank: 0, cell: roleOf },
  { title: "application", rank: 4, cell: ({ application }) => application },
  { title: "state", rank: 1, cell: ({ state }) => state },
  { title: "epoch", rank: 5, cell: ({ epoch }) => String(epoch) },
  { title: "sequence", rank: 1, cell: ({ sequence }) => String(sequence) },
  { title: "committed", rank: 3, cell: ({ committed }) => String(committed) },
  { title: "flushed", rank: 2, cell: ({ flushed }) => String(flushed) },
  { title: "main/failsafe", rank: 2, cell: ({ links }) => `${links.main}/${links.failsafe}` },
  { title: "in flight", rank: 6, cell: ({ inFlight }) => String(inFlight) },
  { title: "program", rank: 7, cell: programOf },
  { title: "incarnation", rank: 8, cell: ({ incarnation }) => incarnation },
];

/** Of Twinlog and of the application: `0.1.0, exchange 2`. */
function programOf({ version, program }: ServerStatus): string {
  return program === undefined ? version : `${version}, ${program.application} ${program.version}`;
}

/** Told where they differ, however narrow the terminal is. */
function programsText({ servers }: ServiceStatus): string[] {
  const all = servers.map((server) => `${server.name} ${programOf(server)}`);
  return new Set(servers.map(programOf)).size < 2 ? [] : [`programs differ: ${all.join("; ")}`];
}

/** A primary of an epoch that is over is none, whatever it says of itself. */
function roleOf({ role, epoch }: ServerStatus, status: ServiceStatus): string {
  return role !== "none" && epoch < status.epoch ? `${role} of ${epoch}` : role;
}

function tableOf(status: ServiceStatus, columns: number): string[] {
  const { servers, silent } = status;
  const chosen = [...columnsOfTable];
  for (;;) {
    const rows = [
      chosen.map(({ title }) => title),
      ...servers.map((server) => chosen.map(({ cell }) => cell(server, status))),
      ...silent.map(({ name, silentMs }) => [name, silentMs === null ? "silent" : `silent ${duration(silentMs)}`]),
    ];
    const widths = chosen.map((_, at) => Math.max(...rows.map((row) => row[at]?.length ?? 0)));
    const lines = rows.map((row) =>
      row
        .map((cell, at) => cell.padEnd(widths[at] ?? 0))
        .join("  ")
        .trimEnd(),
    );
    const rank = Math.max(...chosen.map((column) => column.rank));
    if (rank === 0 || lines.every((line) => line.length <= columns)) return lines;
    chosen.splice(
      chosen.findLastIndex((column) => column.rank === rank),
      1,
    );
  }
}

/** Why it is where it is, what it waits for, and its troubles that cost nothing yet. */
function notesOf({ name, why, waitingFor, troubles }: ServerStatus, { reasons }: ServiceStatus): string[] {
  const told = new Set(reasons.filter(({ server }) => server === name).map(({ message }) => message));
  const waits = waitingFor === "" || told.has(waitingFor) ? [] : [`${name} waits: ${waitingFor}`];
  const others = troubles
    .filter(({ code, message }) => !told.has(message) && message !== waitingFor && costOf(code) !== "service")
    .map(({ message }) => `${name}, beside that: ${message}`);
  return [...(waitingFor === "" ? [`${name}: ${why}`] : waits), ...others];
}

/** Between words; what follows is indented. */
function wrap(line: string, columns: number): string[] {
  const lines: string[] = [];
  let rest = line;
  while (rest.length > columns) {
    const at = rest.lastIndexOf(" ", columns);
    if (at <= 2) break;
    lines.push(rest.slice(0, at));
    rest = `  ${rest.slice(at + 1)}`;
  }
  return [...lines, rest];
}
