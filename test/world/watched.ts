/**
 * A program for watchdog.test.ts: has a watchdog with 200 ms, runs "application code" as it is told, and prints `last words:` of the process
 * before it and `done` if it came back.
 */
import process from "node:process";
import { startWatchdog } from "../../actors/world/watchdog.ts";
import { keptLog } from "../helpers/kept-log.ts";

const [, , dataDirectory = "", way = "", life = "first"] = process.argv;
const watchdog = startWatchdog({
  server: "alpha",
  processId: life,
  maxBlockedMs: 200,
  dataDirectory,
  log: keptLog(),
  fields: {},
});
console.log(`last words: ${JSON.stringify(watchdog.lastWords)}`);

/** The thread stands still, and has no time on a core. */
function standStill(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}
function work(ms: number): void {
  const spentMs = () => (process.cpuUsage().user + process.cpuUsage().system) / 1_000;
  for (const end = spentMs() + ms; spentMs() < end; );
}

switch (way) {
  case "forever":
    watchdog.enter("handler", "ärger", "42", 0, true);
    for (;;);
  case "standsStill":
    watchdog.enter("handler", "anna", "1", 0, false);
    standStill(1_500);
    watchdog.leave();
    break;
  case "ownWork":
    work(1_000);
    break;
  case "manyShort":
    for (let nth = 0; nth < 20; nth += 1) {
      watchdog.enter("handler", "anna", String(nth), 0, false);
      work(60);
      watchdog.leave();
    }
    break;
  case "waitingAndBusy":
    // One handler waits; turns of other work come between.
    watchdog.onWaiting(1, "anna", "1", false);
    for (let nth = 0; nth < 20; nth += 1) {
      work(60);
      await new Promise((resolve) => setTimeout(resolve, 110));
    }
    watchdog.onWaiting(0, "", "", false);
    work(1_000);
    break;
  case "afterAwait":
    watchdog.onWaiting(2, "", "", false);
    watchdog.enter("body", "anna", "1", 0, false);
    watchdog.leave();
    for (;;);
  default:
}
console.log("done");
process.exit(0);
