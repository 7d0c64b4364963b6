/** Lines between servers, and between servers and NATS, that are cut, mute one way, flapping and slow, under load. */
import { setTimeout as delay } from "node:timers/promises";
import test from "ava";
import { until } from "../helpers/until.ts";
import { inFull, ofSilence, suspicionMs } from "./full.ts";
import { startLinedPair } from "./lines.ts";
import { Proof } from "./proof.ts";

const full = inFull(test);

test.serial("the main link is cut and mended: the mirror goes by NATS and comes back", async (t) => {
  const { pair } = await startLinedPair(t);
  const proof = await Proof.begin(t, pair);
  const { primary } = await pair.normal();
  const { epoch } = await pair.newStatus(primary);
  await proof.gap("main link cut", () => pair.mainLink.cut());
  await proof.answers(200);
  await proof.gap("main link mended", () => pair.mainLink.listen());
  const status = await pair.waitFor(primary, ({ links }) => links.main === "up");
  t.like(status, { role: "primary", mode: "normal", epoch }, "nobody was removed");
  await proof.prove();
});

full("the backup alone loses NATS, and finds it again", async (t) => {
  const { pair, line } = await startLinedPair(t, ofSilence);
  const proof = await Proof.begin(t, pair);
  const { backup } = await pair.normal();
  await proof.gap("backup without NATS", () => line(backup).cut());
  await delay(3 * suspicionMs);
  await proof.answers(50);
  await proof.gap("backup with NATS again", () => line(backup).listen());
  await proof.prove();
});

full("the primary alone loses NATS: it hands its role over through the main link", async (t) => {
  const { pair, line } = await startLinedPair(t, ofSilence);
  const proof = await Proof.begin(t, pair);
  const { primary, backup } = await pair.normal();
  await proof.gap("primary without NATS", () => line(primary).cut());
  await pair.waitFor(backup, ({ role, application }) => role === "primary" && application === "hot");
  await proof.answers(50);
  await line(primary).listen();
  await proof.prove();
});

full("both links of the backup are cut: the primary goes on alone, and takes it back", async (t) => {
  const { pair, line } = await startLinedPair(t, ofSilence);
  const proof = await Proof.begin(t, pair);
  const { primary, backup } = await pair.normal();
  await proof.gap("backup cut off", () => Promise.all([pair.mainLink.cut(), line(backup).cut()]));
  await pair.waitFor(primary, ({ state }) => state === "hot.alone");
  await proof.answers(50);
  await Promise.all([pair.mainLink.listen(), line(backup).listen()]);
  await proof.prove();
});

full(
  "both links of the primary are cut: the backup takes over, the old primary says nothing, and follows",
  async (t) => {
    const { pair, line } = await startLinedPair(t, ofSilence);
    const proof = await Proof.begin(t, pair);
    const { primary, backup } = await pair.normal();
    await proof.gap("primary cut off", () => Promise.all([pair.mainLink.cut(), line(primary).cut()]));
    await pair.waitFor(backup, ({ role, application }) => role === "primary" && application === "hot");
    await proof.answers(50);
    await Promise.all([pair.mainLink.listen(), line(primary).listen()]);
    await proof.prove();
  },
);

for (const way of ["forth", "back", "both"] as const)
  full(`the main link is open and mute (${way})`, async (t) => {
    const { pair } = await startLinedPair(t, ofSilence);
    const proof = await Proof.begin(t, pair);
    await proof.gap(`main link mute ${way}`, () => pair.mainLink.freeze(way));
    const isMissed = () => pair.statuses().some(({ links }) => links.main === "down");
    await until(isMissed, { withinMs: 20_000, waitedFor: "either to miss the main link" });
    await delay(4 * suspicionMs);
    await proof.answers(50, "answers by NATS");
    pair.mainLink.thaw();
    await proof.prove();
  });

