/** What can come before what in a handler, and what each leaves behind (situation 35, rules 15 and 16). */
import test from "ava";
import { z } from "zod";
import type { RequestContext, Transaction } from "../../actors/application/contract.ts";
import { defineApplication } from "../../actors/application/define.ts";
import { Harness, settled } from "./harness.ts";

const tables = { rows: z.unknown(), numbers: z.int() };
const queues = {
  log: { item: z.string(), maxItems: 3, whenFull: "dropOldest" as const },
  jobs: { item: z.int(), maxItems: 2, whenFull: "refuse" as const },
};
type Nothing = Readonly<Record<never, never>>;
type Context = RequestContext<typeof tables, typeof queues, Nothing>;
type Tx = Transaction<typeof tables, typeof queues, Nothing>;

/** An application whose handler is the test's. */
const withHandler = (
  handle: (context: Context, body: { n: number }) => unknown,
  limits: { handlerMs?: number; maxRecordBytes?: number } = {},
) =>
  new Harness(
    defineApplication({
      name: "probe",
      request: z.strictObject({ n: z.int() }),
      result: z.strictObject({ value: z.unknown() }),
      key: () => "key",
      tables,
      queues,
      handle: (body, context) => handle(context, body) as { value: unknown },
    }),
    limits,
  );

const put = (tx: Tx, key: string, value: number) => tx.put("numbers", key, value);
const failed = (message: unknown) => ({ ok: false, error: { code: "APPLICATION_ERROR", message, executed: true } });
const done = (value: unknown) => ({ ok: true, result: { value } });
const records = (harness: Harness) => harness.sent.map((one) => `${one.kind} ${one.ordinal} ${one.name}`);
const numbers = (harness: Harness) => Object.fromEntries(harness.hot.table("numbers").rows);

test("a synchronous request with one transaction is one record, and no timer", (t) => {
  const harness = withHandler(({ transaction }) => ({
    value: transaction("only", (tx) => {
      put(tx, "a", 1);
      return "x";
    }),
  }));
  harness.start({ n: 1 });
  t.deepEqual(records(harness), ["final 0 only"]);
  t.deepEqual(harness.outcome(), done("x"));
  t.deepEqual(numbers(harness), { a: 1 });
  t.is(harness.clock.waiting, 0);
  t.is(harness.runner.inProgress, 0);
  t.is(harness.warm.digest(), harness.hot.digest());
});

test("a synchronous request without a transaction is a record without effects", (t) => {
  const harness = withHandler(() => ({ value: 1 }));
  harness.start({ n: 1 });
  t.deepEqual(records(harness), ["final 0 "]);
  t.is(harness.sent[0]?.effects.length, 0);
});

test("of several synchronous transactions the last goes out with the result", (t) => {
  const harness = withHandler(({ transaction }) => {
    transaction("one", (tx) => put(tx, "a", 1));
    const seen = transaction("two", (tx) => {
      put(tx, "b", 2);
      return { a: tx.get("numbers", "a") };
    });
    transaction("three", (tx) => put(tx, "c", 3));
    return { value: seen };
  });
  harness.start({ n: 1 });
  t.deepEqual(records(harness), ["transaction 0 one", "transaction 1 two", "final 2 three"]);
  t.deepEqual(harness.sent.map((one) => one.json).slice(0, 2), ["", '{"a":1}']);
  t.deepEqual(numbers(harness), { a: 1, b: 2, c: 3 });
});

test("a handler that throws leaves its earlier transactions and drops its last", (t) => {
  const harness = withHandler(({ transaction }) => {
    transaction("one", (tx) => put(tx, "a", 1));
    transaction("two", (tx) => put(tx, "b", 2));
    throw new Error("no");
  });
  harness.start({ n: 1 });
  t.deepEqual(records(harness), ["transaction 0 one", "final 1 "]);
  t.deepEqual(harness.outcome(), failed("no"));
  t.deepEqual(numbers(harness), { a: 1 });
  t.is(harness.warm.digest(), harness.hot.digest());
});

