/** The ledger against the plain ledger, money conserved at every step, and transfers cut in two by a takeover. */
import test from "ava";
import { StateReader } from "../../actors/application/state.ts";
import { ledger, ledgerImbalance } from "../../actors/applications/ledger/ledger.ts";
import { Harness, settled } from "../helpers/hot-and-warm.ts";
import { Random } from "../helpers/random.ts";
import { ledgerFlowOfClients } from "../models/flows.ts";
import { PlainLedger } from "../models/plain-ledger.ts";

const imbalance = (harness: Harness) => ledgerImbalance(new StateReader(harness.hot) as never);
const balances = (harness: Harness) =>
  Object.fromEntries(
    [...harness.hot.table("accounts").rows].map(([name, row]) => [name, (row as { balance: number }).balance]),
  );

test("requests one after the other are answered as the plain ledger does", async (t) => {
  const harness = new Harness(ledger);
  const plain = new PlainLedger();
  const kinds = new Set<string>();
  let id = 0;
  for (const { client, body } of ledgerFlowOfClients(1, 1_500)) {
    const token = `r${id}`;
    id += 1;
    harness.client = client;
    harness.start(body, token);
    await settled();
    const outcome = harness.outcome(token) as { ok: boolean; result: { status: string; reason?: string } };
    t.deepEqual(outcome as unknown, { ok: true, result: plain.execute(body, client) });
    kinds.add(`${body.type} ${outcome.result.reason ?? outcome.result.status}`);
  }
  t.deepEqual(balances(harness), Object.fromEntries(plain.balances));
  t.is(imbalance(harness), 0);
  t.is(harness.warm.digest(), harness.hot.digest());
  t.is(harness.reload(harness.hot).digest(), harness.hot.digest());
  for (const kind of [
    "open done",
    "open account-exists",
    "deposit done",
    "deposit unknown-account",
    "transfer done",
    "transfer insufficient-funds",
    "transfer same-account",
    "transfer unknown-account",
  ])
    t.true(kinds.has(kind), `no ${kind}`);
});

test("a transfer is two records and a result; its money is on its way until the first is committed", async (t) => {
  const harness = new Harness(ledger);
  harness.result({ type: "open", account: "a" }, "1");
  harness.result({ type: "open", account: "b" }, "2");
  harness.result({ type: "deposit", account: "a", amount: 100 }, "3");
  harness.holdsCommits = true;
  harness.start({ type: "transfer", from: "a", to: "b", amount: 30 }, "4");
  await settled();
  t.deepEqual(balances(harness), { a: 70, b: 0 });
  t.is(harness.hot.table("transfers").rows.size, 1);
  t.is(imbalance(harness), 0);
  harness.commits[0]?.();
  await settled();
  t.deepEqual(harness.outcome("4"), { ok: true, result: { status: "done", balance: 70 } });
  t.deepEqual(balances(harness), { a: 70, b: 30 });
  t.is(imbalance(harness), 0);
  t.deepEqual(
    harness.sent.slice(-3).map((one) => `${one.kind} ${one.name}`),
    ["transaction reserve", "transaction settle", "final "],
  );
  t.deepEqual(harness.runner.query({ query: "balance", account: "b" }, 5, "me"), {
    ok: true,
    json: '{"account":"b","balance":30,"sequence":5}',
  });
  t.deepEqual(harness.runner.query({ query: "balance", account: "z" }, 5, "me"), {
    ok: true,
    json: '{"account":"z","balance":null,"sequence":5}',
  });
});

test("the sum of all deposits is bounded, so that every balance is exact", (t) => {
  const harness = new Harness(ledger);
  harness.result({ type: "open", account: "a" });
  t.like(harness.result({ type: "deposit", account: "a", amount: Number.MAX_SAFE_INTEGER }), { status: "done" });
  t.deepEqual(harness.result({ type: "deposit", account: "a", amount: 1 }), { status: "rejected", reason: "too-much" });
});

test("transfers at the same time, cut off by takeovers at any point and resumed, keep the money together", async (t) => {
  for (const seed of [1, 2, 3, 4]) {
    const random = new Random(seed);
    let harness = new Harness(ledger);
    const names = ["a", "b", "c"];
    for (const account of names) {
      harness.result({ type: "open", account }, `open ${account}`);
      harness.result({ type: "deposit", account, amount: 100 }, `deposit ${account}`);
    }
    for (let round = 0; round < 25; round += 1) {
      harness.holdsCommits = true;
      const bodies = new Map<string, unknown>();
      for (let n = 0; n < 6; n += 1) {
        const token = `${round}.${n}`;
        bodies.set(token, {
          type: "transfer",
          from: random.pick(names),
          to: random.pick(names),
          amount: random.whole(1, 60),
        });
        harness.start(bodies.get(token), token);
      }
      for (const commit of harness.commits.splice(0)) if (random.chance(0.5)) commit();
      await settled();
      t.is(imbalance(harness), 0);
      // A takeover: the warm copy goes on, and runs again what has no final record.
      const open = [...bodies].filter(([token]) => harness.outcome(token) === undefined);
      const records = harness.sent.filter((one) => one.kind === "transaction");
      harness.runner.abandonAll();
      const next = new Harness(ledger);
      for (const state of [next.hot, next.warm]) copy(harness, state);
      for (const [token, body] of open) {
        const completed = records.filter((one) => one.token === token).map(({ name, json }) => ({ name, value: json }));
        next.start(body, token, completed);
      }
      await settled();
      for (const [token] of open) t.like(next.outcome(token), { ok: true });
      harness = next;
      t.is(harness.hot.table("transfers").rows.size, 0);
      t.is(imbalance(harness), 0);
      t.is(harness.warm.digest(), harness.hot.digest());
    }
    t.is(
      Object.values(balances(harness)).reduce((sum, one) => sum + one, 0),
      300,
    );
  }
});

/** Loads what the warm copy holds. */
function copy(from: Harness, into: Harness["hot"]): void {
  const bytes = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));
  for (const [part, name] of ["accounts", "reservations", "totals", "transfers"].entries())
    for (const [key, row] of from.warm.table(name).rows) into.loadRow(part, key, bytes(row));
  const journal = from.warm.queue("journal");
  for (let at = 0; at < journal.length; at += 1) into.loadQueueItem(4, journal.head + at, bytes(journal.at(at)));
}
