/**
 * The catalog: of which tables and queues an application's state is made, under which numbers, and what their rows and items
 * look like. It is part of the state: records carry it (rule 19), and each store keeps the one that belongs to its tables.
 */
import { z } from "zod";
import { Count } from "./ranges.ts";

/** How many tables and queues one application may have, all those counted that it ever had: a number is given once. */
export const maxParts = 255;

const JsonSchema = z.record(z.string(), z.unknown());

export const CatalogPart = z.object({
  /** The number that effects and keys of the store have. */
  part: Count.max(maxParts - 1),
  kind: z.enum(["table", "queue"]),
  name: z.string(),
  /** JSON Schema of a row or an item, without words and without limits. */
  schema: JsonSchema,
});
export type CatalogPart = z.infer<typeof CatalogPart>;

/** How far a migration has come: what is before this is of the next version already. */
export const MigrationPlace = z.object({
  /** Of the program that makes it: no earlier one goes on with these tables. */
  target: Count.min(2),
  /** The version that is being made; above the target: all are made, and what the program has no more is dropped. */
  to: Count.min(2),
  /** The table or queue that is being gone through; null: none yet. */
  part: Count.nullable(),
  /** The last key that was gone through. */
  after: z.string().nullable(),
  /** Of a queue: items that are still to be gone through. */
  left: Count.nullable(),
});
export type MigrationPlace = z.infer<typeof MigrationPlace>;

export const Catalog = z.object({
  application: z.string(),
  /** The definition's version under which these tables were written. */
  version: Count.min(1),
  parts: z.array(CatalogPart).max(maxParts),
  /** The number that a new table or queue gets. */
  nextPart: Count.max(maxParts),
  /** Under way, in this log. */
  migration: MigrationPlace.optional(),
});
export type Catalog = z.infer<typeof Catalog>;

/** Which program a server runs, as it tells its peers. */
export const Program = z.object({
  application: z.string().max(64),
  version: Count.min(1),
  /** It can make something of the state as it is; else it keeps what it is given, and cannot serve. */
  reads: z.boolean(),
});
export type Program = z.infer<typeof Program>;
