/**
 * `twinlog up`: the whole pair on one machine, until Ctrl-C. See deploy/up.ts for what it does.
 */
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { Command } from "commander";
import { normalDataFolder } from "../../schemas/service-file.ts";
import { applications, findApplication } from "../applications.ts";
import { readRegistry } from "../up/registry.ts";
import { up, upLimits } from "../up.ts";
import { accessBy } from "./access.ts";
import { CommandError, type CommandWorld, parseService } from "./world.ts";

interface UpFlags {
  application: string;
  service?: string;
  data?: string;
  basePort: number;
  natsPort?: number;
  mainPorts?: [number, number];
  consolePort?: number;
  console: boolean;
  httpPorts?: [number, number];
  http: boolean;
  websocket: boolean;
  websocketPort?: number;
  watch: boolean;
  testService: boolean;
}

const names = ["alpha", "beta"] as const;
/** NATS's own; the servers take the two that follow. */
const normalBasePort = 4222;
const maxPort = 65_535;

export function upCommand(world: CommandWorld): Command {
  return new Command("up")
    .description("run nats-server and two servers on this machine, until Ctrl-C")
    .option(
      "--application <name>",
      `what they run: ${[...applications.keys()].join(", ")}, or the path of a module`,
      "exchange",
    )
    .option("--service <name>", "the service's name (default: the application's)", parseService)
    .option("--data <folder>", "where everything is kept; also from TWINLOG_DATA (default: .twinlog)")
    .option(
      "--base-port <port>",
      "nats-server's port; alpha and beta take the two that follow",
      parsePort,
      normalBasePort,
    )
    .option("--nats-port <port>", "nats-server's port alone", parsePort)
    .option("--main-ports <alpha,beta>", "ports of the main link", parseMainPorts)
    .option(
      "--console-port <port>",
      "the console's page (default: the port after these; where that is taken, any)",
      parsePort,
    )
    .option("--no-console", "without the console")
    .option(
      "--http-ports <alpha,beta>",
      "where the servers answer machines (default: the two ports after the console's; where one is taken, any)",
      parseHttpPorts,
    )
    .option("--no-http", "the servers answer no machines")
    .option("--websocket", "nats-server speaks with browsers too, on this machine alone", false)
    .option(
      "--websocket-port <port>",
      "where (default: the port after the servers'; where that is taken, any)",
      parsePort,
    )
    .option("--watch", "bring in the application's module, by a planned switch, whenever it changes", false)
    .option("--test-service", "allow `twinlog drill` to kill and cut here", false)
    .addHelpText(
      "after",
      "\nExamples:\n  $ twinlog up\n  $ twinlog up --base-port 5222 --data /var/tmp/pair\n  $ twinlog up --application ledger --data .ledger\n  $ twinlog up --application ./counter.ts --watch\n  $ twinlog up --websocket\n",
    )
    .action(async (flags: UpFlags) => {
      const found = await findApplication(flags.application, resolve("settings.json"));
      const application = applications.has(flags.application) ? flags.application : resolve(flags.application);
      if (flags.watch && applications.has(flags.application))
        throw new CommandError("--watch: there is no module to watch; name yours with --application ./FILE");
      const { service = found.name, basePort, natsPort = basePort, testService } = flags;
      const { data = world.environment.TWINLOG_DATA ?? normalDataFolder } = flags;
      const mainPorts = flags.mainPorts ?? [basePort + 1, basePort + 2];
      if (new Set([natsPort, ...mainPorts]).size !== 3)
        throw new CommandError("nats-server, alpha and beta need three different ports");
      const nextPort = Math.max(natsPort, ...mainPorts) + 1;
      const consolePort = flags.console ? (flags.consolePort ?? (nextPort > maxPort ? 0 : nextPort)) : null;
      if ([natsPort, ...mainPorts].some((port) => port === consolePort))
        throw new CommandError(`--console-port ${consolePort}: the console needs a port of its own`);
      const free = (port: number) => (port > maxPort ? 0 : port);
      const httpPorts = flags.httpPorts ?? [free(nextPort + 1), free(nextPort + 2)];
      if (flags.httpPorts?.some((port) => [natsPort, ...mainPorts, consolePort].includes(port)))
        throw new CommandError(`--http-ports ${httpPorts.join(",")}: they need ports of their own`);
      const isForBrowsers = flags.websocket || flags.websocketPort !== undefined;
      const websocketPort = isForBrowsers ? (flags.websocketPort ?? free(nextPort + 3)) : null;
      if ([natsPort, ...mainPorts, consolePort, ...(flags.http ? httpPorts : [])].includes(websocketPort ?? -1))
        throw new CommandError(`--websocket-port ${websocketPort}: browsers need a port of their own`);
      const servers = names.map((name, index) => ({
        name,
        port: mainPorts[index] ?? 0,
        ...(flags.http ? { httpPort: httpPorts[index] ?? 0 } : {}),
      }));
      const program = [process.execPath, fileURLToPath(new URL("../twinlog.js", import.meta.url))] as const;
      const { stopped, signals, environment, out } = world;
      signals.whatForceCosts = () =>
        "the servers are killed, both, and what they acknowledged and had not flushed is lost";
      const status = await up(
        {
          service,
          application,
          data,
          natsPort,
          servers,
          consolePort,
          websocketPort,
          watch: flags.watch,
          testService,
          program: [...program],
          limits: upLimits,
        },
        {
          stopped,
          forced: signals.forced,
          environment,
          out,
          connect: async (context) => world.connect(await accessBy(context), () => undefined),
          readRegistry,
        },
      );
      if (status !== 0) throw new CommandError("not everything stopped cleanly: see the warning above");
    });
}

function parsePort(text: string): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < 1 || value > maxPort)
    throw new CommandError(`port ${text}: give a number from 1 to ${maxPort}`);
  return value;
}

const parseMainPorts = (text: string) => parsePair("--main-ports", text);
const parseHttpPorts = (text: string) => parsePair("--http-ports", text);

function parsePair(option: string, text: string): [number, number] {
  const [alpha = "", beta = "", ...more] = text.split(",");
  if (more.length > 0 || beta === "") throw new CommandError(`${option} ${text}: give two, as in 4223,4224`);
  return [parsePort(alpha), parsePort(beta)];
}
