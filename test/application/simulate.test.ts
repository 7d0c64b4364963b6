/** `simulate` of `twinlog/testing`: an author's application on whole servers in a simulated world, and what a mistake of his looks like. */
import test from "ava";
import { z } from "zod";
import { defineApplication } from "../../actors/application/define.ts";
import { exchange } from "../../actors/applications/exchange/exchange.ts";
import { type Asked, type Model, SimulationFailed, simulate } from "../../actors/testing/index.ts";
import { counter } from "../../deploy/examples/counter/counter.ts";

type Count = { counter: string; add: number };

class PlainCounter implements Model<Count, { value: number }> {
  readonly values = new Map<string, number>();
  request({ counter: name, add }: Count) {
    const value = (this.values.get(name) ?? 0) + add;
    this.values.set(name, value);
    return { value };
  }
  query(body: unknown) {
    return { value: this.values.get((body as { counter: string }).counter) ?? 0 };
  }
}

const names = ["apples", "pears"];
const counting = {
  request: (random: { pick<T>(items: readonly T[]): T; int(from: number, to: number): number }) => ({
    counter: random.pick(names),
    add: random.int(1, 9),
  }),
  query: (random: { pick<T>(items: readonly T[]): T }) => ({ query: "value", counter: random.pick(names) }),
  model: () => new PlainCounter(),
};

test("the counter counts as its model does, whatever happens to its servers", async (t) => {
  const report = await simulate(counter, { ...counting, seeds: 6 });
  t.log(report);
  t.is(report.seeds, 6);
  t.true(report.acknowledged > 300, "most are answered");
  t.true(report.duplicates > 0);
  t.true(report.takeovers > 3);
  t.true(report.faults > 20);
});

test("the same seed is the same run", async (t) => {
  const once = await simulate(counter, { ...counting, seeds: [4] });
  t.deepEqual(await simulate(counter, { ...counting, seeds: [4] }), once);
  t.notDeepEqual(await simulate(counter, { ...counting, seeds: [5] }), once);
});

/** A counter that takes back, a while later, what it was given for a while. */
const lender = defineApplication({
  name: "lender",
  request: z.strictObject({ loan: z.string(), forMs: z.int(), back: z.boolean().default(false) }),
  result: z.object({ out: z.int() }),
  key: () => "k",
  tables: { loans: z.object({ out: z.int() }) },
  timers: { maxTimers: 1_000 },
  handle: ({ loan, forMs }, { nowMs, timer, transaction }) =>
    transaction("loan", (tx) => {
      const out = (tx.get("loans", "all")?.out ?? 0) + (timer === undefined ? 1 : -1);
      tx.put("loans", "all", { out });
      if (timer === undefined) tx.schedule(loan, nowMs + forMs, { loan, forMs, back: true });
      return { out };
    }),
});

class PlainLender implements Model<{ loan: string; forMs: number }, { out: number }> {
  static came = 0;
  readonly due = new Map<string, number>();
  request({ loan, forMs }: { loan: string; forMs: number }, { nowMs }: Asked) {
    this.due.set(loan, nowMs + forMs);
    return { out: this.due.size };
  }
  timer(loan: string, { nowMs }: Asked) {
    PlainLender.came += 1;
    if ((this.due.get(loan) ?? Number.POSITIVE_INFINITY) > nowMs) return { out: -1 };
    this.due.delete(loan);
    return { out: this.due.size };
  }
}

test("a model is told of what timers ask, and what time each request was told", async (t) => {
  const request = (random: { int(from: number, to: number): number }, client: string, count: number) => ({
    loan: `${client} ${count}`,
    forMs: random.int(10, 2_000),
  });
  await simulate(lender, { request, model: () => new PlainLender(), seeds: 3 });
  t.true(PlainLender.came > 100, `${PlainLender.came} came`);
});

test("an application with views, queues and queries of the whole book runs, without a model", async (t) => {
  const report = await simulate(exchange, {
    seeds: 2,
    request: (random, client, count) => ({
      type: "limit" as const,
      symbol: "AAA",
      order: `${client}.${count}`,
      side: random.pick(["buy", "sell"] as const),
      price: 1_000 + random.int(-5, 5),
      quantity: random.int(1, 9),
    }),
    query: () => ({ query: "book", symbol: "AAA" }),
  });
  t.true(report.acknowledged > 100);
});

