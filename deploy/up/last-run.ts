/**
 * What an earlier `up` may have left that was killed: its servers and its nats-server stop by themselves, and are waited for.
 * Nothing is killed here: a process id may belong to another program by now.
 */
import { readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { natsOutlivesMs } from "../nats/process.ts";
import { isTaken } from "../ports.ts";
import { type RunningFile, UpError } from "./folder.ts";

const everyMs = 50;
/** Servers stop within their own limit, nats-server after them. */
export const lastRunEndsMs = natsOutlivesMs + 5_000;

/** One that has ended and that nobody has asked after (a zombie) does not live, although it can still be sent signals. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EPERM") return false;
  }
  try {
    return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return process.platform !== "linux";
  }
}

/** Waits until none of the last run's processes lives, or the ports are free although one does (then it is another program). */
export async function untilLastRunEnded(
  running: RunningFile | undefined,
  ports: readonly number[],
  tell: (line: string) => void,
  stopped: AbortSignal,
): Promise<void> {
  const pids = Object.entries({ ...running?.servers, "nats-server": running?.nats ?? null });
  const living = (): string[] =>
    pids.flatMap(([name, pid]) => (pid !== null && isAlive(pid) ? [`${name} (process ${pid})`] : []));
  const sinceMs = performance.now();
  let told = false;
  while (living().length > 0 && !stopped.aborted) {
    const taken = await Promise.all(ports.map(isTaken));
    if (!taken.includes(true)) return;
    if (!told) tell(`waiting for the last run to end: ${living().join(", ")}`);
    told = true;
    if (performance.now() - sinceMs > lastRunEndsMs)
      throw new UpError(`the last run has not ended: ${living().join(", ")}; stop that first`);
    await delay(everyMs, undefined, { signal: stopped }).catch(() => undefined);
  }
}

/** Throws UpError for the first port that is taken. */
export async function refuseTakenPorts(
  ports: readonly { port: number; whose: string; option: string }[],
): Promise<void> {
  for (const { port, whose, option } of ports)
    if (await isTaken(port))
      throw new UpError(
        `port ${port} is taken, and ${whose} needs it: stop the program that listens there, or choose another with ${option}`,
      );
}
