/**
 * The `twinlog` program put together from its commands, and how it ends: 0 only on success, else one line on standard
 * error and 1.
 */
import { Command, CommanderError } from "commander";
import { runbookEntry } from "../runbook.ts";
import { backupCommand } from "./backup.ts";
import { chartCommand } from "./chart.ts";
import { checkCommand, notChecked } from "./check.ts";
import { completionsCommand } from "./completions.ts";
import { consoleCommand } from "./console.ts";
import { controlCommand } from "./control.ts";
import { drillCommand } from "./drill.ts";
import { eventsCommand } from "./events.ts";
import { historyCommand } from "./history.ts";
import { initCommand } from "./init.ts";
import { inspectCommand } from "./inspect.ts";
import { migrateCommand } from "./migrate.ts";
import { newCommand } from "./new.ts";
import { passwordCommand } from "./password.ts";
import { permissionsCommand } from "./permissions.ts";
import { recoverCommand } from "./recover.ts";
import { replayCommand } from "./replay.ts";
import { queryCommand, requestCommand } from "./request.ts";
import { restoreCommand } from "./restore.ts";
import { resultsCommand } from "./results.ts";
import { schemaCommand } from "./schema.ts";
import { serverCommand } from "./server.ts";
import { statusCommand } from "./status.ts";
import { upCommand } from "./up.ts";
import { verifyCommand } from "./verify.ts";
import { CommandError, type CommandWorld, ExitStatus, ReaderGone } from "./world.ts";

/** Commands that operators give and that may be refused: what to do then stands in the runbook. */
const refusable: ReadonlySet<string> = new Set([
  "switch",
  "pause",
  "resume",
  "accept-time",
  "flush",
  "recover",
  "init",
]);

export function buildProgram(world: CommandWorld, version: string): Command {
  const program = new Command("twinlog")
    .description("hot-standby failover for message-driven applications on NATS")
    .version(version)
    .showHelpAfterError("(--help shows how)");
  const commands = [
    newCommand(world),
    upCommand(world),
    initCommand(world),
    serverCommand(world, version),
    requestCommand(world),
    queryCommand(world),
    schemaCommand(world),
    resultsCommand(world),
    replayCommand(world),
    statusCommand(world),
    checkCommand(world),
    eventsCommand(world),
    historyCommand(world),
    consoleCommand(world),
    passwordCommand(world),
    ...(["switch", "flush", "pause", "resume", "accept-time"] as const).map((verb) => controlCommand(world, verb)),
    recoverCommand(world),
    permissionsCommand(world),
    backupCommand(world, version),
    verifyCommand(world),
    restoreCommand(world),
    migrateCommand(world),
    inspectCommand(world),
    drillCommand(world),
    chartCommand(world),
    completionsCommand(world),
  ];
  for (const command of commands) program.addCommand(command);
  return program;
}

/** Runs one command line (without node and script) and returns the exit status. */
export async function runProgram(world: CommandWorld, version: string, words: readonly string[]): Promise<number> {
  // What monitoring programs would read as a warning is none.
  const failed = (status: number): number => (words[0] === "check" && status !== 0 ? notChecked : status);
  try {
    const program = buildProgram(world, version);
    for (const command of [program, ...program.commands])
      command.exitOverride().configureOutput({ writeErr: world.err, writeOut: (text) => void world.out(text) });
    program.hook("preAction", (_program, command) => world.signals.begin(command.name()));
    await program.parseAsync(words, { from: "user" });
    return 0;
  } catch (error) {
    if (error instanceof CommanderError) return failed(error.exitCode);
    if (error instanceof ReaderGone) return 0;
    if (error instanceof ExitStatus) return error.status;
    const see =
      error instanceof CommandError && refusable.has(words[0] ?? "") ? `; see ${runbookEntry("refused")}` : "";
    world.err(`twinlog: ${error instanceof Error ? error.message : String(error)}${see}\n`);
    if (world.environment.TWINLOG_DEBUG !== undefined && error instanceof Error) world.err(`${error.stack}\n`);
    return failed(1);
  }
}
