/** The summary of a store, for people and for programs. */
import type { CheckpointMeta } from "../../schemas/checkpoint.ts";
import type { Inspection } from "../inspect.ts";

export function summaryOf({ meta, application, parts, nextTimerMs, end, aside }: Inspection): object {
  const { service, server, schema, history, epoch, life, incarnation, committed, published } = meta;
  const log = { first: meta.firstRetained, last: end.sequence, epoch: end.epoch, hash: end.hash };
  const counts = [...parts].map(([part, { name, kind, count }]) => [name, { part, kind, count }] as const);
  return {
    sound: true,
    service,
    server,
    application,
    schema,
    history,
    epoch,
    life,
    incarnation,
    disk: meta.disk,
    restored: meta.restored,
    log,
    applied: meta.applied.sequence,
    committed,
    published,
    results: meta.resultNumber,
    parts: Object.fromEntries(counts),
    nextTimerMs,
    ancestors: meta.ancestors ?? [],
    aside,
  };
}

/** Of a store of which nothing is proved. */
export function identityText({
  disk,
  server,
  service,
  history,
  epoch,
  committed,
  incarnation,
}: CheckpointMeta): string {
  const name = disk === undefined ? "a disk without a name" : `disk ${disk}`;
  return `unproved, in its own words: ${name}, of ${server} of ${service} (incarnation ${incarnation}), history ${history}, epoch ${epoch}, committed through ${committed} at least`;
}

function restoredLine({ restored }: Inspection["meta"]): [string, string][] {
  if (restored === undefined) return [];
  return [["restored", `from a backup of ${restored.takenAt}, through record ${restored.sequence}`]];
}

export function summaryText({ meta, application, parts, nextTimerMs, end, aside }: Inspection): string {
  const range = end.sequence < meta.firstRetained ? "no records" : `records ${meta.firstRetained} to ${end.sequence}`;
  const lines: [label: string, value: string][] = [
    ["server", `${meta.server} of ${meta.service}, application ${application ?? `unknown (schema ${meta.schema})`}`],
    ["history", meta.history],
    ...(meta.ancestors ?? []).map(({ history, end: { sequence }, results }): [string, string] => [
      "  before it",
      `${history} through record ${sequence}, result ${results}`,
    ]),
    [
      "epoch",
      `${meta.epoch} is the highest accepted; started ${meta.life} times, now as incarnation ${meta.incarnation}`,
    ],
    ...restoredLine(meta),
    [
      "disk",
      meta.disk ?? `without a name: ${meta.restored ? "it was never started with" : "an older program wrote it"}`,
    ],
    ["log", `${range}, the last of epoch ${end.epoch}, hash ${end.hash.toString(16).padStart(8, "0")}`],
    ["committed", `through ${meta.committed} at least; results through ${meta.resultNumber}`],
    ["tables", `as of record ${meta.applied.sequence}`],
    ...[...parts.values()].map(({ name, kind, count }): [string, string] => [
      `  ${name}`,
      `${count} ${kind === "queue" ? "items" : "rows"}`,
    ]),
    ...(nextTimerMs === null ? [] : [["next timer", new Date(nextTimerMs).toISOString()] satisfies [string, string]]),
    ...aside.map(({ name, bytes }): [string, string] => ["set aside", `${name} (${bytes} bytes)`]),
    ["sound", "yes: every row, item and record was checked"],
  ];
  return lines.map(([label, value]) => `${label.padEnd(14)}${value}\n`).join("");
}