/** A handler of two transactions, and what it does with what the first one made. */
function careless(mistake: "carried" | "stale") {
  return defineApplication({
    name: "careless",
    request: z.strictObject({ counter: z.string(), add: z.int() }),
    result: z.object({ value: z.int() }),
    key: (body) => body.counter,
    tables: { counters: z.object({ value: z.int() }) },
    handle: async ({ counter: name, add }, { transaction, committed }) => {
      // A variable that a transaction sets: when the request is resumed the transaction is not run, and it is not set.
      let carried = 0;
      const read = transaction("read", (tx) => {
        carried = (tx.get("counters", name)?.value ?? 0) + add;
        if (mistake === "carried") tx.put("counters", name, { value: carried });
        return carried;
      });
      await committed();
      return transaction("write", (tx) => {
        // Others came between: their counts are lost.
        if (mistake === "stale") tx.put("counters", name, { value: read });
        return { value: mistake === "carried" ? carried : read };
      });
    },
  });
}

/** It counts where the transaction is that counts. */
class CountsWhenRead extends PlainCounter {
  readonly #results = new Map<string, { value: number }>();
  transaction(name: string, body: Count, { client, id }: Asked) {
    if (name === "read") this.#results.set(`${client} ${id}`, super.request(body));
  }
  override request(_body: Count, asked?: Asked) {
    return this.#results.get(`${asked?.client} ${asked?.id}`) ?? { value: Number.NaN };
  }
}

const failure = (mistake: "carried" | "stale", options: object = {}) =>
  simulate(careless(mistake), {
    request: counting.request,
    model: () => new CountsWhenRead(),
    seeds: 20,
    ...options,
  });

test("what a transaction leaves in a variable is found missing where a server dies", async (t) => {
  const error = await t.throwsAsync(failure("carried", { faults: ["crash", "kill"] }), {
    instanceOf: SimulationFailed,
  });
  t.is(error?.of, "checker");
  const message = error?.message ?? "";
  t.regex(message, /^seed \d+: checker: client\d\/client\d-\d+ at \d+: the log says \{"value":0\}, the model/);
  const [, kept, all] = /made small in \d+ runs: (\d+) of (\d+) faults/.exec(message) ?? [];
  t.true(Number(kept) > 0 && Number(kept) < Number(all), message);
  t.regex(message, /f\d+ (alpha|beta)-\d +(is killed|loses power) just (before|after)|f\d+ (alpha|beta) +is/);
  t.regex(message, /sends client\d-\d+: counter /);
  t.regex(message, /to see it again: simulate\(…, \{ …, seeds: \[\d+\] \}\)$/);
  const again = await t.throwsAsync(failure("carried", { faults: ["crash", "kill"], seeds: [error?.seed] }));
  t.is(again?.message, message);
});

test("an update that is lost between two transactions needs no fault to be found", async (t) => {
  const error = await t.throwsAsync(failure("stale"), { instanceOf: SimulationFailed });
  t.regex(error?.message ?? "", /: 0 of \d+ faults \(none\)/);
});

test("a view that throws ends its server: that is told first", async (t) => {
  const broken = () => ({
    put: (_table: string, _key: string, value: unknown) => {
      if ((value as { value: number }).value > 20) throw new Error("more than twenty");
    },
  });
  const application = defineApplication({ ...counter, views: { broken } });
  const error = await t.throwsAsync(simulate(application as unknown as typeof counter, { ...counting, seeds: [1] }), {
    instanceOf: SimulationFailed,
  });
  t.regex(error?.message ?? "", /^seed 1: assertion: (alpha|beta) ends: .*more than twenty/);
});

test("one whose runs differ says so", async (t) => {
  let calls = 0;
  const application = defineApplication({
    ...counter,
    handle: ({ add }, { transaction }) =>
      transaction("add", () => {
        calls += 1;
        return { value: add + calls };
      }),
  });
  const error = await t.throwsAsync(simulate(application, { ...counting, seeds: [1] }), {
    instanceOf: SimulationFailed,
  });
  t.regex(
    error?.message ?? "",
    /run again it went another way: the application does not follow from its requests alone/,
  );
});
