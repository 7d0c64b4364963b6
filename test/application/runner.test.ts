/** What can come before what in a handler, and what each leaves behind (situation 35, rule 16). */
import test from "ava";
import { z } from "zod";
import { defineApplication } from "../../actors/application/define.ts";
import { Harness, settled } from "../helpers/hot-and-warm.ts";
import { type Context, done, failed, numbers, put, records, withHandler } from "./probe.ts";

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

test("committed() later in a handler stops its time as well", async (t) => {
  let isCommitted = false;
  const harness = withHandler(
    async ({ transaction, committed }) => {
      await Promise.resolve();
      transaction("one", (tx) => put(tx, "a", 1));
      await committed();
      isCommitted = true;
      return { value: 1 };
    },
    { handlerMs: 50 },
  );
  harness.holdsCommits = true;
  harness.start({ n: 1 });
  t.is(harness.clock.waiting, 1);
  await settled();
  t.is(harness.clock.waiting, 0);
  harness.clock.advance(10_000);
  harness.commits[0]?.();
  await settled();
  t.true(isCommitted);
  t.deepEqual(harness.outcome(), done(1));
});

test("a committed() that nobody waits for harms nothing when the request ends before it", async (t) => {
  const unheard: unknown[] = [];
  const onUnheard = (error: unknown) => unheard.push(error);
  process.on("unhandledRejection", onUnheard);
  const harness = withHandler(({ transaction, committed }) => {
    transaction("one", (tx) => put(tx, "a", 1));
    void committed();
    return { value: 1 };
  });
  harness.holdsCommits = true;
  harness.start({ n: 1 });
  // Rejections that nobody took are told of after the microtasks.
  await new Promise((resolve) => setImmediate(resolve));
  process.off("unhandledRejection", onUnheard);
  t.deepEqual(unheard, []);
  t.deepEqual(records(harness), ["transaction 0 one", "final 1 "]);
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
  t.deepEqual(harness.runner.query({ query: "count", plus: 2 }, 7, "me"), {
    ok: true,
    json: '{"count":2,"sequence":7}',
  });
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
    t.like(harness.runner.query(body, 7, "me"), { ok: false, code: "INVALID_REQUEST" });
  t.deepEqual(harness.runner.query({ query: "bad" }, 7, "me"), { ok: false, code: "APPLICATION_ERROR", message: "no" });
});
