/**
 * Frames that no server sends: of a stranger who speaks on the servers' subjects and ports, or of a program with a fault. Each is
 * sound as a frame, and damaged, short of fields or out of range as a message; none may do anything but be counted.
 */
import { crc32 } from "node:zlib";
import { encodeFrame } from "../../actors/world/frames.ts";
import { encodeMessage, messageVersion } from "../../machines/codec/message.ts";
import { initialRecord } from "../../machines/replica/registry/initial-record.ts";
import { type PeerMessage, peerMessages } from "../../schemas/peer-message.ts";
import { maxEpoch, maxIdLength } from "../../schemas/ranges.ts";

/** What a stranger can know of a service: all of it is public on the bus. */
export interface KnownService {
  readonly service: string;
  /** In whose name he speaks, and with whom. */
  readonly from: { readonly server: string; readonly incarnation: string };
  readonly to: { readonly server: string; readonly incarnation: string };
  readonly epoch: number;
  readonly history: string;
  readonly schema: string;
  readonly last: number;
}

export type MisfitFrame = readonly [what: string, frame: Uint8Array];

/** The header as it stands, and no payload. */
export function frameOf(header: string | object): Buffer {
  const text = Buffer.from(typeof header === "string" ? header : JSON.stringify(header));
  const bytes = Buffer.alloc(8 + text.length);
  bytes.writeUInt32LE(messageVersion, 0);
  bytes.writeUInt32LE(text.length, 4);
  bytes.set(text, 8);
  return bytes;
}

/** As it goes over NATS, in a server's name. */
export function failsafeFrame(name: string, frame: Uint8Array, version = 1): Buffer {
  const rest = Buffer.concat([Buffer.from([version, name.length]), Buffer.from(name), frame]);
  const header = encodeFrame([rest]);
  return Buffer.concat([header.subarray(4, 8), rest]);
}

/** One of each message that fits, and that nobody acts upon: of a session that there is not, or for somebody else. */
export function fittingMessages({ from, to, epoch, history, schema, last, service }: KnownService): PeerMessage[] {
  const ids = { session: "nobody.s1", from: from.incarnation, to: to.incarnation };
  const record = { ...initialRecord(service, from.server, history), epoch };
  const end = { sequence: last, hash: 1, epoch };
  return [
    {
      type: "heartbeat",
      incarnation: from.incarnation,
      life: 1,
      disk: "",
      beat: 1,
      wallMs: 1_764_000_000_000,
      heard: { [to.server]: { incarnation: to.incarnation, beat: 1, mainBeat: 1 } },
      state: "following.warm",
      hot: false,
      stopping: false,
      rereads: true,
      heedsPause: true,
      bus: true,
      registry: true,
      epochSeen: epoch,
      history,
      lastEpoch: epoch,
      last,
      committed: last,
      schema,
      rememberClients: 1024,
      record,
      revision: 1,
      removals: { [to.server]: { times: 0, ageMs: 0 } },
    },
    {
      type: "follow",
      ...ids,
      to: "nobody",
      number: 1,
      epoch,
      history,
      schema,
      last,
      committed: last,
      epochEnds: [{ epoch, last }],
    },
    {
      type: "accept",
      ...ids,
      epoch,
      sequence: last,
      hash: null,
      ancestors: [{ history: "before", start: 0, end, results: 0 }],
    },
    { type: "decline", ...ids, reason: "schema" },
    {
      type: "mirror",
      ...ids,
      epoch,
      first: last + 1,
      last: last + 1,
      previousHash: 1,
      lastHash: 2,
      committed: last,
      published: last,
      probe: 1,
    },
    { type: "confirm", ...ids, epoch, sequence: last, hash: 1, probe: 1, gap: false },
    { type: "left", from: from.incarnation, to: "nobody", epoch },
    { type: "handover", from: from.incarnation, to: "nobody", epoch, sequence: last, hash: 1 },
    { type: "snapshotChunk", session: "nobody.s1", number: 1 },
    { type: "snapshotAck", session: "nobody.s1", number: 1, done: false },
  ];
}

const outOfRange: readonly unknown[] = [null, -1, 1.5, 2 ** 53, 1e300, "1", [], {}, true];
/** Fields of numbers: each is put out of range in every message that has it. */
const numbers = new Set([
  "epoch",
  "epochSeen",
  "lastEpoch",
  "beat",
  "life",
  "revision",
  "sequence",
  "first",
  "last",
  "committed",
  "published",
  "probe",
  "previousHash",
  "lastHash",
  "hash",
  "number",
]);

