/** Transactions of random reads and writes against plain maps and arrays: what they see, and what they leave behind. */
import test, { type ExecutionContext } from "ava";
import { Random } from "../helpers/random.ts";
import { numbers, type Tx, withHandler } from "./probe.ts";

/** State as plain as can be. */
interface Plain {
  rows: Map<string, number>;
  log: string[];
}

function step(t: ExecutionContext, random: Random, tx: Tx, plain: Plain): void {
  const key = `k${random.whole(0, 25)}`;
  const kind = random.whole(0, 7);
  if (kind <= 1) {
    const value = random.whole(-5, 5);
    tx.put("numbers", key, value);
    plain.rows.set(key, value);
  } else if (kind === 2) t.is(tx.delete("numbers", key), plain.rows.delete(key));
  else if (kind === 3) {
    t.is(tx.get("numbers", key), plain.rows.get(key));
    t.is(tx.has("numbers", key), plain.rows.has(key));
  } else if (kind === 4) {
    t.is(tx.size("numbers"), plain.rows.size);
    t.deepEqual(Object.fromEntries(tx.rows("numbers")), Object.fromEntries(plain.rows));
  } else if (kind === 5) {
    tx.push("log", key);
    plain.log.push(key);
    if (plain.log.length > 3) plain.log.shift();
  } else if (kind === 6) t.is(tx.shift("log"), plain.log.shift());
  else {
    const count = random.whole(0, 4);
    t.deepEqual(tx.peek("log", count), plain.log.slice(0, count));
    t.is(tx.queueLength("log"), plain.log.length);
  }
}

for (const seed of [1, 2, 3, 4, 5]) {
  test(`random transactions ${seed}: short and long, kept and thrown away`, (t) => {
    const random = new Random(seed);
    let kept: Plain = { rows: new Map(), log: [] };
    const harness = withHandler(({ transaction }) => {
      for (let round = 0; round < 3; round += 1) {
        const plain = { rows: new Map(kept.rows), log: [...kept.log] };
        const steps = random.chance(0.5) ? random.whole(0, 12) : random.whole(13, 150);
        const isKept = random.chance(0.8);
        const run = () =>
          transaction(`t${round}`, (tx) => {
            for (let at = 0; at < steps; at += 1) step(t, random, tx, plain);
            if (!isKept) throw new Error("thrown away");
          });
        if (isKept) run();
        else t.throws(run, { message: "thrown away" });
        if (isKept) kept = plain;
      }
      return { value: 1 };
    });
    for (let request = 0; request < 60; request += 1) {
      harness.start({ n: 1 }, String(request));
      t.like(harness.outcome(String(request)), { ok: true });
      t.deepEqual(numbers(harness), Object.fromEntries(kept.rows));
      const log = harness.hot.queue("log");
      t.deepEqual(
        Array.from({ length: log.length }, (_, at) => log.at(at)),
        kept.log as unknown[],
      );
      t.is(harness.warm.digest(), harness.hot.digest());
    }
    t.is(harness.reload(harness.hot).digest(), harness.hot.digest());
  });
}
