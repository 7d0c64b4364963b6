/**
 * The thread of a watchdog (watchdog.ts): looks, and ends the process. What always holds: it measures only while application code
 * runs, from a ticket that it has seen before; its last words are in the file before the process ends, for the crash notifier to
 * tell, and one line is on standard error, with the place at which the main thread was, if that could be found out.
 */
import { readFileSync, writeFileSync, writeSync } from "node:fs";
import { Session } from "node:inspector";
import process from "node:process";
import { workerData } from "node:worker_threads";
import { applicationCodes, describeLastWords, type LastWords } from "../../schemas/death.ts";
import { maxNameLength } from "../../schemas/envelope.ts";
import { CallSlot, callSlot, threadTimeFile, type WatchdogData } from "./watchdog.ts";

const { shared, server, processId, maxBlockedMs, file, fields } = workerData as WatchdogData;
const ticket = new Int32Array(shared, 0, 1);
const slots = [new CallSlot(shared, 0), new CallSlot(shared, 1)];
/** Linux counts processor time for programs in hundredths of a second, whatever it counts inside. */
const tickMs = 10;
const lookMs = Math.min(100, Math.max(tickMs, maxBlockedMs / 20));
/** How long finding out where the thread is may take. */
const placeWithinMs = 2_000;
const maxPlaceLines = 12;

let seen: { readonly ticket: number; readonly busyMs: number } | null = null;
const looking = setInterval(() => {
  const slot = slots.find(({ integers }) => integers[callSlot.code] !== 0);
  const now = ticket[0] ?? 0;
  if (slot === undefined) seen = null;
  else if (seen === null || seen.ticket !== now) seen = { ticket: now, busyMs: threadTimeMs() };
  else if (threadTimeMs() - seen.busyMs >= maxBlockedMs) {
    clearInterval(looking);
    void end(slot, threadTimeMs() - seen.busyMs);
  }
}, lookMs);

/** The main thread's own time on a core. Its number is the process's. */
function threadTimeMs(): number {
  const text = readFileSync(threadTimeFile(process.pid), "latin1");
  const [, , , , , , , , , , , user = "0", system = "0"] = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return (Number(user) + Number(system)) * tickMs;
}

async function end({ integers, bodyHash, text }: CallSlot, busyMs: number): Promise<void> {
  const name = (from: number, length = 0) => String.fromCharCode(...text.subarray(from, from + length));
  const words: LastWords = {
    server,
    life: processId,
    code: applicationCodes[(integers[callSlot.code] ?? 1) - 1] ?? "handlers",
    client: name(0, integers[callSlot.clientLength]),
    id: name(maxNameLength, integers[callSlot.idLength]),
    bodyHash: bodyHash[0] ?? 0,
    isRecorded: integers[callSlot.isRecorded] === 1,
    busyMs,
  };
  const place = await placeOfMainThread();
  attempt(() => writeFileSync(file, JSON.stringify(words)));
  const said = `${describeLastWords(words)}: this process ends`;
  const line = { level: 60, time: Date.now(), pid: process.pid, ...fields, lastWords: words, place, msg: said };
  attempt(() => writeSync(2, `${JSON.stringify(line)}\n`));
  process.kill(process.pid, "SIGKILL");
}

/** One of two things is of use, and neither may keep the process alive. */
function attempt(act: () => void): void {
  try {
    act();
  } catch {
    // A full disk, a pipe that nobody reads: the process ends all the same.
  }
}

/** Where the main thread is, innermost first; none where it does not stop to be looked at. */
function placeOfMainThread(): Promise<string[]> {
  return new Promise((resolve) => {
    setTimeout(() => resolve([]), placeWithinMs);
    attempt(() => {
      const session = new Session();
      const urls = new Map<string, string>();
      session.connectToMainThread();
      session.on("Debugger.scriptParsed", ({ params }) => urls.set(params.scriptId, params.url));
      session.on("Debugger.paused", ({ params }) => {
        const frames = params.callFrames.slice(0, maxPlaceLines);
        resolve(
          frames.map(
            ({ functionName, location: { scriptId, lineNumber } }) =>
              `${functionName || "(top)"} ${urls.get(scriptId) ?? ""}:${lineNumber + 1}`,
          ),
        );
      });
      session.post("Debugger.enable");
      session.post("Debugger.pause");
    });
  });
}