for (const [what, result, message] of [
  ["what its schema forbids", { value: 1, more: 2 }, /the result is not what its schema says/],
  ["nothing", undefined, /the result is not what its schema says/],
  ["a date", { value: new Date(0) }, /an object of a class is not JSON/],
  ["a bigint", { value: 1n }, /bigint is not JSON/],
  ["undefined inside", { value: { a: undefined } }, /undefined is not JSON/],
  ["a function", { value: () => 1 }, /function is not JSON/],
  ["minus zero", { value: -0 }, /is not JSON/],
  ["what is nested without end", { value: circular() }, /nested/],
] as const) {
  for (const isPromise of [false, true]) {
    test(`a handler that returns ${what}${isPromise ? " in a promise" : ""} is an APPLICATION_ERROR`, async (t) => {
      const harness = withHandler(({ transaction }) => {
        transaction("one", (tx) => put(tx, "a", 1));
        return isPromise ? Promise.resolve(result) : result;
      });
      harness.start({ n: 1 });
      await settled();
      const outcome = harness.outcome() as { error: { code: string; message: string } };
      t.is(outcome.error.code, "APPLICATION_ERROR");
      t.regex(outcome.error.message, message);
      t.deepEqual(numbers(harness), isPromise ? { a: 1 } : {});
    });
  }
}

function circular(): unknown {
  const one: { self?: unknown } = {};
  one.self = one;
  return one;
}

test("whatever is thrown becomes a message of bounded length", (t) => {
  const hostile = {
    toString() {
      throw new Error("again");
    },
  };
  for (const thrown of [hostile, null, "text", "x".repeat(10_000), new Error("y".repeat(10_000)), Symbol("s")]) {
    const harness = withHandler(() => {
      throw thrown;
    });
    harness.start({ n: 1 });
    const outcome = harness.outcome() as { error: { message: string } };
    t.true(outcome.error.message.length <= 500);
  }
});

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

test("an asynchronous handler's transactions go out at once, and its result by itself", async (t) => {
  const harness = withHandler(async ({ transaction }) => {
    transaction("one", (tx) => put(tx, "a", 1));
    await Promise.resolve();
    transaction("two", (tx) => put(tx, "b", 2));
    return { value: "end" };
  });
  harness.start({ n: 1 });
  t.deepEqual(records(harness), ["transaction 0 one"]);
  t.is(harness.runner.inProgress, 1);
  await settled();
  t.deepEqual(records(harness), ["transaction 0 one", "transaction 1 two", "final 2 "]);
  t.deepEqual(harness.outcome(), done("end"));
  t.is(harness.runner.inProgress, 0);
  t.is(harness.clock.waiting, 0);
  t.is(harness.warm.digest(), harness.hot.digest());
});

test("a handler that rejects is an APPLICATION_ERROR; its transactions stay", async (t) => {
  const harness = withHandler(async ({ transaction }) => {
    transaction("one", (tx) => put(tx, "a", 1));
    throw new Error("late");
  });
  harness.start({ n: 1 });
  await settled();
  t.deepEqual(harness.outcome(), failed("late"));
  t.deepEqual(numbers(harness), { a: 1 });
});

test("a handler that never settles is ended, and can change nothing when it comes back", async (t) => {
  let comeBack: () => void = () => {};
  let late: unknown;
  const aborted: boolean[] = [];
  const harness = withHandler(
    async ({ transaction, signal }) => {
      transaction("one", (tx) => put(tx, "a", 1));
      signal.addEventListener("abort", () => aborted.push(signal.aborted));
      await new Promise<void>((resolve) => {
        comeBack = resolve;
      });
      late = t.throws(() => transaction("two", (tx) => put(tx, "b", 2)));
      return { value: "late" };
    },
    { handlerMs: 50 },
  );
  harness.start({ n: 1 });
  harness.clock.advance(49);
  t.is(harness.outcome(), undefined);
  harness.clock.advance(1);
  t.deepEqual(harness.outcome(), failed("the handler took more than 50 ms"));
  t.deepEqual(aborted, [true]);
  comeBack();
  await settled();
  t.truthy(late);
  t.deepEqual(records(harness), ["transaction 0 one", "final 1 "]);
  t.deepEqual(numbers(harness), { a: 1 });
});

