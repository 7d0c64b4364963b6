/** Messages between servers as frames: the same message and payload come out, and everything else is a MessageError. */
import test from "ava";
import * as fc from "fast-check";
import { decodeMessage, encodeMessage, MessageError, messageVersion } from "../../machines/codec/message.ts";
import { Confirm, isHotMessage, Mirror, type PeerMessage } from "../../schemas/peer-message.ts";
import { maxEpoch, maxHash, maxIdLength } from "../../schemas/ranges.ts";
import { sameMember } from "../../schemas/registry.ts";
import { fittingMessages, frameOf, misfitFrames } from "../helpers/misfit-frames.ts";
import { runs } from "../helpers/property-runs.ts";

const count = fc.maxSafeNat();
const hash = fc.nat(maxHash);
const name = fc.string({ unit: "grapheme", minLength: 1, maxLength: 20 });
const ids = { session: name, from: name, to: name };
const ofEpoch = { ...ids, epoch: fc.nat(maxEpoch) };
const mirror = fc.record({
  type: fc.constant("mirror" as const),
  ...ofEpoch,
  first: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
  last: count,
  previousHash: hash,
  lastHash: hash,
  committed: count,
  published: count,
  probe: count,
});
const confirm = fc.record({
  type: fc.constant("confirm" as const),
  ...ofEpoch,
  sequence: count,
  hash,
  probe: count,
  gap: fc.boolean(),
});
const messages: fc.Arbitrary<PeerMessage> = fc.oneof(
  mirror,
  confirm,
  fc.record({ type: fc.constant("accept" as const), ...ofEpoch, sequence: count, hash: fc.option(hash) }),
  fc.record({ type: fc.constant("leave" as const), from: name }),
  fc.record({
    type: fc.constant("decline" as const),
    ...ids,
    reason: fc.constantFrom("snapshot", "schema", "leaving"),
  }),
  fc.record({
    type: fc.constant("follow" as const),
    ...ofEpoch,
    number: count,
    history: name,
    schema: name,
    last: count,
    committed: count,
    epochEnds: fc.array(fc.record({ epoch: fc.nat(maxEpoch), last: count }), { maxLength: 5 }),
  }),
);

const leave = encodeMessage({ type: "leave", from: "漢字 é 👩‍🚀" });
const known = {
  service: "pair",
  from: { server: "alpha", incarnation: "alpha-1" },
  to: { server: "beta", incarnation: "beta-1" },
  epoch: 7,
  history: "h",
  schema: "s",
  last: 12,
};

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

test("every message that fits is read as it was said, whatever a newer program says besides", (t) => {
  for (const message of fittingMessages(known)) {
    t.deepEqual(decodeMessage(encodeMessage(message)).message, message, message.type);
    const more = decodeMessage(frameOf({ ...message, signature: "x", more: [{}] })).message;
    t.like(more, message, message.type);
  }
});

test("what older programs do not say may be missing", (t) => {
  const [heartbeat, follow, accept] = fittingMessages(known);
  const without = (message: object | undefined, ...fields: string[]) =>
    frameOf(Object.fromEntries(Object.entries(message ?? {}).filter(([field]) => !fields.includes(field))));
  const optional = ["disk", "wallMs", "rereads", "heedsPause", "rememberClients", "record", "revision", "removals"];
  for (const frame of [without(heartbeat, ...optional), without(follow, "number"), without(accept, "ancestors")])
    t.notThrows(() => decodeMessage(frame));
});

test("a message without its fields, out of range, or of no kind that there is, does not fit", (t) => {
  const frames = misfitFrames(known);
  t.true(frames.length > 300);
  for (const [what, frame] of frames) {
    const error = t.throws(() => decodeMessage(frame), { instanceOf: MessageError }, what);
    t.true((error?.message.length ?? 0) <= 300, what);
  }
});

test("what is asked of mirrors and confirms by hand is what their schemas ask", (t) => {
  const odd = fc.oneof(
    fc.constantFrom<unknown>(null, undefined, -1, -0, 1.5, 1e300, 2 ** 32, maxEpoch, 2 ** 53, "", "x", true, [], {}),
    fc.constantFrom("x".repeat(maxIdLength), "x".repeat(maxIdLength + 1), Number.MAX_SAFE_INTEGER),
    fc.integer(),
    fc.string({ maxLength: 3 }),
  );
  const change = fc.dictionary(fc.constantFrom(...Object.keys({ ...Mirror.shape, ...Confirm.shape })), odd, {
    maxKeys: 2,
  });
  const property = fc.property(fc.oneof(mirror, confirm), change, (message, changes) => {
    const changed = JSON.parse(JSON.stringify({ ...message, ...changes })) as object;
    const { type } = changed as { type?: unknown };
    const schema = type === "mirror" ? Mirror : type === "confirm" ? Confirm : null;
    t.is(isHotMessage(changed), schema?.safeParse(changed).success ?? false, JSON.stringify(changed));
  });
  t.notThrows(() => fc.assert(property, { numRuns: runs(2_000) }));
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
  for (const header of ["null", "1", '"text"', "true"])
    t.throws(() => decodeMessage(frameOf(header)), { instanceOf: MessageError }, header);
});

test("a member is an incarnation of a server, not a server (rule 1)", (t) => {
  const alpha = { server: "alpha", incarnation: "a1" };
  t.true(sameMember(alpha, { ...alpha }));
  t.false(sameMember(alpha, { ...alpha, incarnation: "a2" }));
  t.false(sameMember(alpha, { ...alpha, server: "beta" }));
});
