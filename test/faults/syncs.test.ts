/** Disks whose syncs fail or take long, and wall clocks that jump: by a library before the C library (faulty-libc.ts). */
import { setTimeout as delay } from "node:timers/promises";
import test, { type ExecutionContext } from "ava";
import { type Pair, type PairOptions, startPair } from "../helpers/pair/pair.ts";
import { until } from "../helpers/until.ts";
import { FaultyLibc } from "./faulty-libc.ts";
import { inFull, notRun } from "./full.ts";
import { Proof } from "./proof.ts";

const full = inFull(test);
const withinMs = 30_000;
const daySeconds = 86_400;

async function withFaultyLibc(
  t: ExecutionContext,
  options: PairOptions,
  run: (pair: Pair, libc: FaultyLibc) => Promise<void>,
): Promise<void> {
  const libc = await FaultyLibc.build(t);
  if (typeof libc === "string") notRun(t, libc);
  else await run(await startPair(t, { ...options, environment: libc.environment }), libc);
}

const directoryOf = (pair: Pair, server: string) => pair.settings.get(server)?.dataDirectory ?? "";

async function failingSync(t: ExecutionContext, who: "primary" | "backup"): Promise<void> {
  await withFaultyLibc(t, { restartMs: 300 }, async (pair, libc) => {
    const proof = await Proof.begin(t, pair);
    const names = await pair.normal();
    const name = names[who];
    const other = name === names.primary ? names.backup : names.primary;
    await proof.gap(`the ${who}'s syncs fail`, async () => {
      libc.failSyncs(directoryOf(pair, name));
      await until(() => pair.server(name).ends.length > 0, { withinMs, waitedFor: `${name} to stop` });
    });
    t.true(
      pair.server(name).lines.some((line) => /the disk failed/.test(line)),
      "it says why",
    );
    await pair.waitFor(other, ({ role, application }) => role === "primary" && application === "hot");
    await proof.answers(50, "answers while the disk is bad");
    libc.off();
    await proof.prove();
  });
}

test.serial("syncs of the primary fail: it stops with a clear message, the backup takes over, nothing is lost", (t) =>
  failingSync(t, "primary"),
);
full("syncs of the backup fail: it stops with a clear message, the primary goes on", (t) => failingSync(t, "backup"));

full(
  "syncs of the one that is alone fail: it acknowledges nothing more, and nothing acknowledged is lost",
  async (t) => {
    await withFaultyLibc(t, { restartMs: 300 }, async (pair, libc) => {
      const proof = await Proof.begin(t, pair);
      const { primary, backup } = await pair.normal();
      await pair.server(backup).stop();
      await pair.waitFor(primary, ({ state }) => state === "hot.alone");
      await proof.answers(50, "answers of the one that is alone");
      await proof.gap("syncs of the one that is alone fail", async () => {
        libc.failSyncs(directoryOf(pair, primary));
        await until(() => pair.server(primary).ends.length > 0, { withinMs, waitedFor: `${primary} to stop` });
        libc.off();
      });
      pair.server(backup).start();
      await proof.prove();
    });
  },
);

full("syncs of the backup take 400 ms, then those of the primary: slower, and right", async (t) => {
  await withFaultyLibc(t, { pace: "nervous", restartMs: 300 }, async (pair, libc) => {
    const proof = await Proof.begin(t, pair);
    const names = await pair.normal();
    for (const who of ["backup", "primary"] as const) {
      await proof.gap(`slow syncs of the ${who}`, async () => {
        libc.slowSyncs(directoryOf(pair, names[who]), 400);
        await delay(2_000);
      });
      libc.off();
    }
    await proof.prove();
  });
});

full("the wall clock of either jumps by a day, either way", async (t) => {
  // Replies are remembered for longer than the clocks jump: what is forgotten leaves the disks that the proof is read from.
  await withFaultyLibc(t, { restartMs: 300, limits: { rememberMs: 10 * 1_000 * daySeconds } }, async (pair, libc) => {
    const proof = await Proof.begin(t, pair);
    const before = await pair.normal();
    const { epoch } = await pair.registryRecord();
    const skew = async (name: string) => ((await pair.nextStatus(name)).atMs - Date.now()) / 1_000;
    const jumps = [
      { name: before.backup, seconds: -daySeconds, serves: true },
      { name: before.backup, seconds: daySeconds, serves: true },
      { name: before.primary, seconds: -300, serves: true },
      { name: before.primary, seconds: 300, serves: true },
      // A day behind, every client's stamp lies far in its future: requests are refused, none is lost or done twice.
      { name: before.primary, seconds: -daySeconds, serves: false },
      { name: before.primary, seconds: daySeconds, serves: false },
    ];
    for (const { name, seconds, serves } of jumps) {
      libc.jump(`${name}.json`, seconds);
      await until(async () => Math.abs((await skew(name)) - seconds) < 60, { withinMs, waitedFor: "the jump" });
      if (serves) await proof.answers(30, `answers while ${name}'s wall clock is wrong by ${seconds} s`);
      else await delay(500);
      libc.off();
      await until(async () => Math.abs(await skew(name)) < 60, { withinMs, waitedFor: "the jump back" });
      await proof.answers(30, "answers with the right clock again");
    }
    t.deepEqual(await pair.normal(), before);
    t.is((await pair.registryRecord()).epoch, epoch, "nobody's role changed");
    // And a takeover between clocks that are not the same.
    libc.jump(`${before.backup}.json`, -300);
    await proof.gap("kill -9 of the primary, the backup's clock five minutes behind", () =>
      pair.server(before.primary).kill(),
    );
    await proof.answers(50);
    libc.off();
    await proof.prove();
  });
});
