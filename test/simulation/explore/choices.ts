/**
 * What may happen next in a small world, by name. What always holds: a name says all of the choice, in any world in which
 * it is open; the ordinary comes first, what is bounded last.
 */
import { inside } from "../../helpers/inside.ts";
import type { Counted } from "./bounds.ts";
import type { Mailbox } from "./mailbox.ts";
import type { SmallRegistry } from "./registry.ts";
import type { SmallServer } from "./server.ts";

/** What of a world decides what may happen in it. */
export interface ChoiceView {
  readonly servers: readonly SmallServer[];
  readonly registry: SmallRegistry;
  /** Requests that were sent. */
  readonly requests: number;
  mailboxOf(server: string): Mailbox;
  /** The registry's revision when it was asked: the answer is that one, or a later one; null: it was not asked. */
  readingOf(server: string): number | null;
  /** It may happen once more. */
  isLeft(what: Counted): boolean;
}

export function choicesOf(world: ChoiceView): string[] {
  const choices = ordinary(world);
  addAsked(choices, world);
  addFaults(choices, world);
  return choices;
}

/** What needs no fault, and nobody who asks for it. */
export function ordinary(world: ChoiceView): string[] {
  const choices: string[] = [];
  for (const { record, answer, isTold } of world.registry.open) {
    if (answer === null) choices.push(`land ${record.writeId}`);
    else if (!isTold) choices.push(`answer ${record.writeId}`);
  }
  const up = world.servers.filter(({ replica }) => replica !== null);
  for (const { name } of up) choices.push(...world.mailboxOf(name).hearing);
  for (const { name } of up) choices.push(...world.mailboxOf(name).delivering);
  for (const server of world.servers) addOrdinary(choices, server, world);
  return choices;
}

function addOrdinary(
  choices: string[],
  { name, replica, jobs, snapshot, hasStopped }: SmallServer,
  world: ChoiceView,
): void {
  if (replica === null) {
    if (!hasStopped && world.isLeft("starts")) choices.push(`start ${name}`);
    return;
  }
  const { revision } = world.registry;
  const readingSince = world.readingOf(name);
  choices.push(`look ${name}`);
  if (jobs.length > 0) choices.push(`disk ${name}`);
  if (snapshot !== null) choices.push(`snapshot ${name}`);
  if (readingSince !== null) for (let at = readingSince; at <= revision; at += 1) choices.push(`read ${name} ${at}`);
  else if ((inside(replica).core.membership.known?.revision ?? 0) < revision) choices.push(`poll ${name}`);
  for (const peer of world.servers)
    if (peer.replica === null && inside(replica).core.peers.isPresent(peer.name))
      choices.push(`miss ${name} ${peer.name}`);
}

function addAsked(choices: string[], world: ChoiceView): void {
  for (const { name, replica } of world.servers) {
    if (replica === null) continue;
    if (world.isLeft("reads") && world.readingOf(name) === null) choices.push(`reread ${name}`);
    if (world.isLeft("stops") && !replica.stopping) choices.push(`stop ${name}`);
    if (!replica.takesRequests) continue;
    if (world.isLeft("requests")) choices.push(`request ${name}`);
    if (world.isLeft("resends")) for (let id = 1; id <= world.requests; id += 1) choices.push(`resend ${name} ${id}`);
    if (world.isLeft("queries")) choices.push(`query ${name}`);
    if (world.isLeft("switches") && replica.state === "hot.normal") choices.push(`switch ${name}`);
  }
}

function addFaults(choices: string[], world: ChoiceView): void {
  const { servers, registry } = world;
  for (const server of servers) {
    const { name, replica } = server;
    if (replica === null) continue;
    if (world.isLeft("silences")) {
      choices.push(`silence ${name}`);
      if (servers.length > 2)
        for (const other of servers) if (other !== server) choices.push(`silence ${name} ${other.name}`);
    }
    if (world.isLeft("crashes")) {
      choices.push(`crash ${name}`);
      if (server.unsynced > 0) choices.push(`crash ${name} late`);
    }
    if (world.isLeft("lates") && /^(hot.switching|receiving)$/.test(replica.state)) choices.push(`late ${name}`);
    if (world.isLeft("diskFailures")) choices.push(`fail ${name}`);
  }
  if (world.isLeft("timeouts"))
    for (const { by, incarnation, isTold, record } of registry.open)
      if (!isTold && servers.find(({ name }) => name === by)?.replica?.self === incarnation)
        choices.push(`timeout ${record.writeId}`);
}
