/**
 * The applications that a configuration can name: those that this program brings along, or a module of the author's own,
 * by its path (`./orders.js`, relative to the configuration), which exports one application. What always holds: a
 * module of TypeScript is loaded by Node itself where it can, else by the package `tsx`, which its author installs.
 */
import { dirname, resolve } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { pathToFileURL } from "node:url";
import type { ApplicationDefinition } from "../actors/application/contract.ts";
import { exchange } from "../actors/applications/exchange/exchange.ts";
import { ledger } from "../actors/applications/ledger/ledger.ts";

export const applications: ReadonlyMap<string, ApplicationDefinition> = new Map<string, ApplicationDefinition>([
  [exchange.name, exchange],
  [ledger.name, ledger],
]);

/** Whether a name is meant as the path of a module. */
export function isPath(name: string): boolean {
  return /[./]/.test(name);
}

export class ApplicationNotFound extends Error {
  override readonly name = "ApplicationNotFound";
}

function isApplication(value: unknown): value is ApplicationDefinition {
  return typeof value === "object" && value !== null && "handle" in value && "request" in value && "name" in value;
}

/** How long a module may take to load. */
export const loadWithinMs = 20_000;

/** `configFile`: what a path is relative to. */
export async function findApplication(
  name: string,
  configFile: string,
  withinMs = loadWithinMs,
): Promise<ApplicationDefinition> {
  const own = applications.get(name);
  if (own !== undefined) return own;
  const names = [...applications.keys()].join(", ");
  if (!isPath(name))
    throw new ApplicationNotFound(`no application is called ${name}; there are: ${names}, or a path to a module`);
  const path = resolve(dirname(configFile), name);
  const exported = await load(path, withinMs);
  const found = Object.values(exported).filter(isApplication);
  if (found.length === 1) return found[0] as ApplicationDefinition;
  throw new ApplicationNotFound(
    `${path} must export exactly one application made by defineApplication; it exports ${found.length}`,
  );
}

/** A module that awaits what never comes would otherwise end this program without a word, or never. */
async function load(path: string, withinMs: number): Promise<Record<string, unknown>> {
  const patience = new AbortController();
  const late = delay(withinMs, undefined, { signal: patience.signal }).then(() => {
    throw new Error(`it is not loaded after ${withinMs / 1_000} s: what it awaits at its top level does not come`);
  });
  late.catch(() => undefined);
  try {
    return (await Promise.race([importModule(path), late])) as Record<string, unknown>;
  } catch (error) {
    const message = (error instanceof Error ? error.message : String(error)).split("\n", 1)[0];
    throw new ApplicationNotFound(`cannot load the application ${path}: ${message}`);
  } finally {
    patience.abort();
  }
}

const needsTsx =
  "this Node takes no TypeScript: `npm install --save-dev tsx` lets it, so does Node 22.18 or newer; or name the module that was built from it";

async function importModule(path: string): Promise<unknown> {
  // Node 20's types do not know of it.
  const { typescript = false } = process.features as { readonly typescript?: unknown };
  if (/\.[cm]?ts$/.test(path) && typescript === false) {
    const tsx = await import("tsx/esm/api").catch((cause: unknown) => {
      throw new Error(needsTsx, { cause });
    });
    tsx.register();
  }
  return await import(pathToFileURL(path).href);
}
