/**
 * Whatever bytes come from outside the process, whoever reads them gives a value that fits or his typed error: nothing else is
 * thrown, and nothing hangs. Bytes are arbitrary, valid ones that are cut off, or valid ones with some bytes changed.
 */
import { crc32 } from "node:zlib";
import test, { type ExecutionContext } from "ava";
import * as fc from "fast-check";
import {
  type FailsafeMessage,
  maxAddressed,
  provenContext,
  provenMessage,
  readFailsafeMessage,
  unprovenMessage,
} from "../../actors/world/failsafe-message.ts";
import { encodeFrame, FrameError, FrameReader } from "../../actors/world/frames.ts";
import { greetingOf, greetingProofOf, readGreeting } from "../../actors/world/greeting.ts";
import { Handshake } from "../../actors/world/handshake.ts";
import {
  LayoutError,
  metaValue,
  readMeta,
  readSegment,
  segmentKey,
  segmentValue,
} from "../../machines/checkpoint/layout.ts";
import { SnapshotDecoder, SnapshotEncoder, SnapshotError } from "../../machines/checkpoint/snapshot-codec.ts";
import { EffectError, EffectWriter, readEffects } from "../../machines/codec/effects.ts";
import { decodeMessage, encodeMessage, MessageError } from "../../machines/codec/message.ts";
import { RecordError, RecordReader } from "../../machines/codec/record.ts";
import { type LogBatch, sliceFrom, verifyBatch } from "../../machines/log/batch.ts";
import { MemoryLog } from "../../machines/log/memory-log.ts";
import { initialRecord } from "../../machines/replica/registry/initial-record.ts";
import type { CheckpointMeta } from "../../schemas/checkpoint.ts";
import { readDeathNotice } from "../../schemas/death.ts";
import { isPeerMessageType, peerMessages } from "../../schemas/peer-message.ts";
import { maxEpoch } from "../../schemas/ranges.ts";
import { readRegistryRecord } from "../../schemas/registry.ts";
import { fittingMessages, frameOf } from "../helpers/misfit-frames.ts";
import { proofWith } from "../helpers/peer-key.ts";
import { runs } from "../helpers/property-runs.ts";
import { batchOf, fieldsOf } from "../helpers/records.ts";

/** One change of a piece of bytes. */
const change = fc.oneof(
  fc.record({ how: fc.constant("set" as const), at: fc.nat(), byte: fc.nat(255) }),
  fc.record({ how: fc.constant("flip" as const), at: fc.nat(), byte: fc.constantFrom(1, 2, 4, 8, 16, 32, 64, 128) }),
  fc.record({ how: fc.constant("cut" as const), at: fc.nat(), byte: fc.nat(255) }),
  fc.record({
    how: fc.constant("insert" as const),
    at: fc.nat(),
    byte: fc.constantFrom(0, 1, 255, 0x22, 0x2d, 0x39, 0x7b),
  }),
);

/** Arbitrary bytes, or one of these with up to four changes. */
function bytesLike(...valid: Uint8Array[]): fc.Arbitrary<Buffer> {
  const changed = fc.record({ bytes: fc.constantFrom(...valid), changes: fc.array(change, { maxLength: 4 }) });
  return fc.oneof(
    fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
    { arbitrary: changed.map(({ bytes, changes }) => changes.reduce(apply, Buffer.from(bytes))), weight: 4 },
  );
}

function apply(bytes: Buffer, { how, at, byte }: { how: string; at: number; byte: number }): Buffer {
  const place = at % (bytes.length + 1);
  if (how === "cut") return bytes.subarray(0, place);
  if (how === "insert") return Buffer.concat([bytes.subarray(0, place), Buffer.from([byte]), bytes.subarray(place)]);
  if (place < bytes.length) bytes[place] = how === "set" ? byte : (bytes[place] ?? 0) ^ byte;
  return bytes;
}

