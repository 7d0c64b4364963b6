/**
 * Runs nats-server as a child: JetStream on, loopback only, its data in one folder.
 *
 * What always holds:
 * 1. It is returned only when the very server that we started accepts connections and its JetStream answers.
 * 2. A taken port is a `NatsPortTaken`, any other failure to start a `NatsStartFailed` with the server's own last words.
 * 3. It outlives neither `stop()` nor us: it is told to stop when this process exits, and a guard outside this process tells it
 *    when this process was killed (where there is `sh`). It has a process group of its own, so that Ctrl-C reaches us alone
 *    and we decide what stops first.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { closeSync, existsSync, openSync, readFileSync, renameSync } from "node:fs";
import { join, resolve } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { freePort, isTaken } from "../ports.ts";
import { inspectBinary } from "./binary.ts";
import { type NatsConfig, portOfServerIn, writeConfig } from "./folder.ts";
import { probeNats } from "./probe.ts";

export type NatsServerOptions = Omit<NatsConfig, "port"> & {
  /** 0, the default, lets it be found: one that stays free for this server, also when it is started again. */
  port?: number;
  /** The path of a nats-server that `bringNatsServer` found. */
  binary: string;
  readyWithinMs?: number;
};

export type NatsExit = { code: number | null; signal: NodeJS.Signals | null };

export type NatsServer = {
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  readonly version: string;
  readonly logFile: string;
  /** Settles when it has ended, on purpose or not. */
  readonly exited: Promise<NatsExit>;
  /** Stops it in an orderly way; kills it if that takes longer than `natsStopWithinMs`. */
  stop(): Promise<NatsExit>;
  /** Sends it a signal, as tests of faults do. */
  kill(signal: NodeJS.Signals): void;
  /** If this process is killed, it is told to stop only when these processes are gone too, or after `natsOutlivesMs`. */
  outlive(pids: readonly number[]): void;
};

export const natsReadyWithinMs = 15_000;
export const natsStopWithinMs = 5_000;
export const natsOutlivesMs = 15_000;
const probeTimeoutMs = 1_000;
const probeEveryMs = 15;

export class NatsPortTaken extends Error {
  override readonly name = "NatsPortTaken";
  readonly code = "NATS_PORT_TAKEN";
  readonly port: number;

  constructor(port: number) {
    super(`port ${port} is taken: stop the program that listens there, or choose another port for nats-server`);
    this.port = port;
  }
}

export class NatsStartFailed extends Error {
  override readonly name = "NatsStartFailed";
  readonly code = "NATS_START_FAILED";
}

export async function startNatsServer(given: NatsServerOptions): Promise<NatsServer> {
  const options = { ...given, port: given.port || (await freePort()) };
  const binary = await inspectBinary(options.binary);
  if (typeof binary === "string") {
    throw new NatsStartFailed(binary);
  }
  const storeDir = resolve(options.storeDir);
  const serverName = `twinlog-${randomBytes(8).toString("hex")}`;
  await refuseWhatIsTaken(storeDir, options.port);
  const configFile = writeConfig({ ...options, storeDir }, serverName, binary.version);

  const logFile = join(storeDir, "nats-server.log");
  const child = spawnLogged(binary.path, ["-c", configFile], logFile);
  const exited = new Promise<NatsExit>((settle) => {
    child.on("error", () => settle({ code: 127, signal: null }));
    child.on("exit", (code, signal) => settle({ code, signal }));
  });
  const { release, outlive } = guard(child);
  void exited.then(release);

  const stop = (): Promise<NatsExit> => stopChild(child, exited);
  const port = await untilReady({ child, exited, serverName, storeDir, logFile, options }).catch(
    async (error: unknown) => {
      await stop();
      throw error;
    },
  );
  return {
    url: `nats://127.0.0.1:${port}`,
    port,
    pid: child.pid ?? 0,
    version: binary.version,
    logFile,
    exited,
    stop,
    kill: (signal) => void child.kill(signal),
    outlive,
  };
}

/**
 * Looks before the server is started, since a server recovers, and thereby writes, the data in its folder before it finds its port
 * taken: a second one must not come so far.
 */
