/**
 * One program that is kept running: started again when it dies, after a time that grows while it dies at once again and
 * again, up to a named limit. What always holds: at most one process of it runs; after `stop` none is started; it leads a
 * process group of its own, so that Ctrl-C reaches us alone and we decide who stops when; and a channel to it closes when we
 * are gone, however we went, so that it ends too (deploy/up/parent.ts).
 */
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, existsSync, fstatSync, openSync, readSync, renameSync } from "node:fs";

export interface KeepLimits {
  /** From a death to the next start. */
  readonly restartMs: number;
  /** The longest that this grows to. */
  readonly maxRestartMs: number;
  /** Who lived shorter than this died at once. */
  readonly steadyMs: number;
}

export const keepLimits: KeepLimits = { restartMs: 500, maxRestartMs: 10_000, steadyMs: 2_000 };

export interface KeptChildOptions {
  readonly name: string;
  /** The program and its arguments. */
  readonly command: readonly [string, ...string[]];
  /** Gets what it prints; that of an earlier run of ours is kept beside it. */
  readonly logFile: string;
  readonly limits: KeepLimits;
  /** One line for people: it died, and when it comes back. */
  readonly tell: (line: string) => void;
  /** It runs under another process id now, or (null) does not run. */
  readonly onPid: (pid: number | null) => void;
}

export class KeptChild {
  readonly name: string;
  readonly #options: KeptChildOptions;
  #child: ChildProcess | null = null;
  #timer: NodeJS.Timeout | null = null;
  #stopping = false;
  #failedToStop = false;
  /** It was asked to end, to be started again. */
  #isAskedAgain = false;
  /** How often in a row it died at once. */
  #quickDeaths = 0;
  #ended: Promise<void> = Promise.resolve();

  constructor(options: KeptChildOptions) {
    this.name = options.name;
    this.#options = options;
    try {
      if (existsSync(options.logFile)) renameSync(options.logFile, `${options.logFile}.1`);
    } catch {
      // It is written on then.
    }
  }

  get pid(): number | null {
    return this.#child?.pid ?? null;
  }

  start(): void {
    const { command, logFile, onPid } = this.#options;
    const [program, ...words] = command;
    const log = this.#openLog(logFile);
    const bornMs = performance.now();
    const child = spawn(program, words, { stdio: ["ignore", log ?? "ignore", log ?? "ignore", "ipc"], detached: true });
    if (log !== null) closeSync(log);
    this.#child = child;
    this.#ended = new Promise((resolve) => {
      let isOver = false;
      const end = (how: string, isFault: boolean): void => {
        if (isOver) return;
        isOver = true;
        this.#child = null;
        onPid(null);
        this.#onEnd(`${this.name} (process ${child.pid ?? "?"}) ${how}`, isFault, performance.now() - bornMs);
        resolve();
      };
      child.on("error", (error) => {
        if (child.pid === undefined) end(`could not be started: ${error.message}`, false);
      });
      child.on("exit", (code, signal) =>
        end(signal === null ? `ended with status ${code}` : `was ended by ${signal}`, signal === null && code !== 0),
      );
    });
    onPid(this.pid);
  }

  /** A disk that is full keeps no server from running. */
  #openLog(logFile: string): number | null {
    try {
      return openSync(logFile, "a");
    } catch (error) {
      this.#options.tell(`warning: what ${this.name} prints is not kept: ${(error as Error).message}`);
      return null;
    }
  }

  signal(signal: NodeJS.Signals): void {
    this.#child?.kill(signal);
  }

  /** Who runs is asked to stop, and is started again as soon as it has. */
  again(): void {
    if (this.#stopping) return;
    if (this.#child === null) {
      if (this.#timer !== null) clearTimeout(this.#timer);
      this.#timer = null;
      this.start();
      return;
    }
    this.#isAskedAgain = true;
    this.signal("SIGTERM");
    this.signal("SIGCONT");
  }

  /** It is not started again; who runs is asked to stop. Settles when nothing of it runs: true unless it ended with an error. */
  async stop(): Promise<boolean> {
    this.#stopping = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.signal("SIGTERM");
    // One that was paused (SIGSTOP) hears nothing but this.
    this.signal("SIGCONT");
    await this.#ended;
    return !this.#failedToStop;
  }

  #onEnd(what: string, isFault: boolean, livedMs: number): void {
    const { limits, tell, logFile } = this.#options;
    const words = isFault ? lastWords(logFile) : "";
    const told = `${what}${words === "" ? "" : `: ${words}`}`;
    if (this.#stopping) {
      this.#failedToStop = isFault;
      if (isFault) tell(`warning: ${told}`);
      return;
    }
    if (this.#isAskedAgain) {
      this.#isAskedAgain = false;
      this.#quickDeaths = 0;
      if (isFault) tell(`warning: ${told}`);
      this.start();
      return;
    }
    this.#quickDeaths = livedMs < limits.steadyMs ? this.#quickDeaths + 1 : 0;
    const delayMs = restartDelayMs(this.#quickDeaths, limits);
    tell(`${told}; it is started again in ${delayMs} ms`);
    this.#timer = setTimeout(() => this.start(), delayMs);
  }
}

/** Doubles with each death at once after the first. */
export function restartDelayMs(quickDeaths: number, { restartMs, maxRestartMs }: KeepLimits): number {
  return Math.min(maxRestartMs, restartMs * 2 ** Math.max(0, quickDeaths - 1));
}

const maxWordsBytes = 4_096;

/** The last line of a log: its message, where it is a line of JSON; nothing where it cannot be read. */
export function lastWords(logFile: string): string {
  let file: number;
  try {
    file = openSync(logFile, "r");
  } catch {
    return "";
  }
  try {
    const { size } = fstatSync(file);
    const bytes = Buffer.alloc(Math.min(size, maxWordsBytes));
    readSync(file, bytes, 0, bytes.length, size - bytes.length);
    const line = bytes.toString("utf8").trim().split("\n").at(-1) ?? "";
    try {
      const { msg } = JSON.parse(line) as { msg?: unknown };
      return typeof msg === "string" ? msg : line;
    } catch {
      return line;
    }
  } finally {
    closeSync(file);
  }
}
