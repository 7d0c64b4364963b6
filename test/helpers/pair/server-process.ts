/**
 * One server of a pair as a process of its own: `twinlog server --config FILE`, started, signalled and started again by tests.
 *
 * What always holds: it ends with the test process, however that ends; its last lines of output are kept; where it is supervised, one
 * that ended unasked is started again after `restartMs`, as `twinlog up` would.
 */
import { type ChildProcess, spawn } from "node:child_process";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { atEnd } from "../at-end.ts";

const ownProgram = fileURLToPath(new URL("../../../deploy/twinlog.js", import.meta.url));
const keptLines = 150;
const stopWithinMs = 15_000;

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

const running = new Set<ChildProcess>();
atEnd(() => {
  for (const child of running) child.kill("SIGKILL");
});

export interface ServerProcessOptions {
  readonly name: string;
  readonly configFile: string;
  /** Null: not supervised. */
  readonly restartMs: number | null;
  readonly environment?: Readonly<Record<string, string>>;
  /** The `twinlog` that is run. Default: this clone's. */
  readonly program?: string;
  /** Words before the command. */
  readonly launcher?: readonly string[];
  /** Called when a process has ended, before it is started again. */
  readonly onEnded: (pid: number) => void;
}

export class ServerProcess {
  readonly name: string;
  readonly configFile: string;
  /** Output of all lives, standard error included, newest last. */
  readonly lines: string[] = [];
  /** How every life ended. */
  readonly ends: Ended[] = [];
  readonly #options: ServerProcessOptions;
  #child: ChildProcess | null = null;
  #exited: Promise<Ended> = Promise.resolve({ code: null, signal: null });
  #restart: NodeJS.Timeout | null = null;
  #isSupervised = true;
  #starts = 0;

  constructor(options: ServerProcessOptions) {
    this.#options = options;
    this.name = options.name;
    this.configFile = options.configFile;
  }

  /** Null while it does not run. */
  get pid(): number | null {
    return this.#child?.pid ?? null;
  }
  /** It runs, or its supervisor is about to start it. */
  get isUp(): boolean {
    return this.#child !== null || this.#restart !== null;
  }
  get starts(): number {
    return this.#starts;
  }

  start(): void {
    if (this.#child !== null) return;
    this.#unschedule();
    this.#isSupervised = true;
    this.#starts += 1;
    const { launcher = [], program = ownProgram } = this.#options;
    const words = [...launcher, process.execPath, program, "server", "--config", this.configFile];
    const child = spawn(words[0] ?? "", words.slice(1), {
      stdio: ["ignore", "pipe", "pipe", "ipc"],
      env: { ...process.env, ...this.#options.environment },
    });
    this.#child = child;
    running.add(child);
    child.stdout?.on("data", (data: Buffer) => this.#keep(data));
    child.stderr?.on("data", (data: Buffer) => this.#keep(data));
    this.#exited = new Promise((resolve) => {
      child.once("exit", (code, signal) => {
        running.delete(child);
        const end = { code, signal };
        this.ends.push(end);
        this.lines.push(`-- ended: ${signal ?? code}`);
        this.#child = null;
        this.#options.onEnded(child.pid ?? 0);
        const { restartMs } = this.#options;
        if (restartMs !== null && this.#isSupervised) this.#restart = setTimeout(() => this.start(), restartMs);
        resolve(end);
      });
    });
  }

  #keep(data: Buffer): void {
    this.lines.push(...data.toString().trimEnd().split("\n"));
    if (this.lines.length > 2 * keptLines) this.lines.splice(0, this.lines.length - keptLines);
  }

  #unschedule(): void {
    if (this.#restart !== null) clearTimeout(this.#restart);
    this.#restart = null;
  }

  /** SIGSTOP pauses it, SIGCONT lets it go on. */
  signal(signal: NodeJS.Signals): void {
    this.#child?.kill(signal);
  }

  /** Ends it at once; resolves when it is gone. A supervised one comes back. */
  async kill(): Promise<void> {
    const exited = this.#exited;
    this.signal("SIGKILL");
    await exited;
  }

  /** A clean stop, after which nobody starts it again. */
  async stop(): Promise<Ended> {
    this.#isSupervised = false;
    this.#unschedule();
    if (this.#child === null) return await this.#exited;
    const force = setTimeout(() => this.signal("SIGKILL"), stopWithinMs);
    this.signal("SIGCONT");
    this.signal("SIGTERM");
    const end = await this.#exited;
    clearTimeout(force);
    return end;
  }

  /** At the end of a test: it is killed and stays down. */
  async close(): Promise<void> {
    this.#isSupervised = false;
    this.#unschedule();
    await this.kill();
  }
}
