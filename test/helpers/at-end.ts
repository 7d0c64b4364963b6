/**
 * What a test process does last, however it ends (SIGKILL excepted): nothing that it started or made outlives it.
 *
 * AVA ends a test file that takes too long, or is interrupted, with SIGTERM, of which there is no exit event: here there is.
 */
import process from "node:process";

process.once("SIGTERM", () => {
  process.emit("exit", 128 + 15);
  process.kill(process.pid, "SIGTERM");
});

/** Whoever asks last is called first. */
export function atEnd(last: () => void): void {
  process.prependListener("exit", last);
}
