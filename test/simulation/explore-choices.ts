/**
 * What may happen next in a small world, by name. What always holds: a name says all of the choice, in any world in which
 * it is open; the ordinary comes first, what is bounded last.
 */
import type { Spent } from "./explore-bounds.ts";
import type { Network } from "./explore-network.ts";
import type { SmallRegistry } from "./explore-registry.ts";
import type { SmallServer } from "./explore-server.ts";

/** What of a world decides what may happen in it. */
export interface ChoiceView {
  readonly servers: ReadonlyMap<string, SmallServer>;
  readonly registry: SmallRegistry;
  readonly network: Network;
  /** Requests that were sent. */
  readonly requests: number;
  /** It may happen once more. */
  isLeft(what: keyof Spent): boolean;
}

export function choicesOf(world: ChoiceView): string[] {
  return [...ordinary(world), ...asked(world), ...faults(world)];
}

/** What needs no fault, and nobody who asks for it. */
export function ordinary(world: ChoiceView): string[] {
  const { registry, network, servers } = world;
  const choices: string[] = [];
  const isUp = (name: string) => (servers.get(name)?.replica ?? null) !== null;
  for (const { record, answer, isTold } of registry.open) {
    if (answer === null) choices.push(`land ${record.writeId}`);
    else if (!isTold) choices.push(`answer ${record.writeId}`);
  }
  for (const { to, id } of network.heartbeats) if (isUp(to)) choices.push(`hear ${to} ${id}`);
  for (const { to, id } of network.messages) if (isUp(to)) choices.push(`deliver ${to} ${id}`);
  for (const server of servers.values()) choices.push(...ordinaryOf(server, world));
  return choices;
}

function ordinaryOf(
  { name, replica, jobs, readingSince, snapshot, hasStopped }: SmallServer,
  world: ChoiceView,
): string[] {
  if (replica === null) return !hasStopped && world.isLeft("starts") ? [`start ${name}`] : [];
  const { revision } = world.registry;
  const choices = [`look ${name}`];
  if (jobs.length > 0) choices.push(`disk ${name}`);
  if (snapshot !== null) choices.push(`snapshot ${name}`);
  if (readingSince !== null) for (let at = readingSince; at <= revision; at += 1) choices.push(`read ${name} ${at}`);
  else if ((replica.membership.known?.revision ?? 0) < revision) choices.push(`poll ${name}`);
  for (const peer of world.servers.values())
    if (peer.replica === null && replica.peers.isPresent(peer.name)) choices.push(`miss ${name} ${peer.name}`);
  return choices;
}

function asked(world: ChoiceView): string[] {
  const choices: string[] = [];
  for (const { name, replica, readingSince } of world.servers.values()) {
    if (replica === null) continue;
    if (world.isLeft("reads") && readingSince === null) choices.push(`reread ${name}`);
    if (world.isLeft("stops") && !replica.stopping) choices.push(`stop ${name}`);
    if (!replica.takesRequests) continue;
    if (world.isLeft("requests")) choices.push(`request ${name}`);
    if (world.isLeft("resends")) for (let id = 1; id <= world.requests; id += 1) choices.push(`resend ${name} ${id}`);
    if (world.isLeft("queries")) choices.push(`query ${name}`);
    if (world.isLeft("switches") && replica.state === "hot.normal") choices.push(`switch ${name}`);
  }
  return choices;
}

function faults(world: ChoiceView): string[] {
  const { servers, registry } = world;
  const choices: string[] = [];
  for (const { name, replica, unsynced } of servers.values()) {
    if (replica === null) continue;
    if (world.isLeft("silences")) {
      choices.push(`silence ${name}`);
      if (servers.size > 2)
        for (const other of servers.keys()) if (other !== name) choices.push(`silence ${name} ${other}`);
    }
    if (world.isLeft("crashes")) {
      choices.push(`crash ${name}`);
      if (unsynced > 0) choices.push(`crash ${name} late`);
    }
    if (world.isLeft("diskFailures")) choices.push(`fail ${name}`);
  }
  if (world.isLeft("timeouts"))
    for (const { by, incarnation, isTold, record } of registry.open)
      if (!isTold && servers.get(by)?.replica?.self === incarnation) choices.push(`timeout ${record.writeId}`);
  return choices;
}
