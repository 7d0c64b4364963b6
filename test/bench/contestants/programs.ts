/** Programs that contestants are made of: found on the PATH, started, and ended with whoever started them. */
import { type ChildProcess, execFile, fork, spawn } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { freePort } from "../../helpers/free-port.ts";
import type { Arena } from "./contestant.ts";

export const run = promisify(execFile);
const startWithinMs = 30_000;
const lastWordsLength = 2_000;

/** Whether a program answers to `--version`; the reason if not. */
export async function missingProgram(...names: readonly string[]): Promise<string | null> {
  for (const name of names) {
    const found = await run(name, ["--version"]).catch(() => null);
    if (found === null) return `${name} is not installed`;
  }
  return null;
}

export interface Started {
  readonly child: ChildProcess;
  stop(signal?: NodeJS.Signals): Promise<void>;
}

/** They end with this process, however it ends. */
const running = new Set<ChildProcess>();
process.once("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

/** Its last words are told where nobody asked it to end. */
function ending(child: ChildProcess, name: string): Started {
  running.add(child);
  let isWanted = true;
  let words = "";
  child.stderr?.on("data", (data: Buffer) => {
    words = `${words}${data.toString()}`.slice(-lastWordsLength);
  });
  const ended = new Promise<void>((resolve) => {
    child.once("exit", (code, signal) => {
      running.delete(child);
      if (isWanted) process.stderr.write(`${name} ended with ${code ?? signal}: ${words}\n`);
      resolve();
    });
    child.once("error", () => resolve());
  });
  return {
    child,
    stop: async (signal = "SIGTERM") => {
      isWanted = false;
      child.kill(signal);
      await ended;
    },
  };
}

export function start(program: string, args: readonly string[], user?: { uid: number; gid: number }): Started {
  return ending(spawn(program, [...args], { stdio: ["ignore", "ignore", "pipe"], ...user }), program);
}

/** Waits until something listens there. */
export async function listens(port: number): Promise<void> {
  const untilMs = performance.now() + startWithinMs;
  while (performance.now() < untilMs) {
    const isThere = await new Promise<boolean>((resolve) => {
      const socket = connect(port, "127.0.0.1", () => {
        socket.destroy();
        resolve(true);
      });
      socket.once("error", () => resolve(false));
    });
    if (isThere) return;
    await wait(50);
  }
  throw new Error(`nobody listens on port ${port} after ${startWithinMs} ms`);
}

/** Settings of a server of the exchange, as a file. */
export async function settingsFile(
  arena: Arena,
  service: string,
  server: string,
  servers: readonly { name: string; port: number }[],
): Promise<string> {
  const file = join(arena.folder, `${service}-${server}.json`);
  const settings = {
    service,
    server,
    servers,
    dataDirectory: join(arena.folder, `${service}-${server}`),
    nats: { servers: [arena.natsUrl] },
    publishResults: arena.publishesResults,
  };
  await writeFile(file, JSON.stringify(settings));
  return file;
}

/** A responder by hand, with the store that keeps its replies, if any. */
export async function startResponder(
  arena: Arena,
  service: string,
  keeper?: { readonly name: string; readonly url: string },
): Promise<Started> {
  const config = await settingsFile(arena, service, "alpha", [{ name: "alpha", port: await freePort() }]);
  const program = fileURLToPath(new URL("../responder.js", import.meta.url));
  const child = fork(program, [config, ...(keeper === undefined ? [] : [keeper.name, keeper.url])], {
    stdio: ["ignore", "ignore", "pipe", "ipc"],
  });
  await new Promise<void>((resolve, reject) => {
    child.once("message", () => resolve());
    child.once("exit", (code) => reject(new Error(`the responder of ${service} ended with ${code}`)));
  });
  return ending(child, `the responder of ${service}`);
}

/** The one at the end first. */
export async function stopAll(started: readonly Started[], signal?: NodeJS.Signals): Promise<void> {
  for (const one of started.toReversed()) await one.stop(signal);
}
