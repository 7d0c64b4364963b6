/**
 * Seeds on several processes. What always holds: each worker has one seed at a time, and ends when there are no more, or when
 * this process is gone. They are in groups of their own, so that an interrupt at the keyboard ends no seed halfway.
 */
import { fork } from "node:child_process";
import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";
import type { SeedResult, WorkerTask } from "./worker.ts";

/** Hands out seeds to workers until `next` has no more; every result goes to `onResult`. */
export async function onWorkers(
  workers: number | undefined,
  next: () => WorkerTask | null,
  onResult: (task: WorkerTask, result: SeedResult) => void,
): Promise<void> {
  const count = workers ?? availableParallelism();
  const one = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const worker = fork(fileURLToPath(new URL("./worker.js", import.meta.url)), { detached: true });
      let task: WorkerTask | null = null;
      const give = () => {
        task = next();
        if (task === null) worker.disconnect();
        else worker.send(task);
      };
      worker.on("message", (result: SeedResult) => {
        if (task !== null) onResult(task, result);
        give();
      });
      worker.on("error", reject);
      worker.on("exit", (code) => (code === 0 ? resolve() : reject(new Error(`a worker ended with status ${code}`))));
      give();
    });
  await Promise.all(Array.from({ length: count }, one));
}