test("committed() lets the held transaction go first, and its wait is not the handler's time", async (t) => {
  const harness = withHandler(
    async ({ transaction, committed }) => {
      transaction("one", (tx) => put(tx, "a", 1));
      await committed();
      transaction("two", (tx) => put(tx, "b", 2));
      await new Promise(() => {});
      return { value: 1 };
    },
    { handlerMs: 50 },
  );
  harness.holdsCommits = true;
  harness.start({ n: 1 });
  t.deepEqual(records(harness), ["transaction 0 one"]);
  harness.clock.advance(10_000);
  t.is(harness.outcome(), undefined);
  harness.commits[0]?.();
  await settled();
  t.deepEqual(numbers(harness), { a: 1, b: 2 });
  harness.clock.advance(50);
  t.like(harness.outcome(), { ok: false });
});

test("when the server is not hot any more, handlers end without a word and can change nothing", async (t) => {
  const errors: string[] = [];
  const harness = withHandler(async ({ transaction, committed, signal }) => {
    transaction("one", (tx) => put(tx, "a", 1));
    await committed().catch((error: Error) => errors.push(error.message));
    errors.push(String(signal.aborted));
    transaction("two", (tx) => put(tx, "b", 2));
    return { value: 1 };
  });
  harness.holdsCommits = true;
  harness.start({ n: 1 }, "1");
  harness.start({ n: 1 }, "2");
  harness.runner.abandonAll();
  harness.commits[0]?.();
  await settled();
  t.is(errors.filter((one) => /does not process requests/.test(one)).length, 2);
  t.is(errors.filter((one) => one === "true").length, 2);
  t.deepEqual(records(harness), ["transaction 0 one", "transaction 0 one"]);
  t.deepEqual([harness.runner.inProgress, harness.clock.waiting], [0, 0]);
  t.deepEqual(numbers(harness), { a: 1 });
});

test("a server that stops being hot in the middle of a synchronous handler changes nothing more", (t) => {
  const harness = withHandler(({ transaction }) => {
    transaction("one", (tx) => put(tx, "a", 1));
    harness.runner.abandonAll();
    return { value: 1 };
  });
  harness.start({ n: 1 });
  t.deepEqual(records(harness), []);
  t.deepEqual(numbers(harness), {});
});

test("a transaction function that outlives its request can change nothing in the next one", (t) => {
  const kept: Context["transaction"][] = [];
  const harness = withHandler(({ transaction }, { n }) => {
    kept.push(transaction);
    if (n === 2) t.throws(() => kept[0]?.("other", (tx) => put(tx, "a", 1)), { message: /request is over/ });
    return { value: n };
  });
  harness.start({ n: 1 }, "1");
  harness.start({ n: 2 }, "2");
  t.deepEqual(harness.outcome("2"), done(2));
  t.deepEqual(numbers(harness), {});
});

const threeSteps = async ({ transaction, committed, resumed }: Context) => {
  const a = transaction("one", (tx) => {
    put(tx, "a", 1);
    return { token: Math.random() };
  });
  await committed();
  transaction("two", (tx) => put(tx, "b", 2));
  const c = transaction("three", (tx) => {
    put(tx, "c", 3);
    return "c";
  });
  return { value: [a, c, resumed] };
};

