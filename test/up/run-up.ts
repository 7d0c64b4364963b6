/**
 * `up` with stand-in servers as a process of its own, for tests that kill it: node run-up.js OPTIONS-AS-JSON.
 */
import process from "node:process";
import { type UpOptions, up } from "../../deploy/up.ts";
import { standInWorld } from "./harness.ts";

const options = JSON.parse(process.argv[2] ?? "") as UpOptions;
const stop = new AbortController();
process.on("SIGINT", () => {
  if (stop.signal.aborted) process.exit(130);
  stop.abort();
});
process.exitCode = await up(
  options,
  standInWorld(options.data, process.env, stop.signal, (text) => void process.stdout.write(text)),
);
