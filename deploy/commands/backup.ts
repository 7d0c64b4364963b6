/**
 * `twinlog backup FILE`: all that was committed when it was begun, from a running server over NATS, or what a stopped one has on
 * its disk (`--data`). What always holds: the file is on this machine and no server is told its name; clients are not paused; it has its
 * name only when all of it is proved and on the disk.
 */
import type { Command } from "commander";
import type { Bus } from "../../actors/world/ports.ts";
import { type Backup, writeBackup } from "../backups/file.ts";
import { chunksFrom, fromDirectory } from "../backups/source.ts";
import { backupJson, backupLine } from "../backups/text.ts";
import { named } from "./control.ts";
import type { Meant } from "./operate.ts";
import { type CommonOptions, serviceCommand } from "./service-command.ts";
import { askStandings } from "./standings.ts";
import { gatherStatus } from "./status.ts";
import { CommandError, type CommandWorld, wholeNumber } from "./world.ts";

interface BackupFlags extends CommonOptions {
  server?: string;
  data?: string;
  copy?: string;
  json: boolean;
  timeout: number;
}

/** How long the servers are listened to, to choose one, and how often where none is a member. */
const gatherMs = 800;
const maxGatherings = 4;

const summary = "write a service's state into a file, checked, while it serves";
const examples = [
  "twinlog backup exchange-1.backup",
  "twinlog backup exchange-1.backup --server beta",
  "twinlog backup alpha.backup --data .twinlog/alpha",
];

export function backupCommand(world: CommandWorld, version: string): Command {
  return serviceCommand(world, "backup", summary, examples)
    .argument("<file>", "the backup; it must not be there yet")
    .option("--server <name>", "from this server (default: a backup in sync, else the primary)")
    .option("--data <directory>", "from a stopped server's data directory, without NATS")
    .option("--copy <name>", "with --data: from an earlier store that was set aside there")
    .option("--json", "what is in it as JSON", false)
    .option("--timeout <ms>", "how long the server may take to begin", wholeNumber("--timeout", 1), 15_000)
    .action(async (file: string, flags: BackupFlags) => {
      if (flags.data !== undefined && flags.server !== undefined)
        throw new CommandError("give --server for a running server, or --data for a stopped one");
      if (flags.copy !== undefined && flags.data === undefined)
        throw new CommandError("--copy names a store in a data directory: give --data as well");
      const header = { takenAtMs: world.clock.wallMs(), version };
      const { clock } = world;
      const write = (chunks: AsyncIterable<Uint8Array>) => writeBackup(file, header, chunks, clock);
      const backup =
        flags.data === undefined
          ? await fromService(world, flags, write)
          : await fromDirectory(flags.data, flags.copy, clock, write);
      await world.out(flags.json ? `${JSON.stringify(backupJson(file, backup))}\n` : backupLine(file, backup));
    });
}

async function fromService(
  world: CommandWorld,
  { service, server, access, timeout }: BackupFlags,
  write: (chunks: AsyncIterable<Uint8Array>) => Promise<Backup>,
): Promise<Backup> {
  const { clock, stopped } = world;
  const bus = await world.connect(access, () => undefined);
  try {
    const asked =
      server === undefined
        ? await chosen(bus, world, { service, access })
        : named(server, (await askStandings(bus, clock, service, [server])).standings);
    return await write(chunksFrom({ bus, clock, service, server: asked, beginMs: timeout, stopped }));
  } finally {
    await bus.stop();
  }
}

/** Clients are served by the primary: it is left alone where another one has the same. */
async function chosen(bus: Bus, world: CommandWorld, options: CommonOptions, times = 1): Promise<Meant> {
  const { service, access } = options;
  const { servers, epoch } = await gatherStatus(bus, world.clock, service, gatherMs, world.stopped);
  const members = servers.filter((one) => one.epoch === epoch);
  const found = members.find(({ role }) => role === "backup") ?? members.find(({ role }) => role === "primary");
  if (found !== undefined) return { name: found.name, incarnation: found.incarnation };
  // A role may be on its way from one to another, and a loaded machine be slow to say anything.
  if (times < maxGatherings && !world.stopped.aborted) return await chosen(bus, world, options, times + 1);
  throw new CommandError(
    servers.length === 0
      ? `no server of ${service} speaks at ${access.shown}: of a stopped one give --data with its data directory`
      : "no server is a member of the service now: see `twinlog status`, or stop one and give --data with its data directory",
  );
}
