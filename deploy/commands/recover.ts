/**
 * `twinlog recover --server NAME --accept-loss`: an operator's force (rule 18). What always holds: it asks every configured
 * server first, says what would be lost, and begins nothing before somebody said yes to that; the server decides once more.
 */
import type { Command } from "commander";
import type { Bus } from "../../actors/world/ports.ts";
import { copyName } from "../../machines/replica/registry/copies.ts";
import type { Standing } from "../../schemas/standing.ts";
import { givenBy, sendControl, usualTimeoutMs, whenHot } from "./operate.ts";
import { type CommonOptions, serviceCommand } from "./service-command.ts";
import { askStandings, doubledOf, newerThan, servingOf, silentOf } from "./standings.ts";
import { CommandError, type CommandWorld, wholeNumber } from "./world.ts";

interface RecoverFlags extends CommonOptions {
  server: string;
  despite: string[];
  yes: boolean;
  timeout: number;
}

const examples = [
  "twinlog recover --server beta --accept-loss",
  "twinlog recover --server beta --accept-loss --yes --despite alpha@x7Hk2/5/10330",
];

export function recoverCommand(world: CommandWorld): Command {
  const summary =
    "go on by force, with a new history, on a server that waits or refuses: what it does not have is lost";
  const command = serviceCommand(world, "recover", summary, examples)
    .requiredOption("--server <name>", "the server that goes on")
    .requiredOption("--accept-loss", "yes: acknowledged requests that this server does not have may be lost")
    .option(
      "--despite <server@history/epoch/sequence>",
      "a newer copy, as a refusal names it, that is of no use; again for each",
      (copy: string, before: string[]) => [...before, copy],
      [],
    )
    .option("--yes", "do not ask; without a terminal it is needed", false)
    .option("--timeout <ms>", "how long to wait for the answer", wholeNumber("--timeout", 1), usualTimeoutMs);
  return command.action(async (flags: RecoverFlags) => {
    const bus = await world.connect(flags.access, () => undefined);
    try {
      await recover(world, bus, flags);
    } finally {
      await bus.stop();
    }
  });
}

async function recover(world: CommandWorld, bus: Bus, flags: RecoverFlags): Promise<void> {
  const { clock } = world;
  const { service, server, despite, timeout } = flags;
  const { standings } = await askStandings(bus, clock, service, [server]);
  const own = meant(server, standings);
  const serving = servingOf(standings);
  if (serving !== undefined)
    throw new CommandError(`${serving.server} is the primary and serves: there is nothing to recover`);
  const newer = newerThan(own, standings);
  const first = newer.find((one) => !despite.includes(copyName(one)));
  if (first !== undefined)
    throw new CommandError(
      `${first.server} is at hand with a newer copy, ${copyName(first)}, than ${server}'s, ${copyName(own)}: recover there, or, where that copy is of no use, add --despite ${copyName(first)}`,
    );
  await world.out(lossText(own, newer, silentOf(standings, [server])));
  await beSure(world, flags);
  const hot = await whenHot(bus, clock, service, "recover", server);
  try {
    const body = { incarnation: own.incarnation, despite, ...givenBy(world, flags.access) };
    await world.out(
      `${server}: ${await sendControl(bus, clock, { service, name: server, verb: "recover", timeout }, body)}\n`,
    );
    await world.out(`${await hot.wait(timeout)}\n`);
    await world.out("now start the other servers, one that lost its disk with an empty one: they join it\n");
  } finally {
    hot.stop();
  }
}

function meant(server: string, standings: readonly Standing[]): Standing {
  const [own, other] = standings.filter((one) => one.server === server);
  if (own === undefined) throw new CommandError(`${server} does not answer: see \`twinlog status\` for who does`);
  if (other !== undefined)
    throw new CommandError(
      `two servers are named ${server}, the incarnations ${own.incarnation} and ${other.incarnation}: stop the one that is not meant`,
    );
  const [doubled] = doubledOf(standings);
  if (doubled === undefined) return own;
  throw new CommandError(
    `two servers are named ${doubled}: stop one of both, so that it is known which of them has what`,
  );
}

async function beSure(world: CommandWorld, { server, yes }: RecoverFlags): Promise<void> {
  if (yes) return;
  const answer = await world.confirm(`Go on with ${server}? [y/N] `);
  if (answer === null) throw new CommandError("there is no terminal to ask at: add --yes to do it");
  if (!answer) throw new CommandError("nothing was done");
}

/** What the copy that goes on lacks, as far as anybody who speaks can tell. */
function lossText(own: Standing, newer: readonly Standing[], silent: readonly string[]): string {
  const lines = [
    `${own.server} goes on with ${copyName(own)}, result ${own.lastResult}${stampText(own)}, as a new history`,
  ];
  for (const one of newer) lines.push(`lost: what ${copyName(one)} has beyond that: ${lackText(own, one)}`);
  const acknowledged = own.record?.durability === "disk" ? own.record.base.sequence : 0;
  if (acknowledged > own.last)
    lines.push(`lost: records ${own.last + 1} to ${acknowledged} at least, which the registry says were acknowledged`);
  for (const name of silent) lines.push(`lost: what only ${name} has, which does not answer`);
  if (lines.length === 1)
    lines.push("lost: what was acknowledged and is on no disk; no server that answers has more than this");
  return `${lines.join("\n")}\n`;
}

function lackText(own: Standing, other: Standing): string {
  const records = other.history === own.history ? other.last - own.last : other.last;
  const from = other.history === own.history ? own.lastResult + 1 : 1;
  const results = other.lastResult < from ? "no results" : `results ${from} to ${other.lastResult}`;
  return `${Math.max(0, records)} records, ${results}${stampText(other)}`;
}

function stampText({ lastStampMs }: Standing): string {
  return lastStampMs === 0 ? "" : `, the last of ${new Date(lastStampMs).toISOString()}`;
}
