/** What a transaction may do, what it sees, and what it is refused (rule 15). */
import test from "ava";
import { settled } from "../helpers/hot-and-warm.ts";
import { done, numbers, put, records, type Tx, withHandler } from "./probe.ts";

test("a transaction that throws leaves nothing, and the handler may go on", (t) => {
  const harness = withHandler(({ transaction }) => {
    t.throws(() =>
      transaction("bad", (tx) => {
        put(tx, "a", 1);
        tx.push("log", "bad");
        throw new Error("no");
      }),
    );
    transaction("good", (tx) => {
      t.false(tx.has("numbers", "a"));
      put(tx, "b", 2);
    });
    return { value: 1 };
  });
  harness.start({ n: 1 });
  t.deepEqual(records(harness), ["final 0 good"]);
  t.deepEqual(numbers(harness), { b: 2 });
  t.is(harness.hot.queue("log").length, 0);
  t.is(harness.warm.digest(), harness.hot.digest());
});

test("a transaction reads what it wrote, and after it nothing can be done through it", (t) => {
  let leaked: Tx | undefined;
  const harness = withHandler(({ transaction }) => {
    transaction("first", (tx) => {
      put(tx, "a", 1);
      put(tx, "b", 2);
      tx.push("log", "x");
    });
    transaction("second", (tx) => {
      leaked = tx;
      put(tx, "a", 10);
      t.is(tx.get("numbers", "a"), 10);
      t.true(tx.delete("numbers", "b"));
      t.false(tx.delete("numbers", "b"));
      t.is(tx.get("numbers", "b"), undefined);
      t.false(tx.has("numbers", "b"));
      t.is(tx.size("numbers"), 1);
      put(tx, "c", 3);
      put(tx, "b", 4);
      t.is(tx.size("numbers"), 3);
      t.deepEqual(
        new Map(tx.rows("numbers")),
        new Map([
          ["a", 10],
          ["b", 4],
          ["c", 3],
        ]),
      );
      for (const item of ["1", "2", "3"]) tx.push("log", item);
      t.deepEqual(tx.peek("log", 9), ["1", "2", "3"]);
      t.is(tx.shift("log"), "1");
      tx.push("log", "4");
      tx.push("log", "5");
      t.deepEqual(tx.peek("log", 2), ["3", "4"]);
      t.deepEqual([tx.shift("log"), tx.shift("log"), tx.shift("log"), tx.shift("log")], ["3", "4", "5", undefined]);
      tx.push("log", "6");
      t.is(tx.queueLength("log"), 1);
    });
    t.throws(() => put(leaked as Tx, "z", 1), { message: /transaction is over/ });
    return { value: 1 };
  });
  harness.start({ n: 1 });
  t.deepEqual(harness.outcome(), done(1));
  t.deepEqual(numbers(harness), { a: 10, b: 4, c: 3 });
  t.is(harness.warm.digest(), harness.hot.digest());
  t.is(harness.hot.digest(), harness.reload(harness.hot).digest());
});

test("a full queue drops its oldest item, or refuses", (t) => {
  const harness = withHandler(({ transaction }) => {
    transaction("fill", (tx) => {
      for (const item of ["1", "2", "3", "4", "5"]) tx.push("log", item);
      for (const item of [1, 2]) tx.push("jobs", item);
    });
    t.throws(() => transaction("more", (tx) => tx.push("jobs", 3)), { message: /queue jobs holds 2/ });
    return { value: transaction("look", (tx) => [tx.peek("log", 9), tx.peek("jobs", 9)]) };
  });
  harness.start({ n: 1 });
  t.deepEqual(
    harness.outcome(),
    done([
      ["3", "4", "5"],
      [1, 2],
    ]),
  );
  t.is(harness.warm.digest(), harness.hot.digest());
  t.is(harness.warm.queueHead(3), 2);
});

test("what is put is checked, copied or frozen, and equal to what its JSON says", (t) => {
  const harness = withHandler(({ transaction }) => {
    const mine: { list: unknown[] } = { list: [1, { deep: true }] };
    transaction("put", (tx) => tx.put("rows", "a", mine));
    t.throws(() => mine.list.push(2), { instanceOf: TypeError });
    for (const bad of [undefined, Number.NaN, new Date(0), new Map(), { a: undefined }, [undefined], 1n, -0, () => 1]) {
      t.throws(() => transaction("bad", (tx) => tx.put("rows", "b", bad)), { message: /is not JSON/ });
    }
    t.throws(() => transaction("bad", (tx) => tx.put("numbers", "b", 1.5)), { message: /table numbers/ });
    t.throws(() => transaction("bad", (tx) => tx.put("none" as "rows", "b", 1)), { message: /no table none/ });
    for (const key of ["", "\ud800", "x".repeat(1_025), 1])
      t.throws(() => transaction("bad", (tx) => tx.put("rows", key as string, 1)));
    return { value: transaction("get", (tx) => tx.get("rows", "a")) };
  });
  harness.start({ n: 1 });
  t.deepEqual(harness.outcome(), done({ list: [1, { deep: true }] }));
  t.is(harness.warm.digest(), harness.hot.digest());
});

