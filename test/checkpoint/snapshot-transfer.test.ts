/** The joiner's side of a snapshot where its disk is slow: questions come before the steps for the last one are done. */
import test from "ava";
import { Mailbox } from "../../actors/actor.ts";
import { Troubles } from "../../actors/operator/troubles.ts";
import type { ReplicationOptions } from "../../actors/replication/options.ts";
import { SnapshotTransfer } from "../../actors/replication/snapshot-transfer.ts";
import { encodeMessage, type PeerMessage } from "../../machines/codec/message.ts";
import { Limits } from "../../schemas/settings.ts";
import { clock, freshAgent, put, TestLog } from "../helpers/checkpoints.ts";
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
