/** Messages between servers as frames: the same message and payload come out, and everything else is a MessageError. */
import test from "ava";
import * as fc from "fast-check";
import {
  decodeMessage,
  encodeMessage,
  MessageError,
  messageVersion,
  type PeerMessage,
  sameMember,
} from "../../machines/codec/message.ts";

const count = fc.maxSafeNat();
const name = fc.string({ unit: "grapheme", maxLength: 20 });
const ids = { session: name, from: name, to: name, epoch: count };
const messages: fc.Arbitrary<PeerMessage> = fc.oneof(
  fc.record({
    type: fc.constant("mirror" as const),
    ...ids,
    first: count,
    last: count,
    previousHash: count,
    lastHash: count,
    committed: count,
    published: count,
    probe: count,
  }),
  fc.record({
    type: fc.constant("confirm" as const),
    ...ids,
    sequence: count,
    hash: count,
    probe: count,
    gap: fc.boolean(),
  }),
  fc.record({ type: fc.constant("accept" as const), ...ids, sequence: count, hash: fc.option(count) }),
  fc.record({ type: fc.constant("leave" as const), from: name }),
  fc.record({
    type: fc.constant("follow" as const),
    ...ids,
    number: count,
    history: name,
    schema: name,
    last: count,
    committed: count,
    epochEnds: fc.array(fc.record({ epoch: count, last: count }), { maxLength: 5 }),
  }),
);

const leave = encodeMessage({ type: "leave", from: "漢字 é 👩‍🚀" });

test("a message and its payload come out as they went in", (t) => {
  const property = fc.property(messages, fc.uint8Array({ maxLength: 50 }), fc.nat(20), (message, payload, before) => {
    // Frames are often views into a larger buffer.
    const frame = Buffer.concat([Buffer.alloc(before), encodeMessage(message), payload]).subarray(before);
    const decoded = decodeMessage(frame);
    t.deepEqual(decoded.message, message);
    t.deepEqual(Buffer.from(decoded.payload), Buffer.from(payload));
  });
  t.notThrows(() => fc.assert(property, { numRuns: 200 }));
});

test("a message that is cut off anywhere is refused", (t) => {
  for (let length = 0; length < leave.length; length += 1)
    t.throws(() => decodeMessage(leave.subarray(0, length)), { instanceOf: MessageError }, `${length} bytes`);
  t.deepEqual(decodeMessage(leave).message, { type: "leave", from: "漢字 é 👩‍🚀" });
});

test("a message of another version is refused and says both versions", (t) => {
  for (const version of [0, messageVersion + 1, 255]) {
    const frame = Buffer.from(leave);
    frame[0] = version;
    const error = t.throws(() => decodeMessage(frame), { instanceOf: MessageError });
    t.is(error.message, `a message of version ${version}; this program knows ${messageVersion}`);
  }
});

test("a header that is not JSON, or longer than the frame, is refused", (t) => {
  const broken = Buffer.from(leave);
  broken[8] = 0x21;
  t.throws(() => decodeMessage(broken), { instanceOf: MessageError, message: "a message's header is not JSON" });
  const long = Buffer.from(leave);
  long.writeUInt32LE(0xffff_ffff, 4);
  t.throws(() => decodeMessage(long), { instanceOf: MessageError, message: "a message is cut off" });
});

test("a header that is JSON and no object is refused", (t) => {
  for (const header of ["null", "1", '"text"', "true"]) {
    const frame = Buffer.alloc(8 + header.length);
    frame.writeUInt32LE(messageVersion, 0);
    frame.writeUInt32LE(frame.write(header, 8), 4);
    t.throws(() => decodeMessage(frame), { instanceOf: MessageError }, header);
  }
});

test("a member is an incarnation of a server, not a server (rule 1)", (t) => {
  const alpha = { server: "alpha", incarnation: "a1" };
  t.true(sameMember(alpha, { ...alpha }));
  t.false(sameMember(alpha, { ...alpha, incarnation: "a2" }));
  t.false(sameMember(alpha, { ...alpha, server: "beta" }));
});