export function misfitFrames(known: KnownService): MisfitFrame[] {
  const frames: MisfitFrame[] = [
    ["nothing", Buffer.alloc(0)],
    ["half a prefix", Buffer.from([1, 0, 0])],
    ["a version that there is not", Buffer.from([9, 0, 0, 0, 2, 0, 0, 0, 0x7b, 0x7d])],
    ["no JSON", frameOf("{")],
    ["null", frameOf("null")],
    ["a list", frameOf("[]")],
    ["no type", frameOf({})],
    ["a type of the prototype", frameOf({ type: "constructor" })],
    ["a type that there is not", frameOf({ type: "nonsense" })],
    ["a type that is no text", frameOf({ type: { toString: 1 } })],
    ["a header that is too long", frameOf({ type: "leave", from: "x".repeat(300_000) })],
    ["a header that is cut off", encodeMessage({ type: "leave", from: "x" }).subarray(0, 12)],
    ["a record of an epoch that there is not, told", told(known, { epoch: 9e15 })],
    ["a record of one epoch too many, told", told(known, { epoch: maxEpoch + 1 })],
    ["a record that counts on nobody, told", told(known, { inSync: [] })],
    ["a record whose primary is not in sync, told", told(known, { primary: { server: "gamma", incarnation: "g" } })],
    ["removals that are null", changed(known, "heartbeat", { removals: { alpha: null } })],
    ["servers without names", changed(known, "heartbeat", { heard: { __proto_: 1, "": null } })],
    [
      "a list of epochs that has no end",
      changed(known, "follow", { epochEnds: Array.from({ length: 5_000 }, () => ({ epoch: 1, last: 1 })) }),
    ],
    ["a session's name that has no end", changed(known, "mirror", { session: "s".repeat(maxIdLength + 1) })],
  ];
  for (const type of Object.keys(peerMessages)) frames.push([`${type} without its fields`, frameOf({ type })]);
  for (const message of fittingMessages(known)) {
    const { type } = message;
    for (const [field, value] of Object.entries(message)) {
      if (field === "type" || (type === "accept" && field === "hash")) continue;
      frames.push([`${type} with ${field} of another kind`, frameOf({ ...message, [field]: { no: "such thing" } })]);
      if (!numbers.has(field) || typeof value !== "number") continue;
      for (const odd of outOfRange)
        frames.push([`${type} with ${field} ${JSON.stringify(odd)}`, frameOf({ ...message, [field]: odd })]);
    }
  }
  return frames;
}

/**
 * Mirrors in a session that stands, if it is called so, whose payload is not the records that they name. `end`: where the
 * hearer's log ends.
 */
export function misfitMirrors(
  { from, to, epoch }: KnownService,
  session: string,
  end: { readonly sequence: number; readonly hash: number },
): MisfitFrame[] {
  const fields = { session, epoch, from: from.incarnation, to: to.incarnation, committed: 0, published: 0, probe: 0 };
  const garbage = Buffer.alloc(90, 7);
  const next = end.sequence + 1;
  const mirror = (what: string, first: number, last: number, previousHash: number, payload: Buffer): MisfitFrame => {
    const lastHash = crc32(payload, previousHash);
    const header = encodeMessage({ type: "mirror", ...fields, first, last, previousHash, lastHash });
    return [`a mirror ${what}`, Buffer.concat([header, payload])];
  };
  return [
    mirror("of all records, without one", 1, Number.MAX_SAFE_INTEGER, 0, Buffer.alloc(0)),
    mirror("of all records, that are none", 1, Number.MAX_SAFE_INTEGER, 0, garbage),
    mirror("of the next record, that is none", next, next, end.hash, garbage),
    mirror("of the next record, with no bytes", next, next, end.hash, Buffer.alloc(0)),
    mirror("of the next record, that is cut off", next, next, end.hash, Buffer.alloc(80)),
  ];
}

function changed(known: KnownService, type: PeerMessage["type"], change: object): Buffer {
  return frameOf({ ...fittingMessages(known).find((message) => message.type === type), ...change });
}

function told(known: KnownService, change: object): Buffer {
  const record = { ...initialRecord(known.service, known.from.server, known.history), epoch: known.epoch };
  return changed(known, "heartbeat", { record: { ...record, ...change }, revision: 1_000_000 });
}
