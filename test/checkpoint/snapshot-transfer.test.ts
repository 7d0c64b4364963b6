/** The joiner's side of a snapshot where its disk is slow: questions come before the steps for the last one are done. */
import test from "ava";
import { Mailbox } from "../../actors/actor.ts";
import { FailoverActor, type FailoverOptions } from "../../actors/failover/failover-actor.ts";
import { Durations } from "../../actors/operator/durations.ts";
import { Meters } from "../../actors/operator/meters.ts";
import { Troubles } from "../../actors/operator/troubles.ts";
import type { ReplicationOptions } from "../../actors/replication/options.ts";
import { ReplicationActor } from "../../actors/replication/replication-actor.ts";
import { SnapshotTransfer } from "../../actors/replication/snapshot-transfer.ts";
import { encodeMessage } from "../../machines/codec/message.ts";
import { initialRecord } from "../../machines/replica/registry/initial-record.ts";
import { shippedRules } from "../../machines/replica/rules.ts";
import type { PeerMessage } from "../../schemas/peer-message.ts";
import { Limits } from "../../schemas/settings.ts";
import { agentOn, clock, freshAgent, identity, owner, put, TestLog } from "../helpers/checkpoints.ts";
import { keptLog } from "../helpers/kept-log.ts";
import { MemoryStore } from "../helpers/memory-store.ts";
import { until } from "../helpers/until.ts";

/** A store with one record that no flush has taken, and a transfer into it. */
async function joiner() {
  const store = new MemoryStore();
  const log = new TestLog();
  const agent = await freshAgent(store, log);
  log.append([[put("k", "v")]]);
  const errors: Error[] = [];
  const sent: PeerMessage[] = [];
  const mailbox = new Mailbox(clock, { onTurnEnd: () => undefined, onError: (error) => void errors.push(error) });
  const parts = {
    durations: new Durations([1]),
    meters: new Meters(),
    settings: { limits: Limits.parse({}) },
    world: { clock },
    mailbox,
    checkpoint: agent.checkpoint,
    troubles: new Troubles(clock, keptLog()),
    replica: null,
  };
  const transfer = new SnapshotTransfer(
    parts as unknown as ReplicationOptions,
    (_to, message) => void sent.push(message),
  );
  return { ...agent, store, log, transfer, errors, sent };
}

const closedGate = () => {
  let open = () => {};
  const gate = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { gate, open };
};

/** So that whatever could still come has come. */
const turns = async () => {
  for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
};

const asksFor = (sent: readonly PeerMessage[]) =>
  sent.flatMap((message) => (message.type === "snapshotAck" ? [`${message.session} ${message.number}`] : []));

test("a joiner whose disk is slow takes a snapshot after the flush that is under way, and lives", async (t) => {
  const { checkpoint, store, transfer, errors, sent } = await joiner();
  const { gate, open } = closedGate();
  store.gate = gate;
  const flushed = checkpoint.flush({ committed: 1, retainFrom: 1 });
  transfer.receive("alpha", "s1");
  open();
  await flushed;
  await until(() => sent.length > 0, { withinMs: 2_000 });
  t.deepEqual(asksFor(sent), ["s1 1"]);
  t.deepEqual(errors, []);
});

test("a second question for a snapshot waits until the side directory of the first is made, and drops it", async (t) => {
  const { checkpoint, store, transfer, errors, sent } = await joiner();
  const { gate, open } = closedGate();
  store.makingGate = gate;
  transfer.receive("alpha", "s1");
  await until(() => checkpoint.state === "receiving", { withinMs: 2_000 });
  transfer.receive("gamma", "s2");
  open();
  await until(() => sent.length > 0, { withinMs: 2_000 });
  t.deepEqual(asksFor(sent), ["s2 1"]);
  t.is(store.discarded, 1);
  t.deepEqual(errors, []);
});

