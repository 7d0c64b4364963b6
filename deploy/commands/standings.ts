/**
 * What the servers of a service say of their logs and of the registry, asked one by one by name (schemas/standing.ts). What
 * always holds: each process answers for itself, so that two of one name give two answers; one that is silent gives none; one that is
 * slow is waited for longer than one that is not there.
 */
import type { Bus, Clock } from "../../actors/world/ports.ts";
import { shippedRules } from "../../machines/replica/rules.ts";
import { Standing } from "../../schemas/standing.ts";
import { subjects } from "../../schemas/subjects.ts";
import { askAll } from "./ask.ts";

/** How long servers are given to answer. */
const answerMs = 800;

export interface Standings {
  /** Sorted by name. */
  readonly standings: Standing[];
  /** Servers that run, to NATS's knowledge, and did not answer: slow, or standing still. */
  readonly unanswered: string[];
}

/** Of these servers, and of all that they know. */
export async function askStandings(
  bus: Bus,
  clock: Clock,
  service: string,
  names: readonly string[],
): Promise<Standings> {
  const first = await askNames(bus, clock, service, names);
  const others = new Set(first.standings.flatMap(({ configured }) => configured));
  for (const name of names) others.delete(name);
  const more = await askNames(bus, clock, service, [...others]);
  return {
    standings: [...first.standings, ...more.standings].sort((one, other) => (one.server < other.server ? -1 : 1)),
    unanswered: [...first.unanswered, ...more.unanswered],
  };
}

async function askNames(bus: Bus, clock: Clock, service: string, names: readonly string[]): Promise<Standings> {
  const subjectOf = (name: string) => subjects.actor(service, name, "failover");
  const asked = await askAll(bus, clock, names.map(subjectOf), answerMs);
  const standings = asked.answers.flatMap((answer) => Standing.safeParse(answer).data ?? []);
  // What is no standing is no answer: a program that tells it otherwise may have seen a record.
  const isThere = (name: string) => standings.some(({ server }) => server === name);
  const isNobody = (name: string) => asked.nobody.includes(subjectOf(name));
  return { standings, unanswered: names.filter((name) => !isThere(name) && !isNobody(name)) };
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