test("a transaction's value is JSON and cannot change until its record goes out", (t) => {
  const harness = withHandler(({ transaction }) => {
    for (const bad of [Number.NaN, new Date(0), { a: undefined }, () => 1, 1n])
      t.throws(() => transaction("bad", () => bad), { message: /is not JSON/ });
    const value = transaction("one", (tx) => {
      put(tx, "a", 1);
      return { list: [1] };
    });
    t.throws(() => value.list.push(2), { instanceOf: TypeError });
    transaction("two", (tx) => put(tx, "b", 2));
    return { value };
  });
  harness.start({ n: 1 });
  t.is(harness.sent[0]?.json, '{"list":[1]}');
  t.deepEqual(harness.outcome(), done({ list: [1] }));
});

test("transactions inside transactions, asynchronous changes and repeated names are refused", async (t) => {
  const harness = withHandler(({ transaction }) => {
    transaction("outer", (tx) => {
      t.throws(() => transaction("inner", () => 1), { message: /inside a transaction/ });
      put(tx, "a", 1);
    });
    t.throws(() => transaction("outer", () => 1), { message: /was run before/ });
    const late: unknown[] = [];
    t.throws(
      () =>
        transaction("late", async (tx) => {
          await Promise.resolve();
          late.push(t.throws(() => put(tx, "b", 2)));
          throw new Error("nobody hears this");
        }),
      { message: /returned a promise/ },
    );
    for (const name of ["", "x".repeat(129), "\n", 1])
      t.throws(() => transaction(name as string, () => 1), { message: /name/ });
    return { value: late };
  });
  harness.start({ n: 1 });
  await settled();
  t.deepEqual(numbers(harness), { a: 1 });
});

test("what does not fit a record is refused when it is built (rule 15)", (t) => {
  const maxRecordBytes = 4_096;
  const big = "x".repeat(3_700);
  const over = /does not fit in a record|do not fit in a record|may take \d+ bytes/;
  const effects = withHandler(
    ({ transaction }) => ({ value: transaction("t", (tx) => tx.put("rows", "a", big)) ?? 1 }),
    { maxRecordBytes },
  );
  const many = withHandler(
    ({ transaction }) => ({
      value:
        transaction("t", (tx) => {
          for (let n = 0; n < 500; n += 1) put(tx, `k${n}`, n);
        }) ?? 1,
    }),
    { maxRecordBytes },
  );
  const result = withHandler(
    ({ transaction }) => ({
      value: transaction("t", (tx) => {
        tx.put("rows", "a", 1);
        return big;
      }),
    }),
    { maxRecordBytes },
  );
  const value = withHandler(
    ({ transaction }) => {
      transaction("t", (tx) => {
        tx.put("rows", "a", 1);
        return big;
      });
      t.throws(() => transaction("u", () => 1), { message: over });
      return { value: 1 };
    },
    { maxRecordBytes },
  );
  const wide = withHandler(() => ({ value: "€".repeat(1_300) }), { maxRecordBytes });
  for (const harness of [effects, many, result, value, wide]) {
    harness.start({ n: 1 });
    const outcome = harness.outcome() as { error: { message: string } };
    t.regex(outcome.error.message, over);
    t.deepEqual(records(harness), ["final 0 "]);
    t.is(harness.hot.size, 0);
  }
  const wideRow = withHandler(
    ({ transaction }) => {
      t.throws(() => transaction("t", (tx) => tx.put("rows", "a", "€".repeat(1_300))), { message: /may take/ });
      return { value: 1 };
    },
    { maxRecordBytes },
  );
  wideRow.start({ n: 1 });
  t.deepEqual(wideRow.outcome(), done(1));
  // The first record of several carries the request.
  const carrying = withHandler(
    ({ transaction }, { text = "" }) => {
      transaction("t", (tx) => tx.put("rows", "a", "x".repeat(2_000)));
      if (text.length > 0) transaction("u", () => 1);
      return { value: 1 };
    },
    { maxRecordBytes },
  );
  carrying.start({ n: 1, text: "y".repeat(2_000) }, "long");
  t.like(carrying.outcome("long"), { ok: false });
  carrying.start({ n: 1, text: "y" }, "short");
  t.like(carrying.outcome("short"), { ok: true });
  const fits = withHandler(
    ({ transaction }) => ({ value: transaction("t", (tx) => tx.put("rows", "a", "x".repeat(2_000))) ?? 1 }),
    { maxRecordBytes },
  );
  fits.start({ n: 1 });
  t.deepEqual(fits.outcome(), done(1));
});