async function refuseWhatIsTaken(storeDir: string, port: number): Promise<void> {
  if (await isTaken(port)) {
    throw new NatsPortTaken(port);
  }
  const livingPort = await portOfServerIn(storeDir);
  if (livingPort !== undefined) {
    throw new NatsStartFailed(`another nats-server, on port ${livingPort}, has its data in ${storeDir}: stop it first`);
  }
}

type Starting = {
  child: ChildProcess;
  exited: Promise<NatsExit>;
  serverName: string;
  storeDir: string;
  logFile: string;
  options: NatsServerOptions & NatsConfig;
};

async function untilReady(starting: Starting): Promise<number> {
  const withinMs = starting.options.readyWithinMs ?? natsReadyWithinMs;
  let hasExited = false;
  void starting.exited.then(() => {
    hasExited = true;
  });
  const since = performance.now();
  while (performance.now() - since < withinMs) {
    if (hasExited) {
      throw startError(starting);
    }
    const probe = await probeNats(starting.options.port, starting.serverName, probeTimeoutMs);
    if (probe.state === "ready") {
      return probe.port;
    }
    await Promise.race([delay(probeEveryMs), starting.exited]);
  }
  throw new NatsStartFailed(`nats-server was not ready within ${withinMs} ms: see ${starting.logFile}`);
}

function startError({ logFile, options }: Starting): Error {
  const lastWords = readFileSync(logFile, "utf8").trim().split("\n");
  if (lastWords.some((line) => line.includes("address already in use"))) {
    return new NatsPortTaken(options.port);
  }
  return new NatsStartFailed(`nats-server ended while starting: ${lastWords.at(-1)} (${logFile})`);
}

/** Starts a program whose output goes to a file; the log of the run before is kept beside it. */
function spawnLogged(program: string, args: string[], logFile: string): ChildProcess {
  if (existsSync(logFile)) {
    renameSync(logFile, `${logFile}.1`);
  }
  const log = openSync(logFile, "w");
  try {
    return spawn(program, args, { stdio: ["ignore", log, log], detached: true });
  } finally {
    closeSync(log);
  }
}

async function stopChild(child: ChildProcess, exited: Promise<NatsExit>): Promise<NatsExit> {
  const isStopping = child.kill("SIGTERM");
  // A stopped (SIGSTOP) server hears nothing but this.
  child.kill("SIGCONT");
  const patience = new AbortController();
  const late = delay(isStopping ? natsStopWithinMs : 0, undefined, { signal: patience.signal }).then(
    () => void child.kill("SIGKILL"),
    () => {},
  );
  await Promise.race([exited, late]);
  patience.abort();
  return exited;
}

/**
 * Ends the child when this process ends in whatever way. The guard waits for its input to end, which the system does when we are
 * gone; the lines that it reads before name processes that are to be gone first, and `done` says that there is nothing left to guard.
 */
function guard(child: ChildProcess): { release: () => void; outlive: (pids: readonly number[]) => void } {
  let outlived: readonly number[] = [];
  const end = (): void => {
    if (outlived.length > 0) return;
    child.kill("SIGTERM");
    child.kill("SIGCONT");
  };
  process.on("exit", end);
  const sentry = spawn("sh", ["-c", guardScript, String(child.pid)], {
    stdio: ["pipe", "ignore", "ignore"],
    detached: true,
  });
  sentry.on("error", () => {});
  sentry.stdin.on("error", () => {});
  sentry.unref();
  return {
    release: () => {
      process.off("exit", end);
      sentry.stdin.end("done\n");
    },
    outlive: (pids) => {
      outlived = pids;
      if (sentry.stdin.writable) sentry.stdin.write(`${pids.join(" ")}\n`);
    },
  };
}

/**
 * A process that has ended and that nobody has asked after (Z) is gone, although it can still be sent signals. A stopped one
 * (SIGSTOP) ends when it goes on.
 */
const guardScript = `
while read -r line; do
  [ "$line" = done ] && exit 0
  pids=$line
done
rounds=${natsOutlivesMs / 100}
while [ $rounds -gt 0 ]; do
  living=
  for pid in $pids; do
    case $(cat "/proc/$pid/stat" 2>/dev/null) in *") Z "*) continue ;; esac
    kill -0 "$pid" 2>/dev/null && living=yes
  done
  [ -z "$living" ] && break
  rounds=$((rounds - 1))
  sleep 0.1
done
kill -TERM "$0"
kill -CONT "$0"`;