/** Null where it threw its own error; any other comes through. */
function valueOr<T>(read: () => T, ...errors: (new (...given: never[]) => Error)[]): T | null {
  try {
    return read();
  } catch (error) {
    if (errors.some((kind) => error instanceof kind)) return null;
    throw error;
  }
}

function holds<T>(t: ExecutionContext, arbitrary: fc.Arbitrary<T>, check: (value: T) => void): void {
  t.notThrows(() => fc.assert(fc.property(arbitrary, check), { numRuns: runs(3_000) }));
}

const known = {
  service: "pair",
  from: { server: "alpha", incarnation: "alpha-1" },
  to: { server: "beta", incarnation: "beta-1" },
  epoch: 7,
  history: "h",
  schema: "s",
  last: 12,
};
const messages = fittingMessages(known);

test("peer messages", (t) => {
  holds(t, bytesLike(...messages.map(encodeMessage)), (frame) => {
    const read = valueOr(() => decodeMessage(frame), MessageError);
    if (read !== null) t.true(peerMessages[read.message.type].safeParse(read.message).success);
  });
});

test("peer messages whose fields are any JSON", (t) => {
  const odd = fc.oneof(fc.jsonValue(), fc.constantFrom<fc.JsonValue>(2 ** 53, -1, 1.5, maxEpoch + 1, "__proto__"));
  const some = fc.dictionary(fc.constantFrom(...new Set(messages.flatMap((message) => Object.keys(message)))), odd, {
    maxKeys: 3,
  });
  holds(t, fc.tuple(fc.constantFrom(...messages), some), ([message, fields]) => {
    const read = valueOr(() => decodeMessage(frameOf({ ...message, ...fields })), MessageError);
    if (read !== null) t.true(isPeerMessageType(read.message.type));
  });
});

test("frames of a stream", (t) => {
  const stream = Buffer.concat([
    encodeFrame([Buffer.from("one")]),
    encodeFrame([]),
    encodeFrame([Buffer.alloc(100, 7)]),
  ]);
  const cuts = fc.array(fc.nat(200), { maxLength: 4 });
  holds(t, fc.tuple(bytesLike(stream), cuts), ([bytes, at]) => {
    let delivered = 0;
    const reader = new FrameReader(150, (frame) => {
      delivered += 1;
      t.true(frame.length <= 150);
    });
    const edges = [0, ...at.sort((one, other) => one - other), bytes.length];
    const isSound = valueOr(() => {
      for (let index = 1; index < edges.length; index += 1) reader.push(bytes.subarray(edges[index - 1], edges[index]));
      return true;
    }, FrameError);
    t.true(isSound === null || 8 * delivered <= bytes.length);
  });
});

test("greetings", (t) => {
  const greeting = { service: "pair", server: "alpha", to: "beta", processId: "p1", maxFrameBytes: 65_536 };
  t.deepEqual(readGreeting(greetingOf(greeting)), greeting);
  holds(t, bytesLike(greetingOf(greeting), greetingOf({ service: "pair", server: "alpha", to: "beta" })), (bytes) => {
    const read = readGreeting(bytes);
    if (typeof read === "string") t.true(read.length < 200);
    else t.true((read.maxFrameBytes ?? 1) >= 1);
  });
});

test("messages of the failsafe link, with and without a proof", async (t) => {
  const { keys } = await proofWith();
  const context = provenContext("pair", "alpha", "beta");
  const body = { session: "12345678", number: 3, to: ["abcdefgh"] };
  const frame = { parts: [Buffer.from("frame")], bytes: 5 };
  const sign = (bytes: Uint8Array) => keys.sign([context, bytes]);
  const valid = [frame, null].map((given) => provenMessage("alpha", body, given, sign));
  const bodies = valid.map((message) => Buffer.from(readFailsafeMessage(message)?.proven?.bytes ?? []));
  const isRight = (read: FailsafeMessage | null) => {
    const { proof, bytes } = read?.proven ?? { proof: Buffer.alloc(0), bytes: Buffer.alloc(0) };
    return keys.proves(proof, [context, bytes]);
  };
  t.true(valid.every((message) => isRight(readFailsafeMessage(message))));
  const isSumMended = fc.boolean();
  holds(t, fc.tuple(bytesLike(...valid, unprovenMessage("alpha", frame)), isSumMended), ([bytes, isMended]) => {
    if (isMended && bytes.length >= 4) bytes.writeUInt32LE(crc32(bytes.subarray(4)), 0);
    const read = readFailsafeMessage(bytes);
    if (read === null || read.proven === null) return;
    const { body: said, bytes: ofBody } = read.proven;
    t.true(said.to.length <= maxAddressed);
    t.is(isRight(read), bodies.some((one) => one.equals(ofBody)) && isRight(read), "only what was signed");
  });
});

