/**
 * `twinlog console`: a page that shows a service as it is now, until Ctrl-C; where operators have passwords (`--login`) they act
 * there. What always holds: it watches with a viewer's rights and acts with an operator's; beyond this machine it needs a log-in and TLS.
 */
import type { Command } from "commander";
import { readPlain, readSecret, whoElseReads } from "../../actors/world/secret-file.ts";
import { isLoopback } from "../../actors/world/tcp-security.ts";
import { Console, type Operators } from "../console/console.ts";
import { DoorError, loopback } from "../console/door.ts";
import { readPasswords } from "../console/passwords.ts";
import { endWithParent } from "../up/parent.ts";
import { type AccessFlags, accessOf } from "./access.ts";
import { unlessForbidden } from "./forbidden.ts";
import { type CommonOptions, serviceCommand } from "./service-command.ts";
import { CommandError, type CommandWorld, lasting, whenAborted } from "./world.ts";

interface ConsoleFlags extends CommonOptions, AccessFlags {
  port: number;
  listen: string;
  httpsCert?: string;
  httpsKey?: string;
  login?: string;
  operatorContext?: string;
  session?: number;
}

const normalPort = 4225;
const helpText = `
Without --login it only shows. With it, operators who have a password in FILE (\`twinlog password\`) switch, pause, resume and
flush from the page; what they do goes to NATS with the log-in of --operator-context (role operator), which never reaches the page.
It listens on 127.0.0.1; from elsewhere: ssh -L ${normalPort}:127.0.0.1:${normalPort} HOST. Beyond this machine (--listen) it needs
--login, --https-cert and --https-key, shows nothing before the log-in, and answers to the names in its certificate alone.
\`npm start\` serves it too, and prints where.
`;

export function consoleCommand(world: CommandWorld): Command {
  return serviceCommand(world, "console", "serve a page that shows the service live, until Ctrl-C", [
    "twinlog console",
    "twinlog console --port 8080 --service ledger",
    "twinlog console --login passwords.json --context viewer --operator-context olga",
    "twinlog console --login passwords.json --listen 0.0.0.0 --https-cert console.pem --https-key console.key",
  ])
    .addHelpText("after", helpText)
    .option("--port <port>", "where it listens; 0: any port that is free", parsePort, normalPort)
    .option("--listen <address>", "on which address", loopback)
    .option("--https-cert <file>", "its certificate, and those between it and its authority, PEM")
    .option("--https-key <file>", "the certificate's key, PEM")
    .option("--login <file>", "operators act here, with the passwords in this file")
    .option("--operator-context <name>", "what they do goes with this context's log-in (default: as the console's own)")
    .option("--session <time>", "how long a log-in is good: 30m, 8h (default: 8h)", lasting("--session"))
    .action(async (flags: ConsoleFlags) => {
      endWithParent(() => world.signals.onSignal("SIGTERM"));
      const tls = await certificateOf(world, flags);
      let opened: Console | undefined;
      const bus = await world.connect(flags.access, (connected) => opened?.onNats(connected));
      let operators: Operators | null = null;
      try {
        operators = await operatorsOf(world, flags);
        const { service, port, listen: host } = flags;
        const log = (line: string) => void world.out(`${new Date(world.clock.wallMs()).toISOString()}  ${line}\n`);
        opened = await Console.open({ service, host, port, tls, clock: world.clock, operators, log }, bus);
        await world.out(`the console of ${service}: ${opened.url}\n`);
        await unlessForbidden(bus, () => new Promise<void>((resolve) => whenAborted(world.stopped, resolve)));
      } catch (error) {
        if (!(error instanceof DoorError)) throw error;
        const taken = error.message.endsWith("is taken");
        throw new CommandError(
          taken ? `${error.message}: is a console there already? Else choose another with --port` : error.message,
        );
      } finally {
        await opened?.close();
        await operators?.bus.stop();
        await bus.stop();
      }
    });
}

/** Null: plain HTTP, on this machine alone. */
async function certificateOf(
  { err }: CommandWorld,
  { listen, login, httpsCert, httpsKey }: ConsoleFlags,
): Promise<{ cert: string; key: string } | null> {
  if ((httpsCert === undefined) !== (httpsKey === undefined))
    throw new CommandError("--https-cert and --https-key belong together");
  if (!isLoopback(listen) && (httpsCert === undefined || login === undefined))
    throw new CommandError(
      `--listen ${listen}: beyond this machine the console needs --login, --https-cert and --https-key`,
    );
  if (httpsCert === undefined || httpsKey === undefined) return null;
  const open = await whoElseReads(httpsKey);
  if (open !== "") err(`twinlog: warning: ${open}\n`);
  return { cert: await readPlain(httpsCert), key: await readSecret(httpsKey) };
}

async function operatorsOf(world: CommandWorld, flags: ConsoleFlags): Promise<Operators | null> {
  const { login: passwordsFile, operatorContext, session } = flags;
  if (passwordsFile === undefined) {
    if (operatorContext !== undefined) throw new CommandError("--operator-context: nobody acts here without --login");
    return null;
  }
  // A file that cannot be read is found out now, and not by an operator at night.
  await readPasswords(passwordsFile);
  const access = await accessOf(world, operatorContext === undefined ? flags : { context: operatorContext }, {
    user: "operator",
  });
  const bus = await world.connect(access, () => undefined);
  return { passwordsFile, bus, ...(session === undefined ? {} : { limits: { sessionMs: session } }) };
}

function parsePort(text: string): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value > 65_535) throw new CommandError(`--port ${text}: give a number from 0 to 65535`);
  return value;
}
