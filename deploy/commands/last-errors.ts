/**
 * Errors of a server's process that nothing caught. What always holds: a floating rejection is the application's (ours never float) and is survived;
 * an exception that nobody caught may have left anything half done, so the process ends at once and the other server goes on.
 */
import process from "node:process";
import { stackOf } from "../../actors/bounded-lines.ts";
import type { Log } from "../../actors/world/ports.ts";

export function watchLastErrors(log: Log, onFloatingRejection: (error: unknown) => void): void {
  process.on("unhandledRejection", onFloatingRejection);
  process.on("uncaughtException", (error) => {
    log.error({ stack: stackOf(error) }, `an exception that nobody caught ends this process: ${error.message}`);
    process.exit(1);
  });
}
