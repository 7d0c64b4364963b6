/** Trace contexts: what is one, by W3C's form; and that a record gives back what it was given, beside a body that stays the same JSON. */
import test from "ava";
import * as fc from "fast-check";
import { RecordReader, recordKinds } from "../../machines/codec/record.ts";
import { traceAsSpace, traceBehind } from "../../machines/codec/traceparent.ts";
import { readTraceparent } from "../../schemas/traceparent.ts";
import { bytesOf, fieldsOf } from "../helpers/records.ts";

const known = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const hex = (bytes: number) =>
  fc.uint8Array({ minLength: bytes, maxLength: bytes }).map((array) => Buffer.from(array).toString("hex"));
const traces = fc
  .tuple(hex(16), hex(8), hex(1))
  .map(([trace, span, flags]) => `00-${trace}-${span}-${flags}`)
  .filter((text) => readTraceparent(text) !== "");

test("what is a trace context is taken, also of a later version; what is none is nothing", (t) => {
  t.is(readTraceparent(known), known);
  t.is(readTraceparent(`cc${known.slice(2)}`), known);
  t.is(readTraceparent(`cc${known.slice(2)}-what-is-next`), known);
  const none = [
    undefined,
    "",
    "00",
    `${known} `,
    `${known}-`,
    `${known}\n`,
    `ff${known.slice(2)}`,
    `cc${known.slice(2)}.more`,
    known.toUpperCase(),
    known.replaceAll("-", "_"),
    "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
    "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
    "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
    "00-4bf92f3577b34da6a3ce929d0e0e473g-00f067aa0ba902b7-01",
  ];
  for (const text of none) t.is(readTraceparent(text), "", String(text));
});

const json = fc.jsonValue().map((value) => JSON.stringify(value));

test("a record of each kind that belongs to a request gives back the trace, and its body is the JSON that it was", (t) => {
  const kinds = fc.constantFrom(recordKinds.transaction, recordKinds.final, recordKinds.attempt);
  const property = fc.property(kinds, json, fc.oneof(fc.constant(""), traces), (kind, body, traceparent) => {
    const takenMs = 1_764_000_000_000;
    const reader = new RecordReader(bytesOf(fieldsOf({ kind, body, traceparent, takenMs })));
    t.is(reader.traceparent, traceparent);
    t.is(reader.takenMs, takenMs);
    if (kind === recordKinds.final) t.is(reader.body.length, 0);
    else t.is(JSON.stringify(JSON.parse(Buffer.from(reader.body).toString())), body);
  });
  t.notThrows(() => fc.assert(property, { numRuns: 300 }));
});

test("without a trace a record's bytes are what they were before there were any", (t) => {
  for (const kind of [recordKinds.transaction, recordKinds.final, recordKinds.attempt]) {
    const fields = fieldsOf({ kind, body: '{"n":1}', takenMs: 5 });
    t.deepEqual(bytesOf({ ...fields, traceparent: "" }), bytesOf(fields));
  }
});

test("a later transaction has no body, and so no trace; catalogs and histories have none", (t) => {
  const takenMs = 5;
  const later = fieldsOf({ kind: recordKinds.transaction, ordinal: 1, body: "", traceparent: known, takenMs });
  t.is(new RecordReader(bytesOf(later)).traceparent, "");
  for (const kind of [recordKinds.history, recordKinds.catalog])
    t.is(new RecordReader(bytesOf(fieldsOf({ kind, body: "{}" }))).traceparent, "");
});

test("only white space of that length behind a body is a trace", (t) => {
  const space = traceAsSpace(known);
  t.regex(space, /^[ \t\r\n]{100}$/);
  const behind = (text: string) => traceBehind(Buffer.from(text), 0, text.length);
  t.is(behind(`{}${space}`), known);
  t.is(behind(space), "", "without a body");
  t.is(behind(`{"a":"${" ".repeat(120)}"}`), "");
  t.is(behind(`{"n":1}${space.slice(1)}`), "");
  t.is(traceAsSpace(""), "");
});
