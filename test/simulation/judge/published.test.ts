/** What counts as lost from the stream of results, and what a broker too narrow for it excuses (rule 13, situation 58). */
import test from "ava";
import { usualLimits } from "../../../actors/testing/world/sim-broker.ts";
import { recordKinds } from "../../../machines/codec/record.ts";
import { headers } from "../../../schemas/envelope.ts";
import { batchOf, fieldsOf } from "../../helpers/records.ts";
import { PublishedCheck } from "./published.ts";

const reply = JSON.stringify({ client: "alice", id: "1", ok: true, result: "x".repeat(600), sequence: 1, epoch: 1 });
const results = batchOf(
  [1, 2].map((sequence) => fieldsOf({ sequence, reply })),
  0,
);

/** Two results are committed while the broker takes so much, and taken for published when it takes what it did before. */
function violations(payloadBytes: number, taken: readonly number[]): string[] {
  const found: string[] = [];
  const check = new PublishedCheck((of) => void found.push(of));
  check.onLimits({ ...usualLimits, payloadBytes }, "shop");
  check.onCommitted("h1", results);
  for (const sequence of taken) {
    const given = { [headers.history]: "h1", [headers.sequence]: String(sequence) };
    check.onTaken({ subject: "shop.result.k.alice", data: new Uint8Array(0), headers: given, reply: "" });
  }
  check.onLimits(usualLimits, "shop");
  check.check({ self: "alpha-1", history: "h1", published: 2 });
  return found;
}

test("a result below the watermark that no broker took is lost, where a stand-in would have fitted", (t) => {
  t.deepEqual(violations(usualLimits.payloadBytes, [1, 2]), []);
  t.deepEqual(violations(usualLimits.payloadBytes, [1]), ["rule 13"]);
  t.deepEqual(violations(500, [1]), ["rule 13"]);
});

test("where not even a stand-in went through, the number that is missing tells", (t) => {
  t.deepEqual(violations(230, []), []);
});

test("results before a new history begins are of the old one, also where they are committed first", (t) => {
  const found: string[] = [];
  const check = new PublishedCheck((_of, text) => void found.push(text));
  const alpha = { self: "alpha-1", history: "h2", published: 3 };
  const start = fieldsOf({ kind: recordKinds.history, sequence: 3, resultNumber: 0, name: "h2" });
  const next = fieldsOf({ sequence: 4, resultNumber: 1, reply });
  const [history, result] = [batchOf([start], results.lastHash), batchOf([next], 0)];
  for (const batch of [results, history, result]) {
    check.onCommitted("h2", batch);
    check.check(alpha);
  }
  t.deepEqual(found, []);
  check.check({ ...alpha, published: 4 });
  t.deepEqual(found, ["alpha-1 takes results up to 4 for published, and NATS never took that of 4"]);
});
