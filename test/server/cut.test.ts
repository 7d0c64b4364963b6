/**
 * A follower whose log is cut while its disk is still writing what is cut off (rules 4, 7; confirm level `synced`): the
 * writer never asks memory for records that are not there any more, and what it reports is never taken for the new ones.
 */
import test from "ava";
import { counter } from "../../deploy/examples/counter/counter.ts";
import { MemoryLog } from "../../machines/log/memory-log.ts";
import type { PeerMessage } from "../../schemas/peer-message.ts";
import type { RegistryRecord } from "../../schemas/registry.ts";
import { MemoryRegistry, OneServer, service } from "../helpers/one-server.ts";
import { fieldsOf } from "../helpers/records.ts";

function append(log: MemoryLog, epoch: number, count: number): void {
  for (let made = 0; made < count; made += 1) {
    const sequence = log.last + 1;
    log.append(fieldsOf({ epoch, sequence, id: `${epoch}-${sequence}`, reply: "{}" }));
  }
  log.close();
}

/** A server that is not there: what it would say. */
class Alpha {
  readonly incarnation: string;
  readonly log: MemoryLog;
  readonly record: RegistryRecord;
  readonly revision: number;
  #beat = 0;

  constructor(incarnation: string, log: MemoryLog, record: RegistryRecord, revision: number) {
    this.incarnation = incarnation;
    this.log = log;
    this.record = record;
    this.revision = revision;
  }

  heartbeat(server: OneServer, life: number): PeerMessage {
    this.#beat += 1;
    const { self: incarnation } = server.life.replica;
    return {
      type: "heartbeat",
      incarnation: this.incarnation,
      life,
      beat: this.#beat,
      heard: { beta: { incarnation, beat: 1, mainBeat: server.lastSent("heartbeat").beat } },
      state: "hot.alone",
      hot: true,
      stopping: false,
      bus: true,
      registry: true,
      epochSeen: this.record.epoch,
      history: this.record.history,
      lastEpoch: this.log.lastEpoch,
      last: this.log.last,
      committed: 0,
      schema: "",
      record: this.record,
      revision: this.revision,
    };
  }

  accept(server: OneServer, sequence: number): PeerMessage {
    const { session } = server.lastSent("follow");
    const { epoch } = this.record;
    const hash = this.log.hashAt(sequence) ?? null;
    return { type: "accept", session, from: this.incarnation, to: server.life.replica.self, epoch, sequence, hash };
  }

  mirror(server: OneServer, first: number, last: number): { message: PeerMessage; payload: Uint8Array[] } {
    const { session } = server.lastSent("follow");
    const message: PeerMessage = {
      type: "mirror",
      session,
      epoch: this.record.epoch,
      from: this.incarnation,
      to: server.life.replica.self,
      first,
      last,
      previousHash: this.log.hashAt(first - 1) ?? 0,
      lastHash: this.log.hashAt(last) ?? 0,
      committed: 0,
      published: 0,
      probe: 0,
    };
    return { message, payload: [...this.log.batches(first, last)].map(({ bytes }) => bytes) };
  }
}

function recordOf(registry: MemoryRegistry, epoch: number, incarnation: string): RegistryRecord {
  const alpha = { server: "alpha", incarnation };
  return { ...registry.record, service, epoch, primary: alpha, inSync: [alpha], writeId: `${incarnation}.1` };
}

test("the log is cut between two writes of what is cut off", async (t) => {
  const registry = new MemoryRegistry("alpha");
  registry.record = recordOf(registry, 2, "alpha-1");
  registry.revision = 2;
  const beta = new OneServer({ application: counter, server: "beta", registry, settings: { confirm: "synced" } });
  await beta.run(100);
  const older = new Alpha("alpha-1", new MemoryLog(), registry.record, 2);
  append(older.log, 2, 2);
  const newer = new Alpha("alpha-2", older.log.clone(), recordOf(registry, 3, "alpha-2"), 3);
  append(older.log, 2, 6);
  append(newer.log, 3, 3);

  beta.hear("alpha", older.heartbeat(beta, 1));
  await beta.run(300);
  beta.hear("alpha", older.accept(beta, 0));
  let open = () => {};
  beta.store.gate = new Promise<void>((resolve) => {
    open = resolve;
  });
  // Records 1 to 5 are being written; 6 to 8 are to be written next.
  for (const [first, last] of [
    [1, 5],
    [6, 8],
  ] as const) {
    const { message, payload } = older.mirror(beta, first, last);
    beta.hear("alpha", message, payload);
    await beta.run(20);
  }
  t.is(beta.life.replica.log.last, 8);

  beta.hear("alpha", newer.heartbeat(beta, 2));
  await beta.run(300);
  // In one turn: the cut, new records, and the end of the write.
  beta.hear("alpha", newer.accept(beta, 2));
  t.is(beta.life.replica.log.last, 2);
  const { message, payload } = newer.mirror(beta, 3, 5);
  beta.hear("alpha", message, payload);
  open();
  beta.store.gate = new Promise(() => {});
  await new Promise((resolve) => setImmediate(resolve));
  t.is(beta.end, null);
  t.is(beta.life.replica.log.last, 5);
  await beta.run(200);
  t.is(beta.end, null, "nothing failed");
  t.true(beta.lastSent("confirm").sequence <= 2, "records 3 to 5 of the new log are not on the disk");
});
