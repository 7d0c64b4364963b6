/** What a request was tried is remembered for as long as it is asked for, whatever replies are forgotten meanwhile (rule 17). */

import test from "ava";
import { type RecordKind, RecordReader, recordKinds } from "../../machines/codec/record.ts";
import { KeyHasher } from "../../machines/log/key-index.ts";
import { RequestTable } from "../../machines/replica/log/requests.ts";
import { shippedRules } from "../../machines/replica/rules.ts";
import { bytesOf, fieldsOf } from "../helpers/records.ts";

/** A table that was fed these records. */
function tableOf(...records: { kind: RecordKind; id: string; ordinal?: number; takenMs?: number }[]): RequestTable {
  const table = new RequestTable({
    through: 0,
    resultNumber: 0,
    rememberClients: 9,
    maxRememberedBytes: Number.POSITIVE_INFINITY,
    hasher: new KeyHasher("test"),
  });
  for (const [at, record] of records.entries()) {
    const bytes = bytesOf(fieldsOf({ ...record, sequence: at + 1, body: "{}" }));
    table.observe(new RecordReader(bytes), bytes);
  }
  return table;
}
const attempt = (id: string, ordinal = 0, takenMs = 0) => ({ kind: recordKinds.attempt, id, ordinal, takenMs });
const final = (id: string) => ({ kind: recordKinds.final, id });
const attemptsOf = (table: RequestTable) => [...table.begun.values()].map(({ id, attempts }) => `${id}: ${attempts}`);

test("a request that is tried again keeps its attempts, though replies of after the first one are forgotten", (t) => {
  const table = tableOf(attempt("kills"), final("a"), final("b"), attempt("kills", 1), final("c"));
  table.forget(3, shippedRules);
  t.deepEqual(attemptsOf(table), ["kills: 2"]);
  t.is(table.oldestNeeded, 1, "and the log from its first one");
});

test("one that was tried, never finished and not asked for since is forgotten, and holds the log no more", (t) => {
  const table = tableOf(attempt("gone"), final("a"), final("b"), final("c"));
  table.forget(2, shippedRules);
  t.deepEqual(attemptsOf(table), []);
  t.is(table.oldestNeeded, 3);
});

test("one whose earlier attempts its primary had forgotten begins anew, on a server that has not forgotten them yet as well", (t) => {
  const table = tableOf(attempt("again", 0, 70), final("a"), attempt("again", 0, 90));
  const [begun] = table.begun.values();
  t.like(begun, { attempts: 1, takenMs: 90, firstSequence: 3 });
  const forgetful = tableOf(attempt("again", 0, 70), final("a"));
  forgetful.forget(2, shippedRules);
  const bytes = bytesOf(fieldsOf({ ...attempt("again", 1, 70), sequence: 3, body: "{}" }));
  forgetful.observe(new RecordReader(bytes), bytes);
  t.like(
    [...forgetful.begun.values()][0],
    { attempts: 2, takenMs: 70 },
    "and one that has forgotten goes by its primary",
  );
});
