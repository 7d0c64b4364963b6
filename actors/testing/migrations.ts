/**
 * An application's migrations on rows and items that a test writes down. What always holds: they are made by the code of a server;
 * what comes of them is the same wherever a server dies in between, or the test hears of it.
 */
import { isDeepStrictEqual } from "node:util";
import { EffectWriter } from "../../machines/codec/effects.ts";
import type { Catalog } from "../../schemas/catalog.ts";
import type { Application } from "../application/define.ts";
import { applyRecord, type CatalogRecord, Migration } from "../application/migration.ts";
import { ApplicationState } from "../application/state.ts";

/** What a state holds: tables by name, rows by key; queues by name, the oldest item first. Plain JSON. */
export interface Stored {
  /** Of the program that stored it. Default: 1. */
  readonly version?: number;
  readonly tables?: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  readonly queues?: Readonly<Record<string, readonly unknown[]>>;
}

const limits = { maxRecordBytes: 1024 * 1024, closeBytes: 1 };

export function tryMigration(application: Application, stored: Stored): Required<Omit<Stored, "version">> {
  const catalog = catalogFor(application, stored);
  const whole = stateOf(application, catalog, stored);
  const records = recordsOf(whole, application);
  for (const record of records) applyRecord(whole, record);
  const found = contentOf(whole);
  for (let cut = 1; cut < records.length; cut += 1) {
    const state = stateOf(application, catalog, stored);
    for (const record of records.slice(0, cut)) applyRecord(state, record);
    for (const record of recordsOf(state, application)) applyRecord(state, record);
    if (!isDeepStrictEqual(contentOf(state), found))
      throw new Error(
        `what the migration makes depends on where it is cut: after record ${cut} of ${records.length} another server makes ${JSON.stringify(contentOf(state))}, not ${JSON.stringify(found)}; carry nothing from row to row but in tables`,
      );
  }
  return found;
}

/** Nothing is known of what the rows looked like: after the migration each is held to its schema. */
function catalogFor({ storedAs }: Application, { version = 1, tables = {}, queues = {} }: Stored): Catalog {
  const named = [
    ...Object.keys(tables).map((table) => ({ kind: "table" as const, name: table })),
    ...Object.keys(queues).map((queue) => ({ kind: "queue" as const, name: queue })),
  ];
  const parts = named.map((one, part) => ({ ...one, part, schema: {} }));
  return { application: storedAs, version, parts, nextPart: parts.length };
}

function stateOf(application: Application, catalog: Catalog, { tables = {}, queues = {} }: Stored): ApplicationState {
  const state = new ApplicationState(application, catalog);
  if (state.whyUnreadable !== "") throw new Error(state.whyUnreadable);
  const writer = new EffectWriter();
  for (const { part, kind, name } of catalog.parts) {
    if (kind === "table")
      for (const [key, row] of Object.entries(tables[name] ?? {})) writer.put(part, key, JSON.stringify(row));
    else for (const item of queues[name] ?? []) writer.push(part, JSON.stringify(item));
  }
  state.apply(Uint8Array.from(writer.view()));
  return state;
}

function recordsOf(state: ApplicationState, application: Application): CatalogRecord[] {
  const migration = new Migration(state, application, limits);
  migration.make(() => true);
  const records: CatalogRecord[] = [];
  for (let record = migration.next(); record !== undefined; record = migration.next()) records.push(record);
  return records;
}

function contentOf(state: ApplicationState): Required<Omit<Stored, "version">> {
  const tables: Record<string, Record<string, unknown>> = {};
  const queues: Record<string, unknown[]> = {};
  for (const { kind, name } of state.catalog.parts) {
    if (kind === "table") tables[name] = Object.fromEntries(state.table(name).rows);
    else {
      const queue = state.queue(name);
      queues[name] = Array.from({ length: queue.length }, (_, at) => queue.at(at));
    }
  }
  return { tables, queues };
}
