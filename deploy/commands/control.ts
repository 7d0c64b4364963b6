/**
 * `twinlog switch`, `pause`, `resume` and `flush`: an operator's request to a server, and its answer. Without --server
 * the primary is asked (flush: every server). What always holds: the incarnation that was seen is meant and no other; exit
 * status 0 only if every server asked said yes and, after `switch`, a server has gone hot.
 */

import type { Command } from "commander";
import type { Bus, Clock } from "../../actors/world/ports.ts";
import { ReadySignal } from "../../schemas/envelope.ts";
import type { Standing } from "../../schemas/standing.ts";
import { ControlReply, type ControlRequest, type ControlVerb, type ServiceStatus } from "../../schemas/status.ts";
import { subjects } from "../../schemas/subjects.ts";
import type { Access } from "./access.ts";
import { type Asked, ask, readJson } from "./ask.ts";
import { settled } from "./forbidden.ts";
import { type CommonOptions, serviceCommand } from "./service-command.ts";
import { askStandings } from "./standings.ts";
import { gatherStatus } from "./status.ts";
import { CommandError, type CommandWorld, lasting, wholeNumber } from "./world.ts";

interface ControlFlags extends CommonOptions {
  server?: string;
  timeout: number;
  for?: number;
}

/** `recover` is force, and a command of its own (recover.ts). */
type MildVerb = Exclude<ControlVerb, "recover">;

const summaries: Readonly<Record<MildVerb, string>> = {
  switch: "hand the primary's role to the backup, without a degraded moment",
  pause: "stop taking requests (they are told BUSY); what runs is finished",
  resume: "take requests again",
  flush: "write the log to LevelDB and sync it now",
};

/** How long the servers are listened to, to find the primary. */
const gatherMs = 800;

/** One process: its name, and the incarnation that was seen; none, where the program is too old to tell. */
export interface Meant {
  readonly name: string;
  readonly incarnation?: string;
}

export function controlCommand(world: CommandWorld, verb: MildVerb): Command {
  const examples = [`twinlog ${verb}`, `twinlog ${verb} --server alpha`];
  if (verb === "pause") examples.push("twinlog pause --for 10m");
  const command = serviceCommand(world, verb, summaries[verb], examples);
  if (verb === "pause")
    command.option("--for <time>", "until then, and not until it is resumed: 90s, 10m, 2h", lasting("--for"));
  return command
    .option("--server <name>", verb === "flush" ? "this server only" : "this server, not whichever is primary")
    .option("--timeout <ms>", "how long to wait for the answer", wholeNumber("--timeout", 1), 15_000)
    .action(async (flags: ControlFlags) => {
      const { clock } = world;
      const { service, server, access, timeout } = flags;
      const bus = await world.connect(access, () => undefined);
      try {
        const servers =
          server === undefined
            ? chosen(verb, await gatherStatus(bus, clock, service, gatherMs, world.stopped), access)
            : [named(server, await askStandings(bus, clock, service, [server]))];
        for (const { name, ...meant } of servers) {
          const body = flags.for === undefined ? meant : { ...meant, forMs: flags.for };
          const hot = verb === "switch" ? await whenHot(bus, clock, service, verb, name) : undefined;
          try {
            await world.out(`${name}: ${await sendControl(bus, clock, { service, name, verb, timeout }, body)}\n`);
            if (hot !== undefined) await world.out(`${await hot.wait(timeout)}\n`);
          } finally {
            hot?.stop();
          }
        }
      } finally {
        await bus.stop();
      }
    });
}

interface Sending {
  readonly service: string;
  readonly name: string;
  readonly verb: ControlVerb;
  readonly timeout: number;
}

/** What the incarnation that is meant says to it; a CommandError where it says no, or nothing. */
export async function sendControl(
  bus: Bus,
  clock: Clock,
  { service, name, verb, timeout }: Sending,
  body: Partial<ControlRequest>,
): Promise<string> {
  const isMeant = (data: unknown) => {
    const from = ControlReply.safeParse(data).data?.incarnation;
    return from === undefined || body.incarnation === undefined || from === body.incarnation;
  };
  return readAnswer(await ask(bus, clock, subjects.control(service, name, verb), body, timeout, isMeant), verb, name);
}

/**
 * Listens, from now on, for the server that goes hot: another one after `switch`, this one after `recover`. Throws CommandError
 * where the broker forbids that: nothing is begun then.
 */
export async function whenHot(bus: Bus, clock: Clock, service: string, verb: "switch" | "recover", name: string) {
  let found: ReadySignal | undefined;
  let onFound = (): void => undefined;
  const listen = () =>
    bus.subscribe(subjects.signal(service), (message) => {
      const signal = ReadySignal.safeParse(readJson(message.data)).data;
      if (signal === undefined || (signal.server === name) !== (verb === "recover")) return;
      found = signal;
      onFound();
    });
  const subscription = await settled(bus, listen);
  return {
    stop: () => subscription.stop(),
    async wait(timeoutMs: number): Promise<string> {
      await new Promise<void>((resolve) => {
        const timer = clock.after(timeoutMs, resolve);
        onFound = () => {
          timer.cancel();
          resolve();
        };
        if (found !== undefined) onFound();
      });
      if (found === undefined)
        throw new CommandError(`begun, but no server has gone hot in ${timeoutMs} ms: see \`twinlog status\``);
      return `${found.server} is hot, epoch ${found.epoch}`;
    },
  };
}

/** Of two processes of one name the one that serves is meant; where neither does, nobody can say. */
export function named(name: string, standings: readonly Standing[]): Meant {
  const answering = standings.filter(({ server }) => server === name);
  const [first, other] = answering;
  if (first === undefined) return { name };
  if (other === undefined) return { name, incarnation: first.incarnation };
  const hot = answering.find((one) => one.hot);
  if (hot !== undefined) return { name, incarnation: hot.incarnation };
  throw new CommandError(
    `two servers are named ${name}, the incarnations ${first.incarnation} and ${other.incarnation}: stop the one that is not meant`,
  );
}

function chosen(verb: MildVerb, status: ServiceStatus, { shown }: Access): Meant[] {
  if (status.servers.length === 0)
    throw new CommandError(`no server of ${status.service} speaks at ${shown}: is one running? See \`twinlog status\``);
  if (verb === "flush") return status.servers.map(({ name, incarnation }) => ({ name, incarnation }));
  const primary = status.servers.find(({ role, epoch }) => role === "primary" && epoch === status.epoch);
  if (primary === undefined)
    throw new CommandError(
      `no primary speaks: see \`twinlog status\` for what the servers wait for, or name one with --server`,
    );
  return [{ name: primary.name, incarnation: primary.incarnation }];
}

function readAnswer(asked: Asked, verb: ControlVerb, name: string): string {
  if (asked.outcome === "nobody")
    throw new CommandError(`${name} does not listen: see \`twinlog status\` for who does`);
  if (asked.outcome === "silence")
    throw new CommandError(`${name} has not answered ${verb}; it may still do it: see \`twinlog status\``);
  const reply = ControlReply.safeParse(asked.data).data;
  if (reply === undefined) throw new CommandError(`${name} gave an answer that this program does not understand`);
  if (!reply.ok) throw new CommandError(`${name}: ${reply.message}`);
  return reply.message;
}
