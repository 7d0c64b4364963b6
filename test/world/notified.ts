/**
 * A program for crash-notifier.test.ts: has a crash notifier, with the settings that it is given, and prints the process id of each that
 * watches, and "gone" for each that is no more. It ends with its standard input, unless the crash notifier keeps it. `command`:
 * another interpreter for the crash notifier.
 */
import process from "node:process";
import { startCrashNotifier } from "../../actors/world/crash-notifier.ts";
import { Settings } from "../../schemas/settings.ts";
import { keptLog } from "../helpers/kept-log.ts";

const [, , settings = "", life = "", command] = process.argv;
startCrashNotifier({
  settings: Settings.parse(JSON.parse(settings)),
  processId: life,
  log: { ...keptLog(), warn: () => console.log("gone") },
  ...(command === undefined ? {} : { command }),
  onWatching: (pid) => console.log(pid),
});
process.stdin.resume();
