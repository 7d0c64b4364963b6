/**
 * `twinlog migrate --check`: what the program's migration makes of real data, tried on a backup or on a stopped server's store. It is the
 * code by which a server migrates; nothing is changed.
 */
import { resolve } from "node:path";
import { Command } from "commander";
import { Migration, MigrationError } from "../../actors/application/migration.ts";
import { Limits } from "../../schemas/settings.ts";
import { findApplication } from "../applications.ts";
import { readState, StateNotRead } from "../backups/read-state.ts";
import { CommandError, type CommandWorld } from "./world.ts";

interface MigrateFlags {
  application: string;
  check: boolean;
  json: boolean;
}

export function migrateCommand(world: CommandWorld): Command {
  return new Command("migrate")
    .description("try a new version's migration on a backup, or on a stopped server's data; nothing is changed")
    .argument("<source>", "a file that `twinlog backup` wrote, or a data directory")
    .requiredOption("--application <module>", "the new program: the path of its module")
    .option("--check", "only try: servers migrate by themselves, when a newer version becomes the primary", false)
    .option("--json", "as JSON", false)
    .addHelpText(
      "after",
      "\nExit status: 0 when the program can go on with that data, else 1.\n\nExamples:\n  $ twinlog backup today.backup && twinlog migrate --check today.backup --application ./counter.ts\n",
    )
    .action(async (source: string, { application: name, check, json }: MigrateFlags) => {
      if (!check)
        throw new CommandError(
          "a server migrates by itself when it becomes the primary: with --check it is tried here",
        );
      const application = await findApplication(name, resolve("settings.json"));
      const tried = await attempt(source, application, world);
      await world.out(json ? `${JSON.stringify(tried)}\n` : `${textOf(tried)}\n`);
    });
}

interface Tried {
  readonly sequence: number;
  readonly from: number;
  readonly to: number;
  /** Gone through, written anew or dropped; 0: what is stored stays as it is. */
  readonly rows: number;
  readonly records: number;
  readonly bytes: number;
  readonly ms: number;
}

async function attempt(
  source: string,
  application: Awaited<ReturnType<typeof findApplication>>,
  { clock }: CommandWorld,
): Promise<Tried> {
  try {
    const { state, sequence } = await readState(source, application, clock);
    const from = state.catalog.version;
    const sinceMs = clock.nowMs();
    if (state.isCurrent) return { sequence, from, to: from, rows: 0, records: 0, bytes: 0, ms: 0 };
    const migration = new Migration(state, application, { maxRecordBytes: Limits.parse({}).maxRecordBytes });
    migration.make(() => true);
    let [records, bytes] = [0, 0];
    for (let record = migration.next(); record !== undefined; record = migration.next()) {
      records += 1;
      bytes += record.effects.length + record.catalog.length;
    }
    const ms = Math.round(clock.nowMs() - sinceMs);
    return { sequence, from, to: application.version, rows: migration.rows, records, bytes, ms };
  } catch (error) {
    if (error instanceof StateNotRead || error instanceof MigrationError) throw new CommandError(error.message);
    throw error;
  }
}

function textOf({ sequence, from, to, rows, records, bytes, ms }: Tried): string {
  const where = `as of record ${sequence}`;
  if (records === 0) return `${where}: nothing is to be migrated, the data is what this program wants (version ${to})`;
  if (rows === 0) return `${where}: version ${to} goes on with what is stored; one record says what is new`;
  return `${where}: version ${from} becomes version ${to}: ${rows} rows and items in ${records} records of ${bytes} bytes, made here in ${ms} ms; nothing was changed`;
}
