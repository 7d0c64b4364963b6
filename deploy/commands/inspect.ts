/**
 * `twinlog inspect`: what a stopped server has on its disk, read-only, and whether all of it is sound. `--records` and
 * `--rows` print the log and the tables as lines of JSON instead of the summary. Exit status 0 only if the store is sound.
 */
import { Command } from "commander";
import { readEffects } from "../../machines/codec/effects.ts";
import { RecordReader, recordKinds } from "../../machines/codec/record.ts";
import { type Inspection, type InspectVisitor, inspect } from "../inspect.ts";
import { type CommandWorld, wholeNumber } from "./world.ts";

interface InspectFlags {
  json: boolean;
  records: boolean;
  rows: boolean;
  from: number;
  copy?: string;
}

/** Output is handed over in pieces of about this many characters. */
const pieceLength = 64 * 1024;

export function inspectCommand(world: CommandWorld): Command {
  return new Command("inspect")
    .description("show what a stopped server has on its disk, and whether it is sound; nothing is changed")
    .argument("<directory>", "the server's data directory")
    .option("--json", "the summary as JSON", false)
    .option("--records", "the log instead, a record a line", false)
    .option("--from <sequence>", "with --records: the first record wanted", wholeNumber("--from", 1), 1)
    .option("--copy <name>", "an earlier store that was set aside there, by its name, instead of the present one")
    .option("--rows", "tables and queues instead, a row or an item a line", false)
    .addHelpText(
      "after",
      "\nExamples:\n  $ twinlog inspect .twinlog/alpha\n  $ twinlog inspect .twinlog/alpha --records --from 1000 | head\n",
    )
    .action(async (directory: string, flags: InspectFlags) => {
      const lines = new Lines(world);
      const visitor: InspectVisitor = {
        drained: () => lines.drained(),
        ...(flags.records ? { onBatch: (batch) => tellRecords(batch.bytes, flags.from, lines) } : {}),
        ...(flags.rows ? rowVisitor(lines) : {}),
      };
      const inspection = await inspect(directory, world.clock, visitor, flags.copy);
      await lines.end();
      if (flags.records || flags.rows) return;
      await world.out(flags.json ? `${JSON.stringify(summaryOf(inspection))}\n` : summaryText(inspection));
    });
}

/** Collects lines and hands them over in pieces. */
class Lines {
  readonly #world: CommandWorld;
  #text = "";

  constructor(world: CommandWorld) {
    this.#world = world;
  }

  add(line: object): void {
    this.#text += `${JSON.stringify(line)}\n`;
  }

  async drained(): Promise<void> {
    if (this.#text.length >= pieceLength) await this.end();
  }

  async end(): Promise<void> {
    const text = this.#text;
    this.#text = "";
    if (text !== "") await this.#world.out(text);
  }
}

function rowVisitor(lines: Lines): InspectVisitor {
  return {
    onRow: (table, key, value) => lines.add({ table, key: key.toString(), value: json(value) }),
    onItem: (queue, value) => lines.add({ queue, value: json(value) }),
  };
}

const kindNames = new Map<number, string>(Object.entries(recordKinds).map(([name, kind]) => [kind, name]));

function tellRecords(bytes: Uint8Array, from: number, lines: Lines): void {
  const reader = new RecordReader(bytes);
  do {
    if (reader.sequence < from) continue;
    const { sequence, epoch, kind, client, id, key, name, ordinal, resultNumber, stampMs } = reader;
    const fields = { sequence, epoch, kind: kindNames.get(kind) ?? kind, client, id, key, name, ordinal };
    const effects = effectsOf(reader.effects);
    const body = reader.body.length === 0 ? undefined : json(reader.body);
    lines.add({ ...fields, resultNumber, stampMs, effects, reply: json(reader.reply), body });
  } while (reader.next());
}

/** Parts by their numbers: `inspect --json` names them. */
function effectsOf(bytes: Uint8Array): object[] {
  const effects: object[] = [];
  readEffects(bytes, {
    put: (part, key, value) => effects.push({ put: part, key, value: json(value) }),
    delete: (part, key) => effects.push({ delete: part, key }),
    push: (part, value) => effects.push({ push: part, value: json(value) }),
    shift: (part, count) => effects.push({ shift: part, count }),
  });
  return effects;
}

function json(bytes: Uint8Array): unknown {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString();
  try {
    return text === "" ? undefined : JSON.parse(text);
  } catch {
    return text;
  }
}

function summaryOf({ meta, application, parts, end, aside }: Inspection): object {
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
    ancestors: meta.ancestors ?? [],
    aside,
  };
}

function restoredLine({ restored }: Inspection["meta"]): [string, string][] {
  if (restored === undefined) return [];
  return [["restored", `from a backup of ${restored.takenAt}, through record ${restored.sequence}`]];
}

function summaryText({ meta, application, parts, end, aside }: Inspection): string {
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
    ...aside.map(({ name, bytes }): [string, string] => ["set aside", `${name} (${bytes} bytes)`]),
    ["sound", "yes: every row, item and record was checked"],
  ];
  return lines.map(([label, value]) => `${label.padEnd(14)}${value}\n`).join("");
}
