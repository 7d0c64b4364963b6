/**
 * The application whose store is kept in `testdata/`, as it was when that was written: tables, a queue, requests that succeed, fail, and
 * are never done. It stays as it is; another one gets a store of its own.
 */
import process from "node:process";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import { type Application, defineApplication } from "../../actors/application/define.ts";
import type { ApplicationState } from "../../actors/application/state.ts";
import { runCommand } from "../../deploy/nats/command.ts";

const kinds = ["add", "fail", "wait"] as const;

/** `isOver`: whether a request that waits goes on. */
export const keptApplication = (isOver: () => boolean): Application =>
  defineApplication({
    name: "kept",
    version: 3,
    migrations: { 2: {}, 3: {} },
    request: z.strictObject({ kind: z.enum(kinds), name: z.string(), note: z.string().default("none") }),
    result: z.strictObject({ value: z.int(), note: z.string() }),
    key: ({ name }) => name,
    tables: {
      notes: z.object({ text: z.string(), by: z.string().nullable() }),
      sums: z.object({ value: z.int(), parts: z.array(z.number()) }),
    },
    queues: { changes: { item: z.object({ name: z.string(), value: z.int() }), maxItems: 4, whenFull: "dropOldest" } },
    handle: ({ kind, name, note }, { client, transaction }) => {
      const add = () =>
        transaction("add", (tx) => {
          const { value, parts } = tx.get("sums", name) ?? { value: 0, parts: [] };
          tx.put("sums", name, { value: value + 1, parts: [...parts, value / 4] });
          tx.put("notes", name, { text: note, by: note === "none" ? null : client });
          tx.push("changes", { name, value: value + 1 });
          if (value > 1) tx.delete("notes", name);
          return { value: value + 1, note };
        });
      if (kind === "add") return add();
      if (kind === "fail") throw new Error("it fails");
      return (async () => {
        const { value } = add();
        if (!isOver()) await new Promise(() => undefined);
        return transaction("after", (tx) => {
          tx.push("changes", { name: "after", value });
          return { value: -value, note };
        });
      })();
    },
  }) as unknown as Application;

const program = fileURLToPath(new URL("../../deploy/twinlog.js", import.meta.url));

export const twinlog = (words: readonly string[]) =>
  runCommand(process.execPath, [program, ...words], { timeoutMs: 60_000 });

export interface KeptRequest {
  readonly client: string;
  readonly id: string;
  readonly name: string;
  readonly body: object;
  /** Null: it is begun, and has no reply. */
  readonly reply: string | null;
}

export interface Content {
  readonly tables: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  readonly queues: Readonly<Record<string, readonly unknown[]>>;
}

export function contentOf(state: ApplicationState): Content {
  const tables: Record<string, Record<string, unknown>> = {};
  const queues: Record<string, unknown[]> = {};
  for (const { kind, name } of state.catalog.parts) {
    if (kind === "table") tables[name] = Object.fromEntries(state.table(name).rows);
    else queues[name] = Array.from({ length: state.queue(name).length }, (_, at) => state.queue(name).at(at));
  }
  return { tables, queues };
}

/** What is kept beside a store: what is in it, as it was told when it was written. */
export interface KeptContent {
  /** The registry's record, that the server was alone. */
  readonly registry: object;
  readonly requests: readonly KeptRequest[];
  /** As tables and queues on the disk have it, and as it is with the records above them. */
  readonly inTables: Content;
  readonly inAll: Content;
  /** Of the last record. */
  readonly sequence: number;
  readonly results: number;
}