test("first frames of a main link, whoever says them", async (t) => {
  const proof = await proofWith();
  const own = { service: "pair", server: "beta", processId: "p2", maxFrameBytes: 65_536 };
  const dialler = new Handshake({ own: { ...own, server: "alpha" }, dialled: "beta", proof, recognise: () => null });
  const frames = bytesLike(
    dialler.greeting("beta"),
    greetingOf({ service: "pair", server: "alpha", to: "beta" }),
    greetingOf({ service: "pair", server: "alpha", to: "beta", nonce: "n", proof: "p" }),
    greetingProofOf("p"),
  );
  holds(t, fc.tuple(fc.array(frames, { maxLength: 3 }), fc.constantFrom("alpha", null)), ([given, dialled]) => {
    const handshake = new Handshake({ own, dialled, proof, recognise: () => null });
    for (const frame of given) {
      const step = handshake.take(frame);
      t.not(step.outcome, "greeted", "without the key");
      if (step.outcome === "refused") return;
    }
  });
});

test("registry records", (t) => {
  const record = { ...initialRecord("pair", "alpha", "h"), left: ["a", "b"], pause: { sinceMs: 5, forMs: 1 } };
  t.deepEqual(readRegistryRecord(JSON.stringify(record)), record);
  holds(t, bytesLike(Buffer.from(JSON.stringify(record))), (bytes) => {
    const read = readRegistryRecord(bytes.toString("utf8"));
    if (typeof read !== "string") t.true(read.epoch <= maxEpoch && read.inSync.length > 0);
  });
  for (const odd of [
    { epoch: 9e15 },
    { epoch: maxEpoch + 1 },
    { epoch: -1 },
    { inSync: [] },
    { left: ["x".repeat(200)] },
  ])
    t.is(typeof readRegistryRecord(JSON.stringify({ ...record, ...odd })), "string", JSON.stringify(odd));
});

test("notices of a death", (t) => {
  const words = {
    server: "alpha",
    life: "p1",
    code: "handler",
    client: "c",
    id: "1",
    bodyHash: 1,
    isRecorded: false,
    busyMs: 1,
  };
  const notice = Buffer.from(JSON.stringify({ server: "alpha", life: "p1", lastWords: words }));
  t.not(readDeathNotice(notice), null);
  holds(t, bytesLike(notice), (bytes) => {
    const read = readDeathNotice(bytes);
    t.true(read === null || /^[a-z0-9-]+$/.test(read.server));
  });
});

// --- the log -------------------------------------------------------------------------------------------------------

const batch = batchOf(
  [1, 2, 3, 4, 5].map((sequence) => fieldsOf({ sequence, epoch: sequence < 3 ? 1 : 2, body: "{}" })),
  0,
);

test("records", (t) => {
  holds(t, bytesLike(batch.bytes), (bytes) => {
    if (bytes.length === 0) return;
    let records = 0;
    valueOr(() => {
      const reader = new RecordReader(bytes);
      do {
        records += 1;
        t.is(reader.bytes.length, reader.end - reader.start);
        t.true(reader.epoch <= maxEpoch && reader.client.length <= bytes.length && reader.body.length <= bytes.length);
      } while (reader.next());
    }, RecordError);
    t.true(72 * records <= bytes.length + 72);
  });
});

