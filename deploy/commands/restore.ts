/**
 * `twinlog restore FILE --data DIRECTORY`: a backup becomes a stopped server's store. What always holds: the store that was there is set
 * aside; the restored one serves only after `twinlog recover` (rule 18), and the command says so.
 */
import { Command } from "commander";
import { ServerName } from "../../schemas/settings.ts";
import { type Restored, restore } from "../backups/restore.ts";
import { backupJson } from "../backups/text.ts";
import { CommandError, type CommandWorld } from "./world.ts";

interface RestoreFlags {
  data: string;
  server?: string;
  json: boolean;
}

export function restoreCommand(world: CommandWorld): Command {
  return new Command("restore")
    .description("make a backup the store of a server that is stopped; the store that is there is set aside")
    .argument("<file>", "a backup that `twinlog backup` wrote")
    .requiredOption("--data <directory>", "the server's data directory")
    .option("--server <name>", "the server's name, where nothing in the directory says it", parseServer)
    .option("--json", "what was done as JSON", false)
    .addHelpText(
      "after",
      "\nExamples:\n  $ twinlog restore exchange-1.backup --data .twinlog/alpha\n  $ twinlog restore exchange-1.backup --data /var/lib/twinlog/alpha --server alpha\n",
    )
    .action(async (file: string, { data, server, json }: RestoreFlags) => {
      const restored = await restore({ file, directory: data, server, clock: world.clock });
      await world.out(json ? `${JSON.stringify(jsonOf(file, data, restored))}\n` : textOf(file, data, restored));
    });
}

function parseServer(text: string): string {
  const { data, error } = ServerName.safeParse(text);
  if (data === undefined) throw new CommandError(`server ${text}: ${error?.issues[0]?.message ?? "no name"}`);
  return data;
}

function jsonOf(file: string, directory: string, { backup, server, asideAs }: Restored): object {
  return { restored: server, directory, asideAs, backup: backupJson(file, backup) };
}

function textOf(file: string, directory: string, { backup, server, asideAs }: Restored): string {
  const { meta, end } = backup;
  const before = asideAs === null ? "nothing was there before" : `the store that was there is ${asideAs} now`;
  return `${directory}: ${server}'s store is ${file}, ${meta.service} through record ${end.sequence}; ${before}
It serves when an operator says so: with all others stopped, start ${server}; it refuses, and waits for
  twinlog recover --server ${server} --accept-loss
Then start the others: each takes its state, and sets its own store aside.
`;
}
