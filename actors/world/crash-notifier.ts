/**
 * The crash notifier of a server's death: a small process beside it that does nothing but look whether it still has memory, and
 * tells the other servers the moment it has none.
 *
 * Why: when a process is killed, the kernel first frees its memory and only then closes its connections. With a large heap that
 * takes tens of milliseconds, in which nobody else could know. Linux shows the loss of the memory at once, in /proc.
 * What always holds: nothing depends on it. A crash notifier that is missing, late or wrong costs time, never safety: what it says
 * counts as a closed connection (rule 9), and who goes on is decided by the registry alone.
 */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import type { Socket } from "node:net";
import { join, resolve } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { lastWordsFile } from "../../schemas/death.ts";
import type { Settings } from "../../schemas/settings.ts";
import type { NatsAccess } from "./log-in-nats.ts";
import type { Log } from "./ports.ts";

/** What the crash notifier is told, as one line of JSON on its standard input: credentials do not belong on a command line. */
export interface Watch {
  readonly pid: number;
  readonly processId: string;
  readonly service: string;
  readonly server: string;
  /** Where a watchdog leaves its last words. */
  readonly lastWordsFile: string;
  /** Whom to tell. */
  readonly peers: readonly string[];
  readonly nats: NatsAccess;
  /** With the key that the notice is signed with. */
  readonly keyFile?: string | undefined;
}

export interface CrashNotifierOptions {
  readonly settings: Settings;
  readonly processId: string;
  readonly log: Log;
  /** Instead of this program's own interpreter. */
  readonly command?: string;
  /** A crash notifier looks, and can tell. */
  readonly onWatching?: (pid: number) => void;
}

const program = fileURLToPath(new URL("./crash-notifier-process.js", import.meta.url));
/** From the death of a crash notifier to the next one; it doubles while none comes to watch, up to the limit. */
export const nextNotifierMs = 2_000;
const maxNextNotifierMs = 60_000;

/** The file that shows whether a process still has memory; it exists on Linux only. */
export const memoryFileOf = (pid: number | "self"): string => `/proc/${pid}/statm`;

/** Starts a crash notifier of this very process, and another one whenever it dies or cannot be started. Without /proc there is none. */
export function startCrashNotifier({
  settings,
  processId,
  log,
  onWatching,
  command = process.execPath,
}: CrashNotifierOptions): void {
  const { service, server, servers, nats, dataDirectory } = settings;
  const { keyFile } = settings.peers;
  const peers = servers.map(({ name }) => name).filter((name) => name !== server);
  if (peers.length === 0 || !existsSync(memoryFileOf("self"))) return;
  let nextMs = nextNotifierMs;
  const start = () => {
    let isOver = false;
    const end = (reason: string) => {
      if (isOver) return;
      isOver = true;
      log.warn(
        { reason, nextMs },
        "the crash notifier is gone; without it the others learn later of a death of this server",
      );
      // No reason to stay for a server that ends, whatever became of its crash notifier.
      setTimeout(start, nextMs).unref();
      nextMs = Math.min(2 * nextMs, maxNextNotifierMs);
    };
    try {
      const words = join(resolve(dataDirectory), lastWordsFile);
      const { pid } = process;
      const watch: Watch = { pid, processId, service, server, lastWordsFile: words, peers, nats, keyFile };
      // It leads a group of its own: Ctrl-C is not meant for it.
      const child = spawn(command, [program], { stdio: ["pipe", "pipe", "ignore"], detached: true });
      child.on("error", (error) => end(error.message));
      child.on("exit", (code, signal) => end(signal ?? `status ${code}`));
      child.unref();
      // Where it could not be started for want of descriptors it has no pipes either.
      child.stdin?.on("error", () => undefined);
      child.stdin?.end(`${JSON.stringify(watch)}\n`);
      child.stdout?.once("data", () => {
        nextMs = nextNotifierMs;
        log.debug({ pid: child.pid }, "the crash notifier watches");
        if (child.pid !== undefined) onWatching?.(child.pid);
      });
      (child.stdout as Socket | null)?.unref();
    } catch (error) {
      end((error as Error).message);
    }
  };
  start();
}
