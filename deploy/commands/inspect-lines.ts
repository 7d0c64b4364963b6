/**
 * What `twinlog inspect` prints as lines of JSON: records of the log, rows and items. What always holds: no more than a limit is
 * printed, and how many there are beyond it is told; what is printed leaves in pieces, so that a store of any size passes.
 */
import { readEffects } from "../../machines/codec/effects.ts";
import { RecordReader, recordKinds } from "../../machines/codec/record.ts";
import type { InspectVisitor } from "../inspect.ts";
import type { CommandWorld } from "./world.ts";

/** Output is handed over in pieces of about this many characters. */
const pieceLength = 64 * 1024;

/** Collects lines and hands them over in pieces; beyond `limit` it counts them. */
export class Lines {
  readonly #world: Pick<CommandWorld, "out">;
  readonly #limit: number;
  #text = "";
  #count = 0;

  constructor(world: Pick<CommandWorld, "out">, limit: number) {
    this.#world = world;
    this.#limit = limit;
  }

  /** How many there were beyond the limit. */
  get omitted(): number {
    return Math.max(0, this.#count - this.#limit);
  }

  /** `line` is made only where it is printed. */
  add(line: () => object): void {
    this.#count += 1;
    if (this.#count <= this.#limit) this.#text += `${JSON.stringify(line())}\n`;
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

/** Which rows and items are wanted; all where it says nothing. */
export interface RowChoice {
  readonly table?: string | undefined;
  readonly queue?: string | undefined;
  readonly key?: string | undefined;
  readonly prefix?: string | undefined;
}

/** `names` collects the tables and queues that are met. */
export function rowVisitor({ table, queue, key, prefix }: RowChoice, lines: Lines): InspectVisitor {
  const isOfTables = queue === undefined;
  const isOfQueues = table === undefined && key === undefined && prefix === undefined;
  return {
    onRow: (name, bytes, value) => {
      if (!isOfTables || (table !== undefined && name !== table)) return;
      const found = bytes.toString();
      if ((key !== undefined && found !== key) || (prefix !== undefined && !found.startsWith(prefix))) return;
      lines.add(() => ({ table: name, key: found, value: json(value) }));
    },
    onItem: (name, value) => {
      if (isOfQueues && (queue === undefined || name === queue)) lines.add(() => ({ queue: name, value: json(value) }));
    },
  };
}

const kindNames = new Map<number, string>(Object.entries(recordKinds).map(([name, kind]) => [kind, name]));

/** Calls `tell` for each record of the batch, where the reader stands. */
export function eachRecord(bytes: Uint8Array, tell: (reader: RecordReader) => void): void {
  const reader = new RecordReader(bytes);
  do tell(reader);
  while (reader.next());
}

export function recordOf(reader: RecordReader): object {
  const { sequence, epoch, kind, client, id, key, name, ordinal, resultNumber, stampMs } = reader;
  const fields = { sequence, epoch, kind: kindNames.get(kind) ?? kind, client, id, key, name, ordinal };
  const effects = effectsOf(reader.effects);
  const body = reader.body.length === 0 ? undefined : json(reader.body);
  const traceparent = reader.traceparent || undefined;
  return { ...fields, resultNumber, stampMs, traceparent, effects, reply: json(reader.reply), body };
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

export function json(bytes: Uint8Array): unknown {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString();
  try {
    return text === "" ? undefined : JSON.parse(text);
  } catch {
    return text;
  }
}
