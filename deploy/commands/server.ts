/**
 * `twinlog server --config FILE`: one server of a service, until it is told to stop. Exit status 0 after a clean stop; 1,
 * and one line, when it failed. Signals: deploy/signals.ts.
 */
import process from "node:process";
import { Command } from "commander";
import { HttpAnswers } from "../../actors/operator/http-answers.ts";
import { Meters } from "../../actors/operator/meters.ts";
import { type MetricsSource, metrics } from "../../actors/operator/metrics.ts";
import { rehearse } from "../../actors/rehearsal.ts";
import type { RunningLife } from "../../actors/running-life.ts";
import { type ServerHandle, startServer } from "../../actors/server.ts";
import { openNodeClock } from "../../actors/world/clock-node.ts";
import { startCrashNotifier } from "../../actors/world/crash-notifier.ts";
import { keepHeapRoom } from "../../actors/world/heap-room.ts";
import { HttpDoor } from "../../actors/world/http-node.ts";
import { openPinoLog } from "../../actors/world/log-pino.ts";
import { PrometheusText } from "../../actors/world/metrics-prometheus.ts";
import type { World } from "../../actors/world/ports.ts";
import { NodeProcess } from "../../actors/world/process-node.ts";
import { openRealWorld } from "../../actors/world/real-world.ts";
import { startWatchdog } from "../../actors/world/watchdog.ts";
import type { Settings } from "../../schemas/settings.ts";
import { findApplication } from "../applications.ts";
import { runbookEntry } from "../runbook.ts";
import { endOf } from "../server-ends.ts";
import { readSettings } from "../settings-file.ts";
import { endWithParent } from "../up/parent.ts";
import { watchLastErrors } from "./last-errors.ts";
import { CommandError, type CommandWorld, whenAborted } from "./world.ts";

export function serverCommand(world: CommandWorld, version: string): Command {
  return new Command("server")
    .description("run one server of a service; stop it with Ctrl-C or SIGTERM; SIGHUP re-opens its log")
    .requiredOption("--config <file>", "the server's settings, JSON")
    .addHelpText("after", "\nExamples:\n  $ twinlog server --config alpha.json\n")
    .action(async ({ config }: { config: string }) => {
      const { signals, stopped } = world;
      const stop = new Promise<null>((resolve) => whenAborted(stopped, () => resolve(null)));
      const server = await Promise.race([begin(world, version, config).catch(ended), stop]);
      // Told to stop before anything was begun: there is nothing to bring to an end.
      if (server === null) process.exit(0);
      signals.whatForceCosts = () => whatForceCosts(server);
      whenAborted(stopped, () => server.stop());
      const end = await server.ended;
      if (end.reason === "failed") ended(end.error);
      await world.out("");
      process.exit(0);
    });
}

/** The one line that is left of it, and where to look up what to do. */
function ended(error: unknown): never {
  const says = error instanceof Error ? error.message : String(error);
  throw new CommandError(`${says}; see ${runbookEntry(`end.${endOf(error)}`)}`, { cause: error });
}

async function begin({ signals }: CommandWorld, version: string, config: string): Promise<ServerHandle> {
  const settings = await readSettings(config);
  const { service, server: name } = settings;
  const application = await findApplication(settings.application, config);
  const log = openPinoLog({ service, server: name });
  signals.reopenLog = () => log.reopen();
  const real = await openRealWorld(settings, { log });
  let server: ServerHandle | null = null;
  const meters = new Meters();
  await openHttp({ settings, version, world: real, meters, life: () => server?.life ?? null });
  rehearse(application, settings, openNodeClock());
  if (settings.witness) startCrashNotifier({ settings, processId: real.processId, log });
  const { limits, dataDirectory } = settings;
  const watchdog = startWatchdog({
    server: name,
    processId: real.processId,
    maxBlockedMs: limits.maxBlockedMs,
    dataDirectory,
    log,
    fields: { service, server: name },
  });
  const watched = { ...real, watchdog };
  keepHeapRoom();
  const ownProcess = { pid: process.pid, version, residentBytes: () => process.memoryUsage.rss() };
  server = startServer({ settings, application, world: watched, meters, process: ownProcess });
  watchLastErrors(log, server.onFloatingRejection);
  endWithParent(() => server.stop());
  void real.registry.warnings().then(
    (warnings) => {
      for (const { says } of warnings) log.warn({}, says);
    },
    (error: unknown) => log.warn({ error: String(error) }, "the broker's version and settings could not be looked at"),
  );
  return server;
}

/** Before anything is begun: who asks is answered while the disk is read, and a port that cannot be had ends it here. */
async function openHttp(options: {
  settings: Settings;
  version: string;
  world: Pick<World, "clock" | "log">;
  meters: Meters;
  life: () => RunningLife | null;
}): Promise<void> {
  const { settings, version, world, meters, life } = options;
  const { service, server, application, http } = settings;
  if (http === undefined) return;
  const { clock, log } = world;
  const ownProcess = new NodeProcess(clock);
  const prometheus = new PrometheusText<MetricsSource>(metrics, { service, server });
  const source = (running: RunningLife | null): MetricsSource => ({
    version,
    application,
    facts: running === null ? null : { ...running.facts, ...running.numbers },
    meters,
    process: ownProcess.facts,
  });
  const answers = new HttpAnswers({
    service,
    server,
    version,
    facts: () => life()?.facts ?? null,
    nowMs: () => clock.nowMs(),
    metrics: { contentType: prometheus.contentType, text: () => prometheus.text(source(life())) },
  });
  const door = await HttpDoor.open({ ...http, clock, log, answer: (question) => answers.answer(question) });
  log.info({ url: door.url }, "answers machines by HTTP; whoever reaches it may read");
}

/** For the operator who is about to end it by force. */
function whatForceCosts({ life }: ServerHandle): string {
  if (life === null) return "it serves nobody now";
  const { replica } = life;
  const waits = replica.waitingFor === "" ? "" : ` It waits: ${replica.waitingFor}.`;
  if (replica.role === "none") return `it is no member, nothing is lost with it.${waits}`;
  if (replica.alone)
    return `the service stands still until it is started again; what was acknowledged is on its disk.${waits}`;
  return `the other goes on as after a crash; if that one ends too, what was acknowledged since the last flush is lost.${waits}`;
}