for (const who of ["primary", "backup"] as const)
  for (const way of ["forth", "back"] as const)
    full(`the line of the ${who} to NATS is open and mute (${way}), the main link lives`, async (t) => {
      const { pair, line } = await startLinedPair(t, ofSilence);
      const proof = await Proof.begin(t, pair);
      const names = await pair.normal();
      await proof.gap(`the ${who}'s NATS mute ${way}`, () => line(names[who]).freeze(way));
      // The primary hands over. A backup that is mute is missed on the failsafe link; one that hears nothing misses the primary.
      if (who === "primary")
        await pair.waitFor(names.backup, ({ role, application }) => role === "primary" && application === "hot");
      else await pair.waitFor(way === "forth" ? names.primary : names.backup, ({ links }) => links.failsafe === "down");
      await delay(4 * suspicionMs);
      await proof.answers(50, "answers of whoever clients reach");
      line(names[who]).thaw();
      await proof.prove();
    });

for (const way of ["forth", "back"] as const)
  full(`main link and the backup's line to NATS are mute, one way only (${way})`, async (t) => {
    const { pair, line } = await startLinedPair(t, ofSilence);
    const proof = await Proof.begin(t, pair);
    const { backup } = await pair.normal();
    await proof.gap(`both mute ${way}`, () => {
      pair.mainLink.freeze(way);
      line(backup).freeze(way);
    });
    await delay(4 * suspicionMs);
    await proof.answers(50);
    pair.mainLink.thaw();
    line(backup).thaw();
    await proof.prove();
  });

full("both links are mute: NATS of the backup and the main link carry nothing, and nobody says so", async (t) => {
  const { pair, line } = await startLinedPair(t, ofSilence);
  const proof = await Proof.begin(t, pair);
  const { primary, backup } = await pair.normal();
  await proof.gap("backup mute", () => {
    pair.mainLink.freeze();
    line(backup).freeze();
  });
  await pair.waitFor(primary, ({ state }) => state === "hot.alone");
  await proof.answers(50);
  pair.mainLink.thaw();
  line(backup).thaw();
  await proof.prove();
});

full("the main link flaps: no storm of mode changes, nothing lost", async (t) => {
  const { pair } = await startLinedPair(t, ofSilence);
  const proof = await Proof.begin(t, pair);
  const { epoch } = await pair.registryRecord();
  await proof.gap("main link flapping", async () => {
    for (let round = 0; round < 20; round += 1) {
      await pair.mainLink.cut();
      await delay(10 + 5 * round);
      await pair.mainLink.listen();
      await delay(60);
    }
  });
  const after = await pair.registryRecord();
  t.true(after.epoch - epoch <= 4, `20 flaps, ${after.epoch - epoch} epochs`);
  await proof.prove();
});

full("the failsafe link flaps: the backup's line to NATS comes and goes, the main link lives", async (t) => {
  const { pair, line } = await startLinedPair(t, ofSilence);
  const proof = await Proof.begin(t, pair);
  const { backup } = await pair.normal();
  await proof.gap("failsafe flapping", async () => {
    for (let round = 0; round < 10; round += 1) {
      await line(backup).cut();
      await delay(20 * round);
      await line(backup).listen();
      await delay(100);
    }
  });
  await proof.prove();
});

for (const who of ["backup", "primary"] as const)
  full(`both lines of the ${who} flap together`, async (t) => {
    const { pair, line } = await startLinedPair(t, ofSilence);
    const proof = await Proof.begin(t, pair);
    const name = (await pair.normal())[who];
    const { epoch } = await pair.registryRecord();
    const rounds = 6;
    await proof.gap("both lines flapping", async () => {
      for (let round = 0; round < rounds; round += 1) {
        await Promise.all([pair.mainLink.cut(), line(name).cut()]);
        await delay(suspicionMs * (0.2 + 0.3 * round));
        await Promise.all([pair.mainLink.listen(), line(name).listen()]);
        await delay(150);
      }
    });
    await proof.prove();
    const wins = pair.events.filter(({ event }) => event.startsWith("cas.won")).length;
    t.log(`${rounds} flaps, ${wins} compare-and-sets, epoch ${epoch} before`);
  });

full("every line between the servers, and to NATS, takes 20 ms each way", async (t) => {
  const { pair } = await startLinedPair(t, { delayMs: 20, restartMs: 300 });
  const proof = await Proof.begin(t, pair);
  const { primary } = await pair.normal();
  await proof.gap("kill -9 of the primary on slow lines", () => pair.server(primary).kill());
  await pair.normal();
  await proof.gap("main link cut on slow lines", () => pair.mainLink.cut());
  await pair.mainLink.listen();
  await proof.prove();
});
