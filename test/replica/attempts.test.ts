/** What a request was tried is remembered for as long as it is asked for, whatever replies are forgotten meanwhile (rule 17). */
import test from "ava";
import { type RecordKind, RecordReader, recordKinds } from "../../machines/codec/record.ts";
import { RequestTable } from "../../machines/replica/log/requests.ts";
import { shippedRules } from "../../machines/replica/rules.ts";
import { bytesOf, fieldsOf } from "../helpers/records.ts";

/** A table that was fed these records. */
function tableOf(...records: { kind: RecordKind; id: string }[]): RequestTable {
  const table = new RequestTable({ through: 0, resultNumber: 0, rememberClients: 9 });
  for (const [at, record] of records.entries()) {
    const bytes = bytesOf(fieldsOf({ ...record, sequence: at + 1, body: "{}" }));
    table.observe(new RecordReader(bytes), bytes);
  }
  return table;
}
const attempt = (id: string) => ({ kind: recordKinds.attempt, id });
const final = (id: string) => ({ kind: recordKinds.final, id });
const attemptsOf = (table: RequestTable) => [...table.begun.values()].map(({ id, attempts }) => `${id}: ${attempts}`);

test("a request that is tried again keeps its attempts, though replies of after the first one are forgotten", (t) => {
  const table = tableOf(attempt("kills"), final("a"), final("b"), attempt("kills"), final("c"));
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
