/**
 * `twinlog verify FILE`: every check that a server makes when it loads a store, on a backup's file, and its own hashes. Needs no
 * running service. Exit status 0 only if the backup is sound.
 */
import { Command } from "commander";
import { BackupError } from "../../machines/checkpoint/backup-format.ts";
import { readBackup } from "../backups/file.ts";
import { backupJson, backupText } from "../backups/text.ts";
import type { CommandWorld } from "./world.ts";

export function verifyCommand(world: CommandWorld): Command {
  return new Command("verify")
    .description("check a backup's file, whole, and show what is in it; nothing is changed")
    .argument("<file>", "a backup that `twinlog backup` wrote")
    .option("--json", "as JSON; of one that is not sound the reason", false)
    .addHelpText(
      "after",
      "\nExit status: 0 when the backup is sound, else 1.\n\nExamples:\n  $ twinlog verify exchange-1.backup\n  $ twinlog verify exchange-1.backup --json | jq .sequence\n",
    )
    .action(async (file: string, { json }: { json: boolean }) => {
      const backup = await readBackup(file, world.clock).catch(async (error: unknown) => {
        if (json && error instanceof BackupError) {
          const { code, message } = error;
          await world.out(`${JSON.stringify({ sound: false, file, code, message })}\n`);
        }
        throw error;
      });
      await world.out(json ? `${JSON.stringify(backupJson(file, backup))}\n` : backupText(file, backup));
    });
}