/** A joiner whose snapshot has come whole, and takes long to prove; its replica wants it in session s1. */
async function provingJoiner() {
  const store = new MemoryStore();
  const log = new TestLog();
  const from = await freshAgent(store, log);
  log.append([[put("k", "v")]]);
  await from.checkpoint.flush({ committed: 1, retainFrom: 1 });
  const own = new MemoryStore();
  const { checkpoint } = agentOn(own, new TestLog(), { identity: { ...identity, server: "beta" } });
  await checkpoint.open({});
  await checkpoint.create({ ...owner, server: "beta" });
  const events: string[] = [];
  const errors: Error[] = [];
  const mailbox = new Mailbox(clock, { onTurnEnd: () => undefined, onError: (error) => void errors.push(error) });
  const replica: { snapshotSession: string | null; memberEpoch: number } & Record<string, unknown> = {
    snapshotSession: "s1",
    isNamed: false,
    startCount: 2,
    disk: "d2",
    self: "b2",
    epochSeen: 1,
    newestRecord: null,
    memberEpoch: 1,
    committed: 0,
    differs: false,
    log: { closed: { sequence: 0, hash: 0 }, lastEpoch: 0, hashAt: () => 0 },
    onSnapshotEnded: (session: string) => void events.push(`ended ${session}`),
  };
  const parts = {
    durations: new Durations([1]),
    meters: new Meters(),
    settings: { limits: Limits.parse({}), server: "beta" },
    world: { clock, log: keptLog() },
    mailbox,
    checkpoint,
    troubles: new Troubles(clock, keptLog()),
    replica,
    rules: shippedRules,
    onAdopted: () => void events.push("adopted"),
  };
  const sent: PeerMessage[] = [];
  const transfer = new SnapshotTransfer(
    parts as unknown as ReplicationOptions,
    (_to, message) => void sent.push(message),
  );
  transfer.receive("alpha", "s1");
  const { gate, open } = closedGate();
  own.readGate = gate;
  const source = from.checkpoint.sendSnapshot(4096);
  const chunks: Buffer[] = [];
  for (let chunk = await source.next(); chunk !== null; chunk = await source.next()) chunks.push(chunk);
  for (const [at, chunk] of chunks.entries()) {
    await until(() => asksFor(sent).includes(`s1 ${at + 1}`), { withinMs: 2_000 });
    transfer.onMessage("alpha", { type: "snapshotChunk", session: "s1", number: at + 1 }, chunk);
  }
  await until(() => own.sideReads > 0, { withinMs: 2_000 });
  return { checkpoint, store: own, replica, transfer, events, errors, open };
}

for (const [what, session] of [
  ["follows in another session", "s2"],
  ["does not follow", null],
] as const)
  test(`a joiner that ${what} gives a snapshot up while it is being proved (situation 135)`, async (t) => {
    const { checkpoint, store, replica, transfer, events, errors, open } = await provingJoiner();
    replica.snapshotSession = session;
    transfer.onTick();
    await until(() => events.length > 0, { withinMs: 2_000 });
    t.is(checkpoint.state, "idle", "it does not wait for the proof");
    open();
    await turns();
    t.deepEqual(events, ["ended s1"]);
    t.deepEqual(errors, []);
    t.is(store.discarded, 1);
  });

test("a snapshot that is proved before the tick that would give it up is overtaken all the same (situation 135)", async (t) => {
  const { replica, events, errors, open, checkpoint, store } = await provingJoiner();
  replica.snapshotSession = "s2";
  open();
  await until(() => events.length > 0, { withinMs: 2_000 });
  t.deepEqual(events, ["ended s1"]);
  t.deepEqual(errors, []);
  t.is(checkpoint.state, "idle");
  t.is(store.discarded, 1);
});

test("what a joiner counts as is asked anew when its snapshot is proved (situation 135)", async (t) => {
  const { replica, events, open } = await provingJoiner();
  replica.memberEpoch = 9;
  open();
  await until(() => events.length > 0, { withinMs: 2_000 });
  t.deepEqual(events, ["ended s1"]);
});

