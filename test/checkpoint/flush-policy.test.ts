/** Claim 6: every reason to flush, by itself and against the others, and no reason where there is none. */
import test from "ava";
import { type FlushNeed, flushReason } from "../../machines/checkpoint/flush-policy.ts";

const limits = { flushMs: 200, flushRecords: 1000, flushBytes: 5000 };
const need: FlushNeed = { records: 1, bytes: 10, sinceFlushMs: 0, memoryPressure: false, isAsked: false };

test("each criterion flushes at its limit and not before", (t) => {
  t.is(flushReason(need, limits), null);
  t.is(flushReason({ ...need, sinceFlushMs: 199.9 }, limits), null);
  t.is(flushReason({ ...need, sinceFlushMs: 200 }, limits), "time");
  t.is(flushReason({ ...need, records: 999 }, limits), null);
  t.is(flushReason({ ...need, records: 1000 }, limits), "count");
  t.is(flushReason({ ...need, bytes: 4999 }, limits), null);
  t.is(flushReason({ ...need, bytes: 5000 }, limits), "memory");
  t.is(flushReason({ ...need, memoryPressure: true }, limits), "memory");
});

test("nothing to flush is no reason, unless somebody asks", (t) => {
  const nothing = { ...need, records: 0, bytes: 0, sinceFlushMs: 9999, memoryPressure: true };
  t.is(flushReason(nothing, limits), null);
  t.is(flushReason({ ...nothing, isAsked: true }, limits), "command");
});
