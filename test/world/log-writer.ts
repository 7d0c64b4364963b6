/** Writes a log to standard error, as a server does: node log-writer.js LINES, and one more for each input, until that ends. */
import process from "node:process";
import { openPinoLog } from "../../actors/world/log-pino.ts";

const log = openPinoLog({ server: "alpha" });
let at = 0;
const burst = (lines: number) => {
  for (let line = 0; line < lines; line += 1) {
    at += 1;
    log.info({ at }, "x".repeat(100));
  }
  process.stdout.write(`${at} ${log.trouble?.() === null ? "whole" : "lossy"}\n`);
};
process.stdin.on("data", () => burst(1));
process.stdin.on("end", () => process.exit(0));
burst(Number(process.argv[2]));
