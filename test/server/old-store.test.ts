/**
 * A store as programs wrote it before batches had a bound: a turn's records are one segment, larger than a message between
 * servers may be (situation 56). It is opened, what is in memory is cut, and a backup gets all of it.
 */

import test from "ava";
import type { Application } from "../../actors/application/define.ts";
import { exchange } from "../../actors/applications/exchange/exchange.ts";
import { subjects } from "../../schemas/subjects.ts";
import { collect } from "../helpers/checkpoints.ts";
import { inside } from "../helpers/inside.ts";
import { MemoryDisk } from "../helpers/memory-store.ts";
import { MemoryRegistry, OneServer, service } from "../helpers/one-server.ts";

const application = exchange as unknown as Application;
const KiB = 1024;
const requests = 1_000;
/** No bound but the log's arena, as it was. */
const unbounded = { limits: { cautionMs: 0, maxBatchBytes: 16 * KiB * KiB, maxUnconfirmedBytes: 64 * KiB * KiB } };
/** Less than a turn makes. */
const maxBatchBytes = 8 * KiB;
const usual = { limits: { cautionMs: 0, maxRequestBytes: 512, maxRecordBytes: 4 * KiB, maxBatchBytes } };

test("7. a store with segments that are larger than a message opens, and a backup is sent all of it in messages that fit", async (t) => {
  const disk = new MemoryDisk();
  const registry = new MemoryRegistry("alpha");
  const old = new OneServer({ application, disk, registry, settings: unbounded });
  await old.run(2_000);
  for (let n = 1; n <= requests; n += 1) {
    const body = { type: "limit", symbol: "BTCUSD", order: `o${n}`, side: "buy", price: 10, quantity: 1 };
    old.bus.publish(
      subjects.request(service, "BTCUSD", "c"),
      Buffer.from(JSON.stringify({ client: "c", id: String(n), body })),
      undefined,
      "inbox",
    );
  }
  await old.run(1_000);
  t.is(old.life.replica.committed, requests);
  const segments = await collect(old.life.checkpoint.readLog(1));
  t.true(
    segments.some(({ bytes }) => bytes.length > maxBatchBytes),
    "one of them fits no message",
  );
  old.life.stop();
  await old.run(1_000);
  t.deepEqual(old.end, { reason: "exit" });

  const server = new OneServer({ application, disk, registry, settings: usual, incarnation: "alpha-2" });
  await server.run(2_000);
  const { replica } = server.life;
  t.is(replica.state, "hot.alone");
  const { base, last } = replica.log;
  t.is(last, requests);
  for (const { bytes } of replica.log.batches(base.sequence + 1, last)) t.true(bytes.length <= maxBatchBytes);

  // The joiner asks from the beginning: what it gets comes from the disk.
  server.life.onUp("main", "beta");
  const beat = (number: number) => ({
    type: "heartbeat" as const,
    incarnation: "beta-1",
    life: 1,
    beat: number,
    heard: {
      alpha: {
        incarnation: "alpha-2",
        beat: inside(replica).heartbeats.beat,
        mainBeat: inside(replica).heartbeats.beat,
      },
    },
    state: "following.joining",
    hot: false,
    stopping: false,
    bus: true,
    registry: true,
    epochSeen: replica.epoch,
    history: "",
    lastEpoch: 0,
    last: 0,
    committed: 0,
    schema: replica.options.schema,
  });
  server.hear("beta", beat(1));
  const question = { session: "beta-1.s1", number: 1, from: "beta-1", to: "alpha-2", epoch: replica.epoch };
  const nothing = { history: "", schema: replica.options.schema, last: 0, committed: 0, epochEnds: [] };
  server.hear("beta", { type: "follow", ...question, ...nothing });
  let confirmed = 0;
  for (let turn = 2; turn < 100 && confirmed < requests; turn += 1) {
    await server.run(20);
    for (const message of server.sent.splice(0)) {
      if (message.type !== "mirror" || message.first !== confirmed + 1 || message.last < message.first) continue;
      confirmed = message.last;
      server.hear("beta", {
        type: "confirm",
        session: question.session,
        epoch: replica.epoch,
        from: "beta-1",
        to: "alpha-2",
        sequence: message.last,
        hash: message.lastHash,
        probe: message.probe,
        gap: false,
      });
    }
    server.hear("beta", beat(turn));
  }
  t.is(confirmed, requests);
  t.deepEqual(server.refused, [], "no message was too large");
  await server.run(200);
  t.deepEqual(
    registry.record.inSync.map(({ incarnation }) => incarnation),
    ["alpha-2", "beta-1"],
  );
});
