/**
 * What releases wrote, kept as they wrote it: messages between servers, records of the log. Whatever changes, this release reads them and makes the same of them. A file here is never written anew; a format that changes gets a file beside it.
 */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import test from "ava";
import { decodeMessage } from "../../machines/codec/message.ts";
import {
  encodeRecord,
  type RecordFields,
  RecordReader,
  recordBound,
  recordKinds,
} from "../../machines/codec/record.ts";

const kept = (name: string) => fileURLToPath(new URL(`../../../test/codec/testdata/${name}`, import.meta.url));
const linesOf = <T>(name: string) =>
  readFileSync(kept(name), "utf8")
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as T);

interface KeptFrame {
  readonly message: Readonly<Record<string, unknown>>;
  readonly payload: string;
  readonly frame: string;
}

interface KeptRecord {
  readonly fields: Omit<RecordFields, "kind" | "effects"> & { kind: keyof typeof recordKinds; effects: string };
  readonly bytes: string;
}

/** The second has when requests were taken, the third their trace contexts, in records of the same version. */
const releases = { frames: ["0.1"], records: ["0.1", "0.2", "0.3"] } as const;

for (const release of releases.frames) {
  test(`messages of release ${release} are read, all that there were`, (t) => {
    const frames = linesOf<KeptFrame>(`frames-${release}.jsonl`);
    t.is(new Set(frames.map(({ message }) => message["type"])).size, 11);
    for (const { message, payload, frame } of frames) {
      const read = decodeMessage(Buffer.from(frame, "base64"));
      t.like(read.message, message);
      t.is(Buffer.from(read.payload).toString(), payload);
    }
  });
}

for (const release of releases.records) {
  test(`records of release ${release} are read field by field, and are still written so`, (t) => {
    for (const { fields, bytes } of linesOf<KeptRecord>(`records-${release}.jsonl`)) {
      const written = Buffer.from(bytes, "base64");
      const { kind, effects, ...rest } = fields;
      const reader = new RecordReader(written);
      const { client, id, key, name, sequence, epoch, ordinal, resultNumber, stampMs, forgottenThrough, bodyHash } =
        reader;
      t.is(reader.takenMs, rest.takenMs ?? 0);
      t.is(reader.traceparent, rest.traceparent ?? "");
      t.is(reader.kind, recordKinds[kind]);
      t.like(rest, {
        client,
        id,
        key,
        name,
        sequence,
        epoch,
        ordinal,
        resultNumber,
        stampMs,
        forgottenThrough,
        bodyHash,
      });
      // Behind a body stands the trace context, as white space.
      const body = Buffer.from(reader.body).toString().trimEnd();
      const texts = [reader.effects, reader.reply, body].map((part) => Buffer.from(part).toString("base64"));
      t.deepEqual(texts, [effects, base64(rest.reply), base64(rest.body)]);
      const again = { ...rest, kind: recordKinds[kind], effects: Buffer.from(effects, "base64") };
      const target = Buffer.alloc(recordBound(again));
      t.deepEqual(
        target.subarray(0, encodeRecord(target, 0, again)),
        written,
        `${kind}: the log's hash is of these bytes`,
      );
    }
  });
}

const base64 = (text: Uint8Array | string) => Buffer.from(text).toString("base64");
