/** Servers that are killed (SIGKILL), stopped and switched under load: either, both, three in a chain, back at once and later. */
import { setTimeout as delay } from "node:timers/promises";
import test from "ava";
import { startPair } from "../helpers/pair/pair.ts";
import { until } from "../helpers/until.ts";
import { inFull } from "./full.ts";
import { Proof } from "./proof.ts";

const full = inFull(test);

test.serial("the primary is killed, and comes back after the takeover", async (t) => {
  const pair = await startPair(t, { restartMs: 500 });
  const proof = await Proof.begin(t, pair);
  const { primary, backup } = await pair.normal();
  await proof.gap("kill -9 of the primary", () => pair.server(primary).kill());
  t.deepEqual(await pair.normal(), { primary: backup, backup: primary });
  await proof.prove();
});

full("the primary is killed again and again, and is back within the time of suspicion", async (t) => {
  const pair = await startPair(t, { restartMs: 1, limits: { suspicionMs: 20_000 } });
  const proof = await Proof.begin(t, pair);
  for (let round = 0; round < 4; round += 1) {
    const { primary } = await pair.normal();
    await proof.gap("kill -9 of the primary, back at once", () => pair.server(primary).kill());
  }
  await proof.prove();
});

full("the backup is killed, back at once and later", async (t) => {
  for (const restartMs of [1, 700]) {
    const pair = await startPair(t, { restartMs, limits: { suspicionMs: 2_000 } });
    const proof = await Proof.begin(t, pair);
    for (let round = 0; round < 2; round += 1) {
      const { backup } = await pair.normal();
      await proof.gap(`kill -9 of the backup, back after ${restartMs} ms`, () => pair.server(backup).kill());
    }
    await proof.prove();
    await pair.close();
  }
});

full("chains: the one that took over is killed as soon as it serves, before the other is back in sync", async (t) => {
  const pair = await startPair(t, { restartMs: 300 });
  const proof = await Proof.begin(t, pair);
  for (let round = 0; round < 3; round += 1) {
    const { primary, backup } = await pair.normal();
    await pair.server(primary).kill();
    await pair.waitFor(backup, ({ role, application }) => role === "primary" && application === "hot");
    await proof.gap("kill -9 of the one that is alone", () => pair.server(backup).kill());
  }
  await proof.prove();
});

for (const [first, wait, restartMs] of [
  ["primary", 0, 300],
  ["backup", 0, 300],
  ["primary", 40, 300],
  ["backup", 40, 300],
  ["primary", 40, 1],
  ["backup", 40, 1],
] as const)
  full(
    `both are killed, the ${first} first, the other ${wait} ms later, each back after ${restartMs} ms`,
    async (t) => {
      const pair = await startPair(t, { restartMs });
      const proof = await Proof.begin(t, pair);
      const { primary, backup } = await pair.normal();
      const [one, other] = first === "primary" ? [primary, backup] : [backup, primary];
      await proof.gap("kill -9 of both", async () => {
        const gone = pair.server(one).kill();
        await delay(wait);
        await Promise.all([gone, pair.server(other).kill()]);
      });
      // Honest about what memory mode may lose: then, and only then, a new history says so.
      const report = await proof.prove({ mayBeginHistory: true });
      t.log(`histories: ${report.histories}`);
    },
  );

for (const order of ["primary first", "backup first", "both at once"] as const)
  full(`both stop cleanly, ${order}, and lose nothing`, async (t) => {
    const pair = await startPair(t);
    const proof = await Proof.begin(t, pair);
    const { primary, backup } = await pair.normal();
    const stop = (name: string) => pair.server(name).stop();
    await proof.gap(`clean stop, ${order}`, async () => {
      const names = order === "backup first" ? [backup, primary] : [primary, backup];
      const ends =
        order === "both at once"
          ? await Promise.all(names.map(stop))
          : [await stop(names[0] ?? ""), await stop(names[1] ?? "")];
      for (const { code } of ends) t.is(code, 0);
      t.is((await pair.registryRecord()).durability, "disk");
      for (const name of names) pair.server(name).start();
    });
    await proof.prove();
  });

full("roles are switched under load, again and again, and nobody is ever alone", async (t) => {
  const pair = await startPair(t);
  const proof = await Proof.begin(t, pair);
  for (let round = 0; round < 6; round += 1) {
    const { primary, backup } = await pair.normal();
    await proof.gap("planned switch", async () => {
      t.true((await pair.control(primary, "switch")).ok);
      await pair.waitFor(backup, ({ role, application }) => role === "primary" && application === "hot");
    });
  }
  t.deepEqual(
    pair.events.filter(({ event }) => event.endsWith(".lost.alone")),
    [],
  );
  await proof.prove();
});

full("three servers, chained failures: each primary is killed as soon as it serves", async (t) => {
  const pair = await startPair(t, { servers: ["alpha", "beta", "gamma"], restartMs: 300 });
  const proof = await Proof.begin(t, pair);
  for (let round = 0; round < 2; round += 1) {
    await pair.normal();
    const dead: string[] = [];
    for (let failure = 0; failure < 2; failure += 1) {
      const hot = await until(() => pair.hot(), { withinMs: 30_000, waitedFor: "a hot server" });
      dead.push(hot.name);
      await proof.gap(`kill -9 of ${hot.name}`, () => pair.server(hot.name).kill());
    }
    t.log(`killed one after the other: ${dead.join(", ")}`);
  }
  await proof.prove();
});
