/**
 * `twinlog init --config FILE`: creates the bucket and the service's first registry record, and nothing else ever does. The
 * server of the configuration becomes the sole member, of an empty log; the others join it.
 */
import { Command } from "commander";
import { openNodeClock } from "../../actors/world/clock-node.ts";
import { openRegistry } from "../../actors/world/real-world.ts";
import { initialRecord } from "../../machines/replica/initial-record.ts";
import { readSettings } from "../settings-file.ts";
import { CommandError, type CommandWorld } from "./world.ts";

export function initCommand(world: CommandWorld): Command {
  return new Command("init")
    .description("create a service's registry record, once, before its servers are started for the first time")
    .requiredOption("--config <file>", "settings of the server that begins as primary, JSON")
    .option("--if-missing", "nothing to do, and no error, where the record is there already", false)
    .addHelpText("after", "\nExamples:\n  $ twinlog init --config alpha.json\n")
    .action(async ({ config, ifMissing }: { config: string; ifMissing: boolean }) => {
      const settings = await readSettings(config);
      const { registry, close } = await openRegistry(settings);
      try {
        const history = openNodeClock().randomId();
        const answer = await registry.create(initialRecord(settings.service, settings.server, history));
        if (answer.outcome === "lost" && ifMissing) {
          await world.out(`service ${settings.service} has its registry record already\n`);
          return;
        }
        if (answer.outcome === "lost")
          throw new CommandError(`the service ${settings.service} has a registry record already: start its servers`);
        if (answer.outcome === "unknown")
          throw new CommandError(
            `NATS at ${settings.nats.servers.join(", ")} did not answer: ${answer.reason}; try again`,
          );
        await world.out(`service ${settings.service} created; ${settings.server} begins as its primary\n`);
        for (const warning of await registry.warnings()) world.err(`warning: ${warning}\n`);
      } finally {
        await close();
      }
    });
}
