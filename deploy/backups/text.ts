/** What is in a backup, for people and for programs. */
import { partsOf } from "../inspect.ts";
import type { Backup } from "./file.ts";

export function backupJson(file: string, backup: Backup): object {
  const { meta, end, entries, header, bytes } = backup;
  const { service, server, schema, history, ancestors = [], committed, firstRetained, resultNumber, applied } = meta;
  const { application, parts } = countedParts(backup);
  return {
    sound: true,
    file,
    bytes,
    takenAt: new Date(header.takenAtMs).toISOString(),
    twinlog: header.version,
    service,
    server,
    application,
    schema,
    history,
    ancestors,
    sequence: end.sequence,
    log: { first: firstRetained, last: end.sequence, epoch: end.epoch, hash: end.hash },
    applied: applied.sequence,
    committed,
    results: resultNumber,
    entries,
    parts: Object.fromEntries(parts.map(({ name, part, kind, count }) => [name, { part, kind, count }])),
  };
}

/** After it was taken. */
export function backupLine(file: string, { meta, end, bytes }: Backup): string {
  return `${file}: ${meta.service} through record ${end.sequence} (epoch ${end.epoch}, history ${meta.history}), from ${meta.server}; ${bytes} bytes, all of it checked\n`;
}

export function backupText(file: string, backup: Backup): string {
  const { meta, end, header, bytes } = backup;
  const { application, parts } = countedParts(backup);
  const log = end.sequence < meta.firstRetained ? "no records" : `records ${meta.firstRetained} to ${end.sequence}`;
  const lines: [label: string, value: string][] = [
    ["backup", `${file}, ${bytes} bytes`],
    ["taken", `${new Date(header.takenAtMs).toISOString()} by twinlog ${header.version}`],
    ["from", `${meta.server} of ${meta.service}, application ${application ?? `unknown (schema ${meta.schema})`}`],
    ["history", meta.history],
    ["state", `as of record ${end.sequence}, of epoch ${end.epoch}, hash ${end.hash.toString(16).padStart(8, "0")}`],
    ["log", `${log}; tables as of record ${meta.applied.sequence}; results through ${meta.resultNumber}`],
    ...parts.map(({ name, kind, count }): [string, string] => [
      `  ${name}`,
      `${count} ${kind === "queue" ? "items" : "rows"}`,
    ]),
    ["sound", "yes: every byte, row, item and record was checked"],
  ];
  return lines.map(([label, value]) => `${label.padEnd(14)}${value}\n`).join("");
}

function countedParts({ meta, counts }: Backup) {
  const { application, parts: known } = partsOf(meta);
  const numbers = [...new Set([...known.keys(), ...counts.keys()])].sort((one, other) => one - other);
  const parts = numbers.map((part) => {
    const { name, kind } = known.get(part) ?? { name: `part ${part}`, kind: "part" as const };
    return { part, name, kind, count: counts.get(part) ?? 0 };
  });
  return { application, parts };
}
