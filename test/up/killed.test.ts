/**
 * `twinlog up` as a process that is killed: nothing of it stays, its servers stop cleanly, and the next start works at once.
 */
import { type ChildProcessByStdio, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import test, { type ExecutionContext } from "ava";
import { isAlive } from "../../deploy/up/last-run.ts";
import type { UpOptions } from "../../deploy/up.ts";
import { natsBinary } from "../helpers/nats.ts";
import { until } from "../helpers/until.ts";
import { RunningUp, setBehaviour, storyOf, upOptions, withinMs } from "./harness.ts";

const runUp = fileURLToPath(new URL("run-up.js", import.meta.url));

interface Started {
  readonly child: ChildProcessByStdio<null, Readable, Readable>;
  readonly options: UpOptions;
  readonly exited: Promise<number | null>;
  printed(): string;
  pids(): { nats: number; alpha: number; beta: number };
}

async function start(t: ExecutionContext, options: UpOptions): Promise<Started> {
  const child = spawn(process.execPath, [runUp, JSON.stringify(options)], {
    env: { ...process.env, TWINLOG_NATS_SERVER: await natsBinary() },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const exited = new Promise<number | null>((resolve) => child.on("exit", (code) => resolve(code)));
  t.teardown(async () => {
    child.kill("SIGKILL");
    await exited;
  });
  let printed = "";
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding("utf8").on("data", (text: string) => {
      printed += text;
    });
  await until(() => printed.includes("Ctrl-C stops everything"), { withinMs, waitedFor: "the screen" });
  const pids = () => {
    const { nats, servers } = JSON.parse(readFileSync(join(options.data, "running.json"), "utf8"));
    return { nats, alpha: servers.alpha, beta: servers.beta };
  };
  return { child, options, exited, pids, printed: () => printed };
}

test("killed with -9, its servers stop cleanly while NATS still serves them, then NATS ends, and the next start works", async (t) => {
  const options = await upOptions(t);
  const killed = await start(t, options);
  const pids = killed.pids();
  killed.child.kill("SIGKILL");
  await killed.exited;

  const next = new RunningUp(options, await natsBinary());
  t.teardown(() => next.stop());
  await next.untilNormal();
  for (const name of ["alpha", "beta"]) t.true(storyOf(options.data, name).includes("stopped by its parent's end"));
  for (const pid of Object.values(pids)) t.false(isAlive(pid));
  t.is(await next.stop(), 0);
});

test("the first Ctrl-C waits for a server that does not stop, the second says what a third costs, the third ends everything at once", async (t) => {
  const options = await upOptions(t);
  const up = await start(t, options);
  setBehaviour(options.data, "beta", "deaf");
  const before = up.pids();
  process.kill(before.beta, "SIGKILL");
  await until(() => storyOf(options.data, "beta").length === 2, { withinMs });
  const { alpha, beta, nats } = up.pids();
  up.child.kill("SIGINT");
  await until(() => !isAlive(alpha), { withinMs, waitedFor: "alpha to stop" });
  t.true(isAlive(beta));
  t.is(up.child.exitCode, null);
  // Those that come too close to the one before do not count.
  const signalUntil = async (isDone: () => boolean, waitedFor: string) => {
    const again = () => {
      up.child.kill("SIGINT");
      return isDone();
    };
    await until(again, { withinMs, waitedFor });
  };
  await signalUntil(() => /once more ends it at once/.test(up.printed()), "the warning");
  t.true(isAlive(beta));
  await signalUntil(() => up.child.exitCode !== null, "the end");
  t.is(await up.exited, 130);
  await until(() => !isAlive(beta) && !isAlive(nats), { withinMs, waitedFor: "everybody's end" });
});

test("nobody reads what it prints any more: it goes on; and when the terminal hangs up it stops everything cleanly", async (t) => {
  const up = await start(t, await upOptions(t));
  const before = up.pids();
  for (const stream of [up.child.stdout, up.child.stderr]) stream.destroy();
  process.kill(before.alpha, "SIGKILL");
  await until(() => storyOf(up.options.data, "alpha").length === 2, { withinMs, waitedFor: "alpha again" });
  up.child.kill("SIGHUP");
  t.is(await up.exited, 0);
  for (const name of ["alpha", "beta"]) t.is(storyOf(up.options.data, name).at(-1), "stopped by SIGTERM");
  t.false(isAlive(before.nats));
});
