/**
 * The Log port on pino: one JSON object a line on standard error, so that standard output stays free for what a
 * command prints. What always holds: a line is written before the call returns, so that nothing is lost when the
 * process is stopped by an assertion right after it; what cannot be written never ends the server (log-sink.ts).
 */
import { pino } from "pino";
import { LogSink, type LostLines } from "./log-sink.ts";
import type { Log, LogFields } from "./ports.ts";

export type LogLevel = "debug" | "info" | "warn" | "error";

export interface ServerLog extends Log {
  /** After its file was moved away; says what came of it. */
  reopen(): void;
}

/** `fields` are in every line: the service and the server. `file`: appended to instead of standard error. */
export function openPinoLog(fields: LogFields, options: { level?: LogLevel; file?: string } = {}): ServerLog {
  const base = { pid: process.pid, ...fields };
  const describe = ({ lines, reason }: LostLines) =>
    `${JSON.stringify({ level: pino.levels.values.warn, time: Date.now(), ...base, lost: lines, msg: lostText({ lines, reason }) })}\n`;
  const sink = new LogSink(describe, options.file);
  const logger = pino({ level: options.level ?? "info", base }, sink);
  return {
    debug: (more, message) => logger.debug(more, message),
    info: (more, message) => logger.info(more, message),
    warn: (more, message) => logger.warn(more, message),
    error: (more, message) => logger.error(more, message),
    trouble: () => {
      const { lost } = sink;
      return lost === null ? null : lostText(lost);
    },
    reopen: () => {
      const said = sink.reopen();
      logger.info(said);
    },
  };
}

function lostText({ lines, reason }: LostLines): string {
  return `the log could not be written (${reason}): ${lines === 1 ? "1 line is" : `${lines} lines are`} lost`;
}
