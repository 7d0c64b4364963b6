/**
 * A program for witness.test.ts: has a witness, with the settings that it is given, and prints the process id of each that
 * watches, and "gone" for each that is no more. It ends with its standard input, unless the witness keeps it. `command`:
 * another interpreter for the witness.
 */
import process from "node:process";
import { startWitness } from "../../actors/world/witness.ts";
import { Settings } from "../../schemas/settings.ts";
import { keptLog } from "../helpers/kept-log.ts";

const [, , settings = "", life = "", command] = process.argv;
startWitness({
  settings: Settings.parse(JSON.parse(settings)),
  life,
  log: { ...keptLog(), warn: () => console.log("gone") },
  ...(command === undefined ? {} : { command }),
  onWatching: (pid) => console.log(pid),
});
process.stdin.resume();