test("a snapshot that is still wanted is adopted; a tick while it takes its place, or another question, disturbs nothing", async (t) => {
  const { replica, transfer, events, errors, open, checkpoint, store } = await provingJoiner();
  transfer.onTick();
  const { gate, open: rename } = closedGate();
  store.adoptGate = gate;
  open();
  await until(() => checkpoint.givesWay, { withinMs: 2_000 });
  replica.snapshotSession = "s2";
  transfer.onTick();
  transfer.receive("alpha", "s2");
  await turns();
  rename();
  await until(() => events.length > 0, { withinMs: 2_000 });
  t.deepEqual(events, ["adopted"]);
  t.deepEqual(errors, []);
});

test("one whose store gives way to a snapshot confirms nothing, and asks the registry for nothing (situation 135)", (t) => {
  for (const givesWay of [false, true]) {
    const said: string[] = [];
    const parts = {
      durations: new Durations([1]),
      meters: new Meters(),
      world: {
        clock,
        main: { send: () => said.push("confirm") > 0 },
        registry: {
          compareAndSet: () => {
            said.push("compareAndSet");
            return new Promise(() => undefined);
          },
        },
        log: keptLog(),
      },
      checkpoint: { givesWay },
      settings: { limits: Limits.parse({}) },
      mailbox: { watch: () => undefined },
    };
    const confirm = { session: "s1", epoch: 1, from: "b", to: "a", sequence: 1, hash: 1, probe: 0, gap: false };
    new ReplicationActor(parts as unknown as ReplicationOptions).send({
      type: "send",
      to: "alpha",
      link: "main",
      message: { type: "confirm", ...confirm },
      payload: [],
    });
    const record = initialRecord("shop", "beta", "h1");
    new FailoverActor(parts as unknown as FailoverOptions).compareAndSet({
      type: "compareAndSet",
      record,
      expectedRevision: 1,
    });
    t.deepEqual(said, givesWay ? [] : ["confirm", "compareAndSet"]);
  }
});

test("7. a snapshot whose chunks the link does not take any more begins anew, in chunks that it takes", async (t) => {
  const store = new MemoryStore();
  const log = new TestLog();
  const { checkpoint } = await freshAgent(store, log);
  log.append([[put("k", "v".repeat(200_000))]]);
  await checkpoint.flush({ committed: 1, retainFrom: 1 });
  let frameBytes = 64 * 1024;
  const sent: { session: string; number: number; bytes: number }[] = [];
  const link = { maxFrameBytes: () => frameBytes };
  const mailbox = new Mailbox(clock, { onTurnEnd: () => undefined, onError: (error) => void t.fail(error.message) });
  const parts = {
    durations: new Durations([1]),
    meters: new Meters(),
    settings: { limits: Limits.parse({}) },
    world: { clock, log: keptLog(), main: { maxFrameBytes: () => 0 }, failsafe: link },
    mailbox,
    checkpoint,
    flush: () => Promise.resolve(),
    replica: { linkOf: () => "failsafe" },
  };
  const transfer = new SnapshotTransfer(parts as unknown as ReplicationOptions, (_to, message, payload) => {
    if (message.type !== "snapshotChunk") return;
    const bytes = encodeMessage(message).length + (payload[0]?.length ?? 0);
    sent.push({ session: message.session, number: message.number, bytes });
  });
  /** Asks until an answer comes, as a receiver does. */
  const chunk = async (session: string, number: number) => {
    const before = sent.length;
    const ask = () =>
      transfer.onMessage("beta", { type: "snapshotAck", session, number, done: false }, new Uint8Array(0));
    await until(
      () => {
        ask();
        return sent.length > before;
      },
      { withinMs: 2_000 },
    );
    return sent[before];
  };
  transfer.send("beta", "s1");
  t.like(await chunk("s1", 1), { session: "s1", number: 1 });
  t.true((sent[0]?.bytes ?? 0) > 32 * 1024);
  frameBytes = 4 * 1024;
  transfer.onMessage("beta", { type: "snapshotAck", session: "s1", number: 2, done: false }, new Uint8Array(0));
  await until(() => transfer.progress === "none", { withinMs: 2_000 });
  transfer.send("beta", "s2");
  for (let number = 1; number <= 20; number += 1) t.like(await chunk("s2", number), { session: "s2", number });
  t.true(
    sent.every(({ session, bytes }) => session === "s1" || bytes <= frameBytes),
    "none that does not fit",
  );
});
