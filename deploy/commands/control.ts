/**
 * `twinlog switch`, `pause`, `resume`, `accept-time` and `flush`: an operator's request to a server, and its answer. Without --server
 * the primary is asked (flush: every server). What always holds: exit status 0 only if every server asked said yes and, after
 * `switch`, a server has gone hot.
 */

import type { Command } from "commander";
import type { Standing } from "../../schemas/standing.ts";
import type { ServiceStatus } from "../../schemas/status.ts";
import type { Access } from "./access.ts";
import { givenBy, type Meant, type MildVerb, operate, usualTimeoutMs } from "./operate.ts";
import { type CommonOptions, serviceCommand } from "./service-command.ts";
import { askStandings } from "./standings.ts";
import { gatherStatus } from "./status.ts";
import { CommandError, type CommandWorld, lasting, wholeNumber } from "./world.ts";

interface ControlFlags extends CommonOptions {
  server?: string;
  timeout: number;
  for?: number;
  failover?: boolean;
}

/** The others are these with `--failover`. */
type CommandVerb = Exclude<MildVerb, "pause-failover" | "resume-failover">;

const summaries: Readonly<Record<CommandVerb, string>> = {
  switch: "hand the primary's role to the backup, without a degraded moment",
  pause:
    "stop taking requests (they are told BUSY); what runs is finished. With --failover: let no server take over by itself",
  resume: "take requests again; with --failover: let servers take over again",
  "accept-time":
    "let requests and timers go by the primary's clock from now on, however far ahead of the last requests it is; there is no way back",
  flush: "write the log to LevelDB and sync it now",
};

/** How long the servers are listened to, to find the primary. */
const gatherMs = 800;

export function controlCommand(world: CommandWorld, command: CommandVerb): Command {
  const examples = [`twinlog ${command}`, `twinlog ${command} --server alpha`];
  if (command === "pause") examples.push("twinlog pause --for 10m", "twinlog pause --failover --for 2h");
  const built = serviceCommand(world, command, summaries[command], examples);
  if (command === "pause")
    built
      .option("--failover", "nobody takes over, whoever dies; requests are taken as ever", false)
      .option("--for <time>", "until then, and not until it is resumed: 90s, 10m, 2h", lasting("--for"));
  if (command === "resume")
    built.option("--failover", "servers take over again; without a primary each server is told", false);
  return built
    .option("--server <name>", command === "flush" ? "this server only" : "this server, not whichever is primary")
    .option("--timeout <ms>", "how long to wait for the answer", wholeNumber("--timeout", 1), usualTimeoutMs)
    .action(async (flags: ControlFlags) => {
      const { clock } = world;
      const { service, server, access, timeout } = flags;
      const verb = flags.failover === true ? ofFailover(command) : command;
      const bus = await world.connect(access, () => undefined);
      try {
        const servers =
          server === undefined
            ? chosen(verb, await gatherStatus(bus, clock, service, gatherMs, world.stopped), access)
            : [named(server, (await askStandings(bus, clock, service, [server])).standings)];
        const body = { ...givenBy(world, access), ...(flags.for === undefined ? {} : { forMs: flags.for }) };
        const operation = { service, verb, servers, body, timeout };
        await operate(bus, clock, operation, (line) => world.out(`${line}\n`));
      } finally {
        await bus.stop();
      }
    });
}

const ofFailover = (command: CommandVerb): MildVerb => (command === "pause" ? "pause-failover" : "resume-failover");

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
  const all = status.servers.map(({ name, incarnation }) => ({ name, incarnation }));
  if (verb === "flush") return all;
  const primary = status.servers.find(({ role, epoch }) => role === "primary" && epoch === status.epoch);
  if (primary === undefined && verb === "resume-failover") return all;
  if (primary === undefined)
    throw new CommandError(
      `no primary speaks: see \`twinlog status\` for what the servers wait for, or name one with --server`,
    );
  return [{ name: primary.name, incarnation: primary.incarnation }];
}
