/**
 * `twinlog console`: a page on loopback that shows a service as it is now, until Ctrl-C. It only reads.
 */
import type { Command } from "commander";
import { Console } from "../console/console.ts";
import { DoorError } from "../console/door.ts";
import { endWithParent } from "../up/parent.ts";
import { unlessForbidden } from "./forbidden.ts";
import { type CommonOptions, serviceCommand } from "./service-command.ts";
import { CommandError, type CommandWorld, whenAborted } from "./world.ts";

interface ConsoleFlags extends CommonOptions {
  port: number;
}

const normalPort = 4225;
const helpText = `
It listens on 127.0.0.1 alone; from elsewhere: ssh -L ${normalPort}:127.0.0.1:${normalPort} HOST.
\`npm start\` serves it too, and prints where.
`;

export function consoleCommand(world: CommandWorld): Command {
  return serviceCommand(world, "console", "serve a page that shows the service live, until Ctrl-C", [
    "twinlog console",
    "twinlog console --port 8080 --service ledger",
  ])
    .addHelpText("after", helpText)
    .option("--port <port>", "where it listens; 0: any port that is free", parsePort, normalPort)
    .action(async (flags: ConsoleFlags) => {
      endWithParent(() => world.signals.onSignal("SIGTERM"));
      let opened: Console | undefined;
      const bus = await world.connect(flags.access, (connected) => opened?.onNats(connected));
      try {
        const { service, port } = flags;
        opened = await Console.open({ service, port, clock: world.clock }, bus);
        await world.out(`the console of ${service}: ${opened.url}\n`);
        await unlessForbidden(bus, () => new Promise<void>((resolve) => whenAborted(world.stopped, resolve)));
      } catch (error) {
        if (!(error instanceof DoorError)) throw error;
        throw new CommandError(`${error.message}: is a console there already? Else choose another with --port`);
      } finally {
        await opened?.close();
        await bus.stop();
      }
    });
}

function parsePort(text: string): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value > 65_535) throw new CommandError(`--port ${text}: give a number from 0 to 65535`);
  return value;
}
