/**
 * What the servers of a service say of their logs and of the registry, asked one by one by name (schemas/standing.ts). What
 * always holds: each process answers for itself, so that two of one name give two answers; one that is silent gives none.
 */
import type { Bus, Clock } from "../../actors/world/ports.ts";
import { shippedRules } from "../../machines/replica/rules.ts";
import { Standing } from "../../schemas/standing.ts";
import { subjects } from "../../schemas/subjects.ts";
import { askAll } from "./ask.ts";

/** How long servers are given to answer. */
const answerMs = 800;

/** Of these servers, and of all that they know. Sorted by name. */
export async function askStandings(
  bus: Bus,
  clock: Clock,
  service: string,
  names: readonly string[],
): Promise<Standing[]> {
  const first = await askNames(bus, clock, service, names);
  const others = new Set(first.flatMap(({ configured }) => configured));
  for (const name of names) others.delete(name);
  const more = others.size === 0 ? [] : await askNames(bus, clock, service, [...others]);
  return [...first, ...more].sort((one, other) => (one.server < other.server ? -1 : 1));
}

async function askNames(bus: Bus, clock: Clock, service: string, names: readonly string[]): Promise<Standing[]> {
  const asked = names.map((name) => subjects.actor(service, name, "failover"));
  const answers = await askAll(bus, clock, asked, answerMs);
  return answers.flatMap((answer) => Standing.safeParse(answer).data ?? []);
}

/** Configured servers that did not answer. */
export function silentOf(standings: readonly Standing[], names: readonly string[]): string[] {
  const all = new Set([...names, ...standings.flatMap(({ configured }) => configured)]);
  return [...all].filter((name) => !standings.some(({ server }) => server === name)).sort();
}

/** Names that more than one process answers for. */
export function doubledOf(standings: readonly Standing[]): string[] {
  const names = standings.map(({ server }) => server);
  return [...new Set(names.filter((name, at) => names.indexOf(name) !== at))];
}

/** The server that is the primary by the newest record that any of them knows, and serves. */
export function servingOf(standings: readonly Standing[]): Standing | undefined {
  const record = newestRecord(standings);
  return standings.find(({ hot, incarnation }) => hot && incarnation === record?.primary.incarnation);
}

export function newestRecord(standings: readonly Standing[]): Standing["record"] {
  return standings.reduce<Standing["record"]>(
    (newest, { record }) => (record !== null && record.epoch > (newest?.epoch ?? -1) ? record : newest),
    null,
  );
}

export function newerThan(own: Standing, standings: readonly Standing[]): Standing[] {
  const { isNewerCopy } = shippedRules;
  return standings.filter((one) => isNewerCopy(one, own)).sort((one, other) => (isNewerCopy(one, other) ? -1 : 1));
}
