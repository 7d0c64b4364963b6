/** The ground on which a bench is held: a nats-server and a folder, both gone when it is over. */
import { rmSync } from "node:fs";
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startNatsServer } from "../../deploy/nats/process.ts";
import { bringNatsServer } from "../../deploy/nats-server.ts";
import type { Arena, Contestant } from "./contestants/contestant.ts";
import type { Taking } from "./rounds.ts";

/** Passers-by may go through it: a store that runs as a user of its own has its folder in there. */
const folderMode = 0o755;

export async function inArena<T>(publishesResults: boolean, work: (arena: Arena) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), "twinlog-bench-"));
  await chmod(folder, folderMode);
  // Where it is ended by a signal, too.
  process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
  const binary = await bringNatsServer({ dataFolder: ".twinlog" });
  const nats = await startNatsServer({ binary: binary.path, storeDir: join(folder, "nats") });
  try {
    return await work({
      natsUrl: nats.url,
      natsPid: nats.pid,
      natsBinary: binary.path,
      folder,
      publishesResults,
    });
  } finally {
    await nats.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

/** Starts all that this machine has; whoever is missing is told, with the reason. */
export async function withContestants<T>(
  arena: Arena,
  contestants: readonly Contestant[],
  tell: (line: string) => void,
  work: (taking: readonly Taking[]) => Promise<T>,
): Promise<T> {
  const taking: Taking[] = [];
  try {
    for (const contestant of contestants) {
      const missing = await contestant.missing();
      if (missing === null) taking.push({ contestant, running: await contestant.start(arena) });
      else tell(`${contestant.name} was not measured: ${missing}`);
    }
    return await work(taking);
  } finally {
    for (const { running } of taking.toReversed()) await running.stop();
  }
}
