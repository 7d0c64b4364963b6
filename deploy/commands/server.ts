/**
 * `twinlog server --config FILE`: one server of a service, until it is told to stop. Exit status 0 after a clean stop; 1,
 * and one line, when it failed. A second SIGTERM or Ctrl-C ends it at once.
 */
import process from "node:process";
import { Command } from "commander";
import { rehearse } from "../../actors/rehearsal.ts";
import { startServer } from "../../actors/server.ts";
import { openRealWorld } from "../../actors/world/real-world.ts";
import { startWitness } from "../../actors/world/witness.ts";
import { findApplication } from "../applications.ts";
import { readSettings } from "../settings-file.ts";
import { endWithParent } from "../up/parent.ts";
import { CommandError, type CommandWorld } from "./world.ts";

export function serverCommand(world: CommandWorld, version: string): Command {
  return new Command("server")
    .description("run one server of a service; stop it with Ctrl-C or SIGTERM")
    .requiredOption("--config <file>", "the server's settings, JSON")
    .addHelpText("after", "\nExamples:\n  $ twinlog server --config alpha.json\n")
    .action(async ({ config }: { config: string }) => {
      const settings = await readSettings(config);
      const application = await findApplication(settings.application, config);
      const real = await openRealWorld(settings);
      rehearse(application, settings);
      if (settings.witness) startWitness({ settings, life: real.life, log: real.log });
      const server = startServer({ settings, application, world: real, process: { pid: process.pid, version } });
      endWithParent(() => server.stop());
      stopOnSignals(() => server.stop());
      for (const warning of await real.registry.warnings()) real.log.warn({}, warning);
      const end = await server.ended;
      if (end.reason === "failed") throw new CommandError(end.error.message);
      await world.out("");
      process.exit(0);
    });
}

function stopOnSignals(stop: () => void): void {
  let times = 0;
  const onSignal = () => {
    times += 1;
    if (times > 1) process.exit(1);
    stop();
  };
  process.on("SIGTERM", onSignal);
  process.on("SIGINT", onSignal);
}
