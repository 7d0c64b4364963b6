/**
 * A program for witness.test.ts: has a witness, with the settings that it is given, and prints the process id of each that watches.
 * It ends with its standard input.
 */
import process from "node:process";
import { openNodeClock } from "../../actors/world/clock-node.ts";
import { startWitness } from "../../actors/world/witness.ts";
import { Settings } from "../../schemas/settings.ts";
import { keptLog } from "./silent-log.ts";

const [, , settings = "", life = ""] = process.argv;
startWitness({
  settings: Settings.parse(JSON.parse(settings)),
  life,
  clock: openNodeClock(),
  log: keptLog(),
  onWatching: (pid) => console.log(pid),
});
process.stdin.resume().on("end", () => process.exit(0));
