/**
 * Messages that fit, and that nobody should have said: of any session, incarnation, epoch and position that is near what there is.
 * Whom they make follow whom is not judged here; but no exception comes of them, no invariant breaks, and nothing goes on without an
 * end while no time passes (situation 137).
 */
import { crc32 } from "node:zlib";
import test from "ava";
import { decodeMessage, encodeMessage, MessageError } from "../../machines/codec/message.ts";
import type { Replica } from "../../machines/replica/replica.ts";
import type { PeerMessage } from "../../schemas/peer-message.ts";
import { maxEpoch } from "../../schemas/ranges.ts";
import type { RegistryRecord } from "../../schemas/registry.ts";
import { inside } from "../helpers/inside.ts";
import { runs } from "../helpers/property-runs.ts";
import { Random } from "../helpers/random.ts";
import { Stage } from "./stage.ts";

const far = 2 ** 50;

class Liar {
  readonly #random: Random;
  readonly #stage: Stage;
  readonly #names: readonly string[];
  readonly #to: string;
  readonly #replica: Replica;

  constructor(random: Random, stage: Stage, to: string) {
    this.#random = random;
    this.#stage = stage;
    this.#names = [...stage.servers.keys()];
    this.#to = to;
    this.#replica = stage.replica(to);
  }

  #pick<T>(...items: [T, ...T[]]): T {
    return this.#random.pick(items);
  }
  get #incarnation(): string {
    const name = this.#random.pick(this.#names) ?? "";
    return this.#pick(`${name}.1`, `${name}.1`, `${name}.2`, "nobody");
  }
  get #epoch(): number {
    const { epoch } = this.#replica;
    return this.#pick(0, 1, epoch, epoch, epoch, epoch + 1, epoch + 5, maxEpoch);
  }
  get #sequence(): number {
    const { log, committed } = this.#replica;
    return Math.max(
      0,
      this.#pick(0, 1, 2, log.last - 1, log.last, log.last + 1, committed, far, Number.MAX_SAFE_INTEGER),
    );
  }
  get #session(): string {
    const { follower, primary } = inside(this.#replica);
    const followers = [...(primary?.followers ?? [])].map(({ session }) => session?.id ?? "none");
    return this.#pick(follower?.session.id ?? "none", this.#random.pick(followers) ?? "none", "none");
  }
  #hash(sequence: number): number {
    const right = this.#replica.log.hashAt(sequence) ?? 0;
    return this.#pick(right, right, 5);
  }
  get #record(): RegistryRecord {
    const { record } = this.#stage;
    const all = this.#names.map((server) => ({ server, incarnation: `${server}.1` }));
    const some = all.filter(() => this.#random.chance(0.7));
    const inSync = some.length > 0 ? some : all;
    return {
      ...record,
      epoch: this.#epoch,
      writeId: this.#pick(record.writeId, "w1", "w2"),
      inSync,
      primary: this.#random.pick(inSync) ?? record.primary,
      durability: inSync.length === 1 ? this.#pick("disk", "memory") : "memory",
      base: { sequence: this.#sequence, hash: 5 },
      history: this.#pick(record.history, "h2"),
    };
  }

  get payload(): Buffer {
    const { log } = this.#replica;
    const records = log.base.sequence === 0 ? [...log.batches(1, log.closed.sequence)].map(({ bytes }) => bytes) : [];
    return this.#pick(Buffer.alloc(0), Buffer.alloc(90, 7), Buffer.concat(records));
  }

  message(payload: Buffer): PeerMessage {
    const ids = {
      session: this.#session,
      from: this.#incarnation,
      to: this.#pick(this.#replica.self, this.#incarnation),
    };
    const epoch = this.#epoch;
    const sequence = this.#sequence;
    const previousHash = this.#hash(sequence - 1);
    return this.#pick<() => PeerMessage>(
      () => this.#heartbeat(),
      () => this.#heartbeat(),
      () => ({
        type: "follow",
        ...ids,
        number: this.#pick(1, 2, far),
        epoch,
        history: this.#pick(this.#stage.record.history, "", "h2"),
        schema: this.#pick("s", "other"),
        last: sequence,
        committed: this.#sequence,
        epochEnds: [1, 2].map(() => ({ epoch: this.#epoch, last: this.#sequence })),
      }),
      () => ({
        type: "accept",
        ...ids,
        epoch,
        sequence,
        hash: this.#pick(null, this.#hash(sequence)),
        ancestors: [{ history: "before", start: 0, end: { sequence, hash: 1, epoch }, results: sequence }],
      }),
      () => ({ type: "decline", ...ids, reason: this.#pick("snapshot", "schema", "leaving") }),
      () => ({
        type: "mirror",
        ...ids,
        epoch,
        first: Math.max(1, sequence),
        last: this.#sequence,
        previousHash,
        lastHash: this.#pick(crc32(payload, previousHash), 3),
        committed: this.#sequence,
        published: this.#sequence,
        probe: this.#pick(0, 1, far),
      }),
      () => ({
        type: "confirm",
        ...ids,
        epoch,
        sequence,
        hash: this.#hash(sequence),
        probe: this.#pick(0, 1, far),
        gap: this.#random.chance(0.3),
      }),
      () => ({ type: "leave", from: ids.from }),
      () => ({ type: "left", from: ids.from, to: ids.to, epoch }),
      () => ({ type: "handover", from: ids.from, to: ids.to, epoch, sequence, hash: this.#hash(sequence) }),
    )();
  }

  #heartbeat(): PeerMessage {
    const { self } = this.#replica;
    const random = this.#random;
    return {
      type: "heartbeat",
      incarnation: this.#incarnation,
      life: this.#pick(1, 2, 9),
      disk: this.#pick("", "another"),
      beat: this.#pick(1, 50, 1_000, far),
      wallMs: this.#pick(0, 1e12, 8e15),
      heard: { [this.#to]: { incarnation: self, beat: this.#pick(1, 5, far), mainBeat: this.#pick(1, far) } },
      state: "hot.normal",
      hot: random.chance(0.5),
      stopping: random.chance(0.2),
      rereads: true,
      heedsPause: true,
      bus: random.chance(0.8),
      registry: random.chance(0.8),
      epochSeen: this.#epoch,
      history: this.#pick(this.#stage.record.history, "", "h2"),
      lastEpoch: this.#epoch,
      last: this.#sequence,
      committed: this.#sequence,
      schema: this.#pick("s", "other"),
      ...(random.chance(0.6) ? { record: this.#record, revision: this.#pick(0, 1, 5, far) } : {}),
      removals: { [this.#to]: { times: this.#pick(0, 3, far), ageMs: this.#pick(0, far) } },
    };
  }
}

function lie(random: Random, stage: Stage): void {
  const names = [...stage.servers.keys()];
  const to = random.pick(names) ?? "";
  const from = random.pick(names.filter((name) => name !== to)) ?? "";
  const server = stage.server(to);
  if (server.replica === null) return;
  const liar = new Liar(random, stage, to);
  const { payload } = liar;
  try {
    const read = decodeMessage(Buffer.concat([encodeMessage(liar.message(payload)), payload]));
    server.replica.onMessage(from, random.chance(0.5) ? "main" : "failsafe", read.message, read.payload, stage.nowMs);
  } catch (error) {
    // One epoch beyond the last that there is.
    if (!(error instanceof MessageError)) throw error;
  }
  server.hasInput = true;
  if (random.chance(0.4)) stage.tick(random.whole(1, 12));
}

test("whoever says what fits, no exception comes of it, and it comes to an end (situation 137)", (t) => {
  t.timeout(120_000);
  for (let seed = 1; seed <= runs(40); seed += 1) {
    const random = new Random(seed);
    const stage = Stage.normal({ servers: random.chance(0.5) ? ["alpha", "beta"] : ["alpha", "beta", "gamma"] });
    for (const id of ["1", "2", "3"]) stage.do("alpha", id);
    stage.tick(2);
    t.notThrows(() => {
      for (let times = 0; times < 25; times += 1) lie(random, stage);
      stage.tick(30);
    }, `seed ${seed}`);
  }
});
