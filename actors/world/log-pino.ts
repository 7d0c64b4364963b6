/**
 * The Log port on pino: one JSON object a line on standard error, so that standard output stays free for what a
 * command prints. What always holds: a line is written before the call returns, so that nothing is lost when the
 * process is stopped by an assertion right after it.
 */
import { destination, pino } from "pino";
import type { Log, LogFields } from "./ports.ts";

export type LogLevel = "debug" | "info" | "warn" | "error";

/** `fields` are in every line: the service and the server. `file`: appended to instead of standard error. */
export function openPinoLog(fields: LogFields, options: { level?: LogLevel; file?: string } = {}): Log {
  const sink = destination({ dest: options.file ?? 2, sync: true });
  const logger = pino({ level: options.level ?? "info", base: { pid: process.pid, ...fields } }, sink);
  return {
    debug: (more, message) => logger.debug(more, message),
    info: (more, message) => logger.info(more, message),
    warn: (more, message) => logger.warn(more, message),
    error: (more, message) => logger.error(more, message),
  };
}