/** The batch with other bytes and positions, its hash made right for them. */
const batches = fc
  .record({
    bytes: bytesLike(batch.bytes),
    first: fc.constantFrom(1, 2, 3, 2 ** 52),
    last: fc.constantFrom(1, 5, 6, Number.MAX_SAFE_INTEGER),
    isHashRight: fc.boolean(),
  })
  .map(({ bytes, first, last, isHashRight }): LogBatch => {
    const lastHash = isHashRight ? crc32(bytes, 0) : batch.lastHash;
    return { first, last, previousHash: 0, lastHash, bytes };
  });

test("batches, whatever they say that they hold", (t) => {
  holds(t, batches, (one) => {
    const fault = verifyBatch(one);
    if (one.last >= 3 && one.first <= 3) {
      const part = valueOr(() => sliceFrom(one, 3), RecordError);
      t.true(part === null || part.bytes.length <= one.bytes.length);
    }
    const own = new MemoryLog();
    const outcome = own.appendBatch(one);
    t.is(own.last, outcome === null ? one.last : 0, "whole or not at all");
    if (one.first === 1) t.is(outcome === null, fault === null, fault ?? "sound");
  });
});

test("segments and the meta record of a store", (t) => {
  const end = { sequence: 5, hash: 1, epoch: 2 };
  const meta: CheckpointMeta = {
    service: "pair",
    server: "alpha",
    schema: "s",
    history: "h",
    epoch: 2,
    incarnation: "a",
    previousEnd: null,
    life: 1,
    published: 0,
    committed: 5,
    resultNumber: 5,
    forgottenThrough: 0,
    floorMs: 0,
    applied: end,
    firstRetained: 1,
    digest: { rows: 0, sum: 0 },
    queues: [],
    flushes: 1,
  };
  t.deepEqual(readMeta(metaValue(meta)), meta);
  const json = Buffer.from(JSON.stringify(meta));
  holds(t, bytesLike(metaValue(meta)), (bytes) => {
    const read = valueOr(() => readMeta(bytes), LayoutError);
    t.true(read === null || read.epoch <= maxEpoch);
  });
  // With the right hash, as whoever sends a snapshot can make it.
  holds(t, bytesLike(json), (bytes) => {
    const value = Buffer.concat([Buffer.from([1, 0, 0, 0, 0]), bytes]);
    value.writeUInt32LE(crc32(bytes), 1);
    const read = valueOr(() => readMeta(value), LayoutError);
    t.true(read === null || read.epoch <= maxEpoch);
  });
  holds(t, bytesLike(segmentValue([batch], batch.bytes.length)), (bytes) => {
    const read = valueOr(() => readSegment(segmentKey(1), bytes), LayoutError);
    if (read !== null) t.notThrows(() => verifyBatch(read));
  });
});

test("chunks of a snapshot", (t) => {
  const encoder = new SnapshotEncoder(100);
  const chunks = [...encoder.add(Buffer.from("key"), Buffer.alloc(150, 1)), ...encoder.finish()];
  const whole = new SnapshotDecoder();
  for (const chunk of chunks) whole.take(chunk);
  holds(t, fc.array(bytesLike(...chunks), { maxLength: 4 }), (given) => {
    const decoder = new SnapshotDecoder();
    const taken = valueOr(() => given.map((chunk) => decoder.take(chunk).outcome), SnapshotError);
    t.true(taken === null || taken.length === given.length);
  });
});

test("effects", (t) => {
  const writer = new EffectWriter();
  writer.put(1, "k", '{"a":1}');
  writer.push(2, "[]");
  writer.shift(2, 1);
  writer.delete(1, "k");
  holds(t, bytesLike(Buffer.from(writer.view())), (bytes) => {
    let seen = 0;
    const count = () => {
      seen += 1;
    };
    valueOr(() => readEffects(bytes, { put: count, delete: count, push: count, shift: count }), EffectError);
    t.true(4 * seen <= bytes.length);
  });
});
