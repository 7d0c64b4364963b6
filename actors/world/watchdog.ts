/**
 * The Watchdog port on a worker thread (watchdog-thread.ts), which looks now and then whether the application's code has kept the
 * main thread busy for too long, and then ends the process: a thread that does not return hears no signal and no message.
 *
 * Both threads share one small block of memory. What always holds: the main thread writes, the watchdog reads; it is believed only while the
 * same ticket stands there, and when it acts the main thread does not write. Linux only: elsewhere there is no way to know
 * one thread's time on a core, and none is started.
 */
import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import { type ApplicationCode, applicationCodes, lastWordsFile, readLastWords } from "../../schemas/death.ts";
import { maxNameLength } from "../../schemas/envelope.ts";
import { type Log, noWatchdog, type Watchdog } from "./ports.ts";

/** A call of the application's code, or the handlers that wait: numbers first, then client and id in UTF-16. */
export const callSlot = { code: 0, isRecorded: 1, clientLength: 2, idLength: 3, integers: 4 } as const;
const slotBytes = callSlot.integers * 4 + 8 + 2 * maxNameLength * 2;
/** Two slots behind the ticket: the call that runs now, and the handlers that wait. */
const ticketBytes = 8;
export const sharedBytes = ticketBytes + 2 * slotBytes;

export interface WatchdogData {
  readonly shared: SharedArrayBuffer;
  readonly server: string;
  readonly processId: string;
  readonly maxBlockedMs: number;
  readonly file: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** One slot, as both threads see it. `code` 0: nothing runs; otherwise one more than its place in `applicationCodes`. */
export class CallSlot {
  readonly integers: Int32Array;
  readonly bodyHash: Float64Array;
  readonly text: Uint16Array;

  constructor(shared: SharedArrayBuffer, which: 0 | 1) {
    const at = ticketBytes + which * slotBytes;
    this.bodyHash = new Float64Array(shared, at, 1);
    this.integers = new Int32Array(shared, at + 8, callSlot.integers);
    this.text = new Uint16Array(shared, at + 8 + callSlot.integers * 4, 2 * maxNameLength);
  }

  write(code: number, client: string, id: string, bodyHash: number, isRecorded: boolean): void {
    const { integers, text } = this;
    integers[callSlot.isRecorded] = isRecorded ? 1 : 0;
    integers[callSlot.clientLength] = client.length;
    integers[callSlot.idLength] = id.length;
    for (let at = 0; at < client.length; at += 1) text[at] = client.charCodeAt(at);
    for (let at = 0; at < id.length; at += 1) text[maxNameLength + at] = id.charCodeAt(at);
    this.bodyHash[0] = bodyHash;
    integers[callSlot.code] = code;
  }
}

const codeNumber = Object.fromEntries(applicationCodes.map((code, at) => [code, at + 1])) as Record<
  ApplicationCode,
  number
>;
/** How often a thread that is not blocked says so while handlers wait. */
const beatMs = 100;
/** Processor time of one thread, by the kernel. */
export const threadTimeFile = (pid: number): string => `/proc/self/task/${pid}/stat`;

export interface WatchdogOptions {
  readonly server: string;
  readonly processId: string;
  /** The thread may be busy with one call of the application's code for so long, in ms of its own time on a core. */
  readonly maxBlockedMs: number;
  readonly dataDirectory: string;
  readonly log: Log;
  /** In the line of the log that says why the process ends. */
  readonly fields: Readonly<Record<string, unknown>>;
}

export function startWatchdog(options: WatchdogOptions): Watchdog {
  const { server, processId, maxBlockedMs, dataDirectory, log, fields } = options;
  const file = join(dataDirectory, lastWordsFile);
  const lastWords = takeLastWords(file, server);
  if (!existsSync(threadTimeFile(process.pid))) {
    log.warn({}, "there is no watchdog here: application code that does not return must be ended by hand");
    return { ...noWatchdog, lastWords };
  }
  const shared = new SharedArrayBuffer(sharedBytes);
  const ticket = new Int32Array(shared, 0, 1);
  const running = new CallSlot(shared, 0);
  const waiting = new CallSlot(shared, 1);
  const data: WatchdogData = { shared, server, processId, maxBlockedMs, file, fields };
  const thread = new Worker(fileURLToPath(new URL("./watchdog-thread.js", import.meta.url)), {
    workerData: data,
    name: "watchdog",
  });
  thread.on("error", (error) => log.warn({ error: error.message }, "the watchdog is gone"));
  thread.unref();
  const next = () => {
    ticket[0] = ((ticket[0] ?? 0) + 1) | 0;
  };
  setInterval(next, beatMs).unref();
  return {
    lastWords,
    enter: (code, client, id, bodyHash, isRecorded) => {
      next();
      running.write(codeNumber[code], client, id, bodyHash, isRecorded);
    },
    leave: () => {
      running.integers[callSlot.code] = 0;
    },
    onWaiting: (count, client, id, isRecorded) => {
      waiting.write(count === 0 ? 0 : codeNumber.handlers, client, id, 0, isRecorded);
    },
  };
}

/** They are told once: what is read is gone from the folder. */
function takeLastWords(file: string, server: string) {
  try {
    const words = readLastWords(readFileSync(file));
    rmSync(file);
    return words?.server === server ? words : null;
  } catch {
    return null;
  }
}
