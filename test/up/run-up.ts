/**
 * `up` with stand-in servers as a process of its own, with the program's signals and output: node run-up.js OPTIONS-AS-JSON.
 */
import process from "node:process";
import { openNodeWorld } from "../../deploy/commands/node-world.ts";
import { type UpOptions, up } from "../../deploy/up.ts";
import { standInWorld } from "./harness.ts";

const options = JSON.parse(process.argv[2] ?? "") as UpOptions;
const { signals, out } = openNodeWorld();
signals.begin("up");
process.exitCode = await up(
  options,
  standInWorld(options.data, process.env, signals, (text) => void out(text)),
);
