/**
 * From a definition to its catalog, and from the state's catalog to what a program must do to serve it (rule 19). What always
 * holds: a table or queue keeps its number as long as the state has it, and none is given twice; a program that goes on with a
 * state says beforehand whether it can, in words.
 */
import { createHash } from "node:crypto";
import { z } from "zod";
import type { OwnProgram } from "../../machines/replica/types.ts";
import { Catalog, type CatalogPart, type MigrationPlace, maxParts } from "../../schemas/catalog.ts";
import { type Application, applicationParts } from "./define.ts";
import { StateError } from "./errors.ts";
import { structureOf, whyNotRead } from "./json-schema.ts";

/** What a program makes of a state. */
export interface Plan {
  /** The catalog when it is done. */
  readonly target: Catalog;
  /** The same with what the state has besides, for the time of a migration. */
  readonly union: Catalog;
  /** The versions to be made, in their order; none: at most tables and queues are added. */
  readonly versions: readonly number[];
  /** Parts of the target whose rows were not all written by a schema that this program's takes: they are looked at one by one. */
  readonly changed: ReadonlySet<number>;
}

const known = new WeakMap<Application, Catalog>();
const names = new WeakMap<Catalog, string>();

/** Of a new state: tables by name, then queues by name. */
export function catalogOf(application: Application): Catalog {
  const made = known.get(application) ?? {
    application: application.storedAs,
    version: application.version,
    parts: applicationParts(application).map(({ part, kind, name, schema }) => ({
      part,
      kind,
      name,
      schema: { ...structureOf(z.toJSONSchema(schema)) },
    })),
    nextPart: applicationParts(application).length,
  };
  known.set(application, made);
  return made;
}

/**
 * Two states with one name are made alike, whatever numbers their parts have: the version, and 16 hex digits over the
 * application's name and its parts. While a migration is under way it is no program's.
 */
export function catalogName(catalog: Catalog): string {
  const name = names.get(catalog) ?? nameOf(catalog);
  names.set(catalog, name);
  return name;
}

function nameOf({ application, version, parts, migration }: Catalog): string {
  const described = parts.map(({ kind, name, schema }) => JSON.stringify([kind, name, schema])).sort();
  const digest = createHash("sha256")
    .update(JSON.stringify([application, described]))
    .digest("hex");
  return `${version}:${digest.slice(0, 16)}${migration === undefined ? "" : "~"}`;
}

/** What the replica is told of a program. */
export function ownProgram(application: Application): OwnProgram {
  const { storedAs, version } = application;
  return { application: storedAs, version, catalog: catalogName(catalogOf(application)) };
}

/** Throws StateError: what was committed as a catalog is none. */
export function readCatalog(json: Uint8Array): Catalog {
  try {
    return Catalog.parse(JSON.parse(Buffer.from(json.buffer, json.byteOffset, json.byteLength).toString("utf8")));
  } catch (error) {
    throw new StateError("a catalog record holds no catalog", { cause: error });
  }
}

/** What this program must do to serve the state; or why it cannot, in one sentence for an operator. */
export function planFor(catalog: Catalog, application: Application): Plan | string {
  const { name, storedAs } = application;
  if (catalog.application !== storedAs) {
    const asWhat = storedAs === name ? "" : `, which knows its data as ${storedAs}'s`;
    return `the data is the application ${catalog.application}'s, and this program is ${name}${asWhat}: one that was renamed says storedAs: "${catalog.application}"`;
  }
  const { version } = application;
  const reached = catalog.migration?.target ?? catalog.version;
  if (version < reached)
    return `the data is of version ${reached}, and this program of ${application.name} knows no later one than ${version}: start the newer program`;
  const changes = changesOf(catalog, application);
  if (version === catalog.version && catalog.migration === undefined && changes.length > 0)
    return `what is stored does not fit this program: ${changes.map(({ why }) => why).join("; ")}. Give the definition version ${version + 1} and a migration, or take the change back`;
  const versions = versionsFrom(catalog, version);
  const missing = versions.find((one) => application.migrations[one] === undefined);
  if (missing !== undefined)
    return `the data is of version ${catalog.version}, and this program has no migration to version ${missing}`;
  return arranged(catalog, application, versions, changes);
}

function versionsFrom({ version, migration }: Catalog, last: number): number[] {
  const first = migration?.to ?? version + 1;
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, at) => first + at);
}

interface Difference {
  readonly part: number;
  readonly why: string;
}

/** Where the program does not take what the state may hold. */
function changesOf(catalog: Catalog, application: Application): Difference[] {
  const wanted = new Map(catalogOf(application).parts.map((one) => [keyOf(one), one]));
  const changes: Difference[] = [];
  for (const stored of catalog.parts) {
    const its = wanted.get(keyOf(stored));
    const why = its === undefined ? "it is gone" : whyNotRead(its.schema, stored.schema);
    if (why !== null) changes.push({ part: stored.part, why: `${keyOf(stored)}: ${why}` });
  }
  return changes;
}

function arranged(
  catalog: Catalog,
  application: Application,
  versions: readonly number[],
  changes: readonly Difference[],
): Plan | string {
  const wanted = catalogOf(application);
  const stored = new Map(catalog.parts.map((one) => [keyOf(one), one]));
  let { nextPart } = catalog;
  const parts = wanted.parts.map((one): CatalogPart => {
    const part = stored.get(keyOf(one))?.part;
    if (part !== undefined) return { ...one, part };
    nextPart += 1;
    return { ...one, part: nextPart - 1 };
  });
  if (nextPart > maxParts) return `this data has had ${maxParts} tables and queues: no further one can be added`;
  const byNumber = (left: CatalogPart, right: CatalogPart) => left.part - right.part;
  const { application: name, version } = wanted;
  const target: Catalog = { application: name, version, parts: parts.sort(byNumber), nextPart };
  const added = target.parts.filter(({ part }) => !catalog.parts.some((one) => one.part === part));
  const begun = { to: catalog.version + 1, part: null, after: null, left: null };
  const place: MigrationPlace = { ...(catalog.migration ?? begun), target: version };
  const union: Catalog = {
    ...catalog,
    parts: [...catalog.parts, ...added].sort(byNumber),
    nextPart,
    ...(versions.length > 0 || catalog.migration !== undefined ? { migration: place } : {}),
  };
  // A version that is passed over, and whoever began a migration, wrote what this program's schemas never saw.
  const isUnseen = version > catalog.version + 1 || catalog.migration !== undefined;
  const seen = target.parts.filter(({ part }) => isUnseen || changes.some((one) => one.part === part));
  return { target, union, versions, changed: new Set(seen.map(({ part }) => part)) };
}

function keyOf({ kind, name }: Pick<CatalogPart, "kind" | "name">): string {
  return `${kind} ${name}`;
}
