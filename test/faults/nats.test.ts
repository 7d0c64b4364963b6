/** NATS itself: killed, away, its store rolled back, the registry deleted, a cluster split between the servers. */
import { cp, rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import test from "ava";
import { Limits } from "../../schemas/settings.ts";
import { type Pair, startPair } from "../helpers/pair/pair.ts";
import { until } from "../helpers/until.ts";
import { inFull } from "./full.ts";
import { startSplitPair, withoutQuorum } from "./nats-cluster.ts";
import { Proof } from "./proof.ts";

const full = inFull(test);

/** What both servers said before nats-server went away does not count. */
async function normalAgain(pair: Pair): Promise<{ primary: string; backup: string }> {
  for (const name of pair.servers.keys()) await pair.newStatus(name);
  return await pair.normal();
}
const withinMs = 20_000;

test.serial(
  "nats-server is killed and started again: nobody promotes, nobody loses, the same primary goes on",
  async (t) => {
    const pair = await startPair(t);
    const proof = await Proof.begin(t, pair);
    const before = await pair.normal();
    const { epoch } = await pair.registryRecord();
    await proof.gap("kill -9 of nats-server", async () => {
      pair.nats.signal("SIGKILL");
      await pair.nats.restart();
    });
    t.deepEqual(await normalAgain(pair), before);
    t.is((await pair.registryRecord()).epoch, epoch);
    await proof.prove();
  },
);

full("nats-server is away for longer than anybody's patience, again and again", async (t) => {
  const pair = await startPair(t, { pace: "nervous" });
  const proof = await Proof.begin(t, pair);
  await pair.normal();
  for (const awayMs of [400, 1_500])
    await proof.gap(`nats-server away for ${awayMs} ms`, async () => {
      await pair.nats.stop();
      await delay(awayMs);
      await pair.nats.restart();
    });
  // Whoever is back 300 ms before the other, on a busy machine, may have been handed the role (rule 9).
  await normalAgain(pair);
  await proof.prove();
});

full("nats-server is stopped (SIGSTOP) and goes on", async (t) => {
  const pair = await startPair(t, { pace: "nervous" });
  const proof = await Proof.begin(t, pair);
  await proof.gap("SIGSTOP of nats-server", async () => {
    pair.nats.signal("SIGSTOP");
    await delay(1_500);
    pair.nats.signal("SIGCONT");
  });
  await proof.prove();
});

full("the primary is killed while nats-server is away: nobody takes over before it is back", async (t) => {
  const pair = await startPair(t, { pace: "nervous", restartMs: 200 });
  const proof = await Proof.begin(t, pair);
  const { primary } = await pair.normal();
  await proof.gap("nats-server away, kill -9 of the primary", async () => {
    await pair.nats.stop();
    await pair.server(primary).kill();
    await delay(800);
    await pair.nats.restart();
  });
  await proof.prove();
});

full("the registry goes back by an epoch: mode changes freeze, the running mode goes on", async (t) => {
  const pair = await startPair(t);
  const proof = await Proof.begin(t, pair);
  const { primary, backup } = await pair.normal();
  const store = join(pair.folder, "nats");
  const copies = { old: join(pair.folder, "nats-old"), newest: join(pair.folder, "nats-newest") };
  const exchange = async (name: "old" | "newest") => {
    await rm(store, { recursive: true });
    await cp(copies[name], store, { recursive: true });
    await pair.nats.restart();
  };
  await pair.nats.stop();
  await cp(store, copies.old, { recursive: true });
  await pair.nats.restart();
  await normalAgain(pair);
  t.true((await pair.control(primary, "switch")).ok);
  await pair.waitFor(backup, ({ role, application }) => role === "primary" && application === "hot");
  await normalAgain(pair);
  t.deepEqual(await pair.normal(), { primary: backup, backup: primary });

  await proof.gap("the registry's store rolled back", async () => {
    await pair.nats.stop();
    await cp(store, copies.newest, { recursive: true });
    await exchange("old");
  });
  for (const name of [primary, backup])
    await until(async () => String((await pair.report(name, "failover")).frozen).includes("went back to epoch"), {
      withinMs,
      waitedFor: `${name} to say that the registry went back`,
    });
  await proof.answers(50, "answers while the registry is older than the servers");
  const { epoch } = await pair.registryRecord();
  await pair.control(backup, "switch").catch(() => undefined);
  await delay(300);
  t.is((await pair.registryRecord()).epoch, epoch, "nobody writes to a registry that went back");
  t.is(pair.hot()?.name, backup);

  await proof.gap("the registry's newest store brought back", async () => {
    await pair.nats.stop();
    await exchange("newest");
  });
  await proof.prove();
});

full("the registry's bucket is deleted: the running mode goes on, nobody makes a new one", async (t) => {
  const pair = await startPair(t);
  const proof = await Proof.begin(t, pair);
  const { primary, backup } = await pair.normal();
  const store = join(pair.folder, "nats");
  const copy = join(pair.folder, "nats-copy");
  await pair.nats.stop();
  await cp(store, copy, { recursive: true });
  await pair.nats.restart();
  await normalAgain(pair);
  await proof.gap("the bucket deleted", async () => {
    const answer = await pair.raw.request("$JS.API.STREAM.DELETE.KV_twinlog");
    t.true(answer.json<{ success: boolean }>().success);
  });
  for (const name of [primary, backup])
    await until(async () => String((await pair.report(name, "failover")).frozen).includes("gone"), {
      withinMs,
      waitedFor: `${name} to say that the registry's record is gone`,
    });
  await proof.answers(50, "answers without a registry");
  await t.throwsAsync(pair.registryRecord(), { message: /missing/ });
  // A server that starts now must not take the absence for a first start.
  await pair.server(backup).kill();
  pair.server(backup).start();
  const refusing = await pair.waitFor(backup, ({ state }) => state === "refusing" || state === "waiting");
  t.regex(refusing.waitingFor || refusing.why, /registry/);
  await proof.gap("the registry brought back", async () => {
    await pair.nats.stop();
    await rm(store, { recursive: true });
    await cp(copy, store, { recursive: true });
    await pair.nats.restart();
  });
  await proof.prove();
});

full("primary and backup on different sides of a split NATS cluster, the main link alive and cut", async (t) => {
  const { pair, cluster, clients } = await startSplitPair(t);
  const proof = await Proof.begin(t, pair, { nats: clients });
  const { primary, backup } = await pair.normal();
  t.is(primary, "alpha");
  // The main link lives: alpha is alive to beta, though its side of NATS cannot change the registry. Nobody moves.
  await proof.gap("alpha on the side of the minority, then without the main link", async () => {
    await cluster.split();
    await delay(1_000);
    t.is(pair.status(backup)?.role, "backup");
    await pair.mainLink.cut();
  });
  await pair.waitFor(backup, ({ role, application }) => role === "primary" && application === "hot");
  await proof.answers(50, "answers on the side of the majority");
  await Promise.all([cluster.mend(), pair.mainLink.listen()]);
  await proof.prove();
});

full(
  "the registry is on the backup's side of a split NATS cluster: the primary hands over by the main link",
  async (t) => {
    const { pair, cluster, clients } = await startSplitPair(t);
    const proof = await Proof.begin(t, pair, { nats: clients });
    const { primary, backup } = await pair.normal();
    t.is(primary, "alpha");
    const { epoch } = await pair.registryRecord();
    await proof.gap("alpha and the registry on different sides, the main link lives", () => cluster.split());
    await pair.waitFor(backup, ({ role, application }) => role === "primary" && application === "hot");
    // By a planned switch: both are in sync, and nobody is alone. Later, after `registryLostMs`, the one without the registry is left out.
    const isTaken = () => pair.events.find(({ server, from }) => server === backup && from === "receiving");
    const taken = await until(isTaken, { withinMs, waitedFor: "the switch" });
    t.like(taken, { event: "cas.won.normal", to: "hot.normal", epoch: epoch + 1 });
    await proof.answers(50, "answers on the side of the majority");
    await cluster.mend();
    await proof.prove();
  },
);

full("JetStream has no quorum, core NATS is there: nobody moves, and requests are answered", async (t) => {
  const { pair, cluster, clients } = await startSplitPair(t, { together: true });
  const proof = await Proof.begin(t, pair, { nats: clients });
  const before = await pair.normal();
  const { epoch } = await pair.registryRecord();
  let restore = (): void => undefined;
  t.teardown(() => restore());
  await proof.gap("JetStream away", () => {
    restore = withoutQuorum(cluster);
  });
  const isAway = () =>
    pair.registryRecord().then(
      () => false,
      () => true,
    );
  await until(isAway, { withinMs: 40_000, waitedFor: "the registry to be away" });
  // Longer than a primary waits for the registry: the backup has it no more than the primary.
  await delay(Limits.parse({}).registryLostMs + 3_000);
  await proof.answers(50, "answers without JetStream");
  t.deepEqual(await pair.normal(), before);
  await proof.gap("JetStream back", () => restore());
  await until(async () => (await pair.registryRecord()).epoch === epoch, { withinMs, waitedFor: "the same record" });
  await proof.prove();
});