test("a resumed request is given the values of its completed transactions, which are not run again (rule 16)", async (t) => {
  for (const completed of [1, 2, 3]) {
    const harness = withHandler(threeSteps);
    const stored = [
      { name: "one", value: '{"token":0.5}' },
      { name: "two", value: "" },
      { name: "three", value: '"c"' },
    ].slice(0, completed);
    harness.start({ n: 1 }, "1", stored);
    await settled();
    t.deepEqual(harness.outcome(), done([{ token: 0.5 }, "c", true]));
    t.deepEqual(records(harness), ["transaction 1 two", "transaction 2 three", "final 3 "].slice(completed - 1));
    t.false(harness.hot.table("numbers").rows.has("a"));
  }
});

test("a resumed request whose handler does not do what is on record is an APPLICATION_ERROR", async (t) => {
  const other = withHandler(threeSteps);
  other.start({ n: 1 }, "1", [{ name: "two", value: "" }]);
  await settled();
  t.deepEqual(other.outcome(), failed("transaction one was asked for where two is on record"));
  const fewer = withHandler(() => ({ value: 1 }));
  fewer.start({ n: 1 }, "1", [{ name: "one", value: "" }]);
  t.deepEqual(fewer.outcome(), failed("the handler ended before transaction one, which is on record"));
  t.deepEqual([...records(other), ...records(fewer)], ["final 0 ", "final 0 "]);
});

test("a resumed request goes past a transaction that threw on the earlier server as well", (t) => {
  const harness = withHandler(({ transaction }) => {
    try {
      transaction("may fail", () => {
        throw new Error("no");
      });
    } catch {
      // It goes on without.
    }
    transaction("one", (tx) => put(tx, "a", 1));
    transaction("two", (tx) => put(tx, "b", 2));
    return { value: 1 };
  });
  harness.start({ n: 1 }, "1", [{ name: "one", value: "" }]);
  t.deepEqual(records(harness), ["final 1 two"]);
  t.deepEqual(harness.outcome(), done(1));
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
  const fits = withHandler(
    ({ transaction }) => ({ value: transaction("t", (tx) => tx.put("rows", "a", "x".repeat(2_000))) ?? 1 }),
    { maxRecordBytes },
  );
  fits.start({ n: 1 });
  t.deepEqual(fits.outcome(), done(1));
});

test("a view that throws is the end of the server: nothing went out, and nothing more is run", (t) => {
  const application = defineApplication({
    name: "broken",
    request: z.strictObject({}),
    result: z.strictObject({}),
    key: () => "",
    tables: { rows: z.int() },
    views: {
      bad: () => ({
        put() {
          throw new Error("the view is wrong");
        },
      }),
    },
    handle: (_body, { transaction }) => {
      transaction("t", (tx) => tx.put("rows", "a", 1));
      return {};
    },
  });
  const harness = new Harness(application);
  harness.start({});
  t.is(harness.fatal.length, 1);
  harness.start({}, "2");
  t.deepEqual([harness.fatal.length, harness.sent.length], [1, 0]);
});

test("queries name themselves, are parsed strictly, and say what is wrong", (t) => {
  const harness = new Harness(
    defineApplication({
      name: "asked",
      request: z.strictObject({}),
      result: z.strictObject({}),
      key: () => "",
      tables: { rows: z.int() },
      handle: () => ({}),
      queries: {
        count: {
          body: z.strictObject({ plus: z.int() }),
          answer: ({ plus }, state, sequence) => ({ count: state.size("rows") + plus, sequence }),
        },
        bad: {
          body: z.strictObject({}),
          answer: () => {
            throw new Error("no");
          },
        },
      },
    }),
  );
  t.deepEqual(harness.runner.query({ query: "count", plus: 2 }, 7), { ok: true, json: '{"count":2,"sequence":7}' });
  for (const body of [
    null,
    1,
    "count",
    [],
    {},
    { query: 1 },
    { query: "toString" },
    { query: "count" },
    { query: "count", plus: 1, more: 1 },
  ])
    t.like(harness.runner.query(body, 7), { ok: false, code: "INVALID_REQUEST" });
  t.deepEqual(harness.runner.query({ query: "bad" }, 7), { ok: false, code: "APPLICATION_ERROR", message: "no" });
});
