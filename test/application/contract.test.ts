/**
 * The contract as authors read it (actors/application/README.md): its sentences that no other test of this room has, each by an
 * application on a server in memory that dies where it is said.
 */
import test from "ava";
import { z } from "zod";
import type { RequestContext, View } from "../../actors/application/contract.ts";
import { defineApplication } from "../../actors/application/define.ts";
import { TransactionError } from "../../actors/application/errors.ts";
import { FailedError, RefusedError } from "../../actors/client/errors.ts";
import { testApplication } from "../../actors/testing/index.ts";

const tables = { rows: z.any() };
const queues = { order: { item: z.string(), maxItems: 100, whenFull: "refuse" as const } };

class Count implements View {
  rows = 0;
  put(_table: string, _key: string, _row: unknown, before: unknown): void {
    if (before === undefined) this.rows += 1;
  }
}

type Context = RequestContext<typeof tables, typeof queues, { count: () => Count }>;

/** Rows of anything, a queue of words and a view that counts; what a request does is the test's. */
function doing(handle: (what: string, context: Context) => unknown) {
  return defineApplication({
    name: "anything",
    request: z.strictObject({ what: z.string() }),
    result: z.any(),
    key: ({ what }) => what,
    tables,
    queues,
    views: { count: () => new Count() },
    handle: ({ what }, context) => handle(what, context),
    queries: {
      rows: { body: z.strictObject({}), answer: (_body, state) => [...state.rows("rows")].length },
      spoil: {
        body: z.strictObject({ key: z.string() }),
        answer: ({ key }, state) => {
          (state.get("rows", key) as { value: number }).value = 7;
          return null;
        },
      },
    },
  });
}

/** Handlers wait here until the test lets them go on. */
function gate() {
  const waiting: (() => void)[] = [];
  const arrived: (() => void)[] = [];
  return {
    pass: () =>
      new Promise<void>((resolve) => {
        waiting.push(resolve);
        arrived.shift()?.();
      }),
    arrival: () =>
      new Promise<void>((resolve) => {
        arrived.push(resolve);
      }),
    open: () => {
      for (const goOn of waiting.splice(0)) goOn();
    },
  };
}

test("a handler may use clocks and chance: what is recorded is what it did", async (t) => {
  const app = testApplication(
    doing((what, { transaction }) =>
      transaction("draw", (tx) => {
        const value = Math.random() + performance.now();
        tx.put("rows", what, { value });
        return { value };
      }),
    ),
  );
  const first = await app.request({ what: "lot" }, { id: "1" });
  app.crash();
  const again = await app.request({ what: "lot" }, { id: "1" });
  t.deepEqual(app.state.get("rows", "lot"), first.result);
  t.deepEqual([again.duplicate, Buffer.compare(again.bytes, first.bytes)], [true, 0]);
  app.close();
});

test("others' requests come between the transactions of one that waits", async (t) => {
  const door = gate();
  const app = testApplication(
    doing(async (what, { transaction }) => {
      transaction("first", (tx) => tx.push("order", `${what} begins`));
      if (what === "slow") await door.pass();
      transaction("second", (tx) => tx.push("order", `${what} ends`));
      return null;
    }),
  );
  const isThere = door.arrival();
  const slow = app.request({ what: "slow" }, { client: "alice" });
  await isThere;
  await app.request({ what: "quick" }, { client: "bob" });
  door.open();
  await slow;
  t.deepEqual(app.state.peek("order", 9), ["slow begins", "quick begins", "quick ends", "slow ends"]);
  app.close();
});

function nested(depth: number): unknown {
  return depth === 1 ? {} : { inside: nested(depth - 1) };
}

test("rows are JSON of at most 64 levels; what is deeper, or no JSON, the handler is told and may go on", async (t) => {
  const rows: Record<string, unknown> = {
    deep: nested(64),
    deeper: nested(65),
    date: { at: new Date(0) },
    undefined: { at: undefined },
  };
  const app = testApplication(
    doing((what, { transaction }) => {
      try {
        transaction("put", (tx) => tx.put("rows", what, rows[what]));
        return "kept";
      } catch (error) {
        return error instanceof TransactionError ? error.code : String(error);
      }
    }),
  );
  const answers = [];
  for (const what of Object.keys(rows)) answers.push((await app.request({ what })).result);
  t.deepEqual(answers, ["kept", "json", "json", "json"]);
  t.is(app.state.size("rows"), 1);
  app.close();
});

test("rows are frozen, and a query only reads", async (t) => {
  const app = testApplication(
    doing((what, { transaction }) => transaction("put", (tx) => tx.put("rows", what, { value: 1 })) ?? null),
  );
  await app.request({ what: "a" });
  const spoilt = app.query({ query: "spoil", key: "a" });
  t.regex((await t.throwsAsync(spoilt, { instanceOf: FailedError })).message, /read only/);
  t.deepEqual(app.state.get("rows", "a"), { value: 1 });
  app.close();
});

test("a view is built anew at each start, from effects alone", async (t) => {
  const app = testApplication(
    doing((what, { transaction }) => transaction("put", (tx) => tx.put("rows", what, 1)) ?? null),
  );
  for (const what of ["a", "b", "a", "c"]) await app.request({ what });
  const before = app.state.views.count;
  app.crash();
  t.is((await app.query({ query: "rows" })).result, 3);
  t.not(app.state.views.count, before);
  t.deepEqual([before.rows, app.state.views.count.rows], [3, 3]);
  app.close();
});

test("who asks, and when, stays the same when a request is resumed", async (t) => {
  const door = gate();
  const told: unknown[] = [];
  const app = testApplication(
    doing(async (_what, { transaction, client, id, stampMs, nowMs, resumed }) => {
      transaction("begin", (tx) => {
        tx.push("order", id);
        told.push(tx.nowMs - nowMs);
      });
      told.push({ client, id, stampMs, nowMs });
      if (!resumed) await door.pass();
      return null;
    }),
  );
  const isThere = door.arrival();
  const answer = app.request({ what: "x" }, { client: "alice", id: "7" });
  await isThere;
  app.crash();
  await answer;
  t.is(told.length, 3);
  const [apart, first, again] = told;
  t.is(apart, 0, "a transaction's time is its request's");
  t.like(first, { client: "alice", id: "7" });
  t.deepEqual(again, first);
  app.close();
});

test("when its time is up a handler's signal is aborted, and whatever it still does changes nothing", async (t) => {
  let late: Promise<string> | undefined;
  const app = testApplication(
    doing((_what, { transaction, signal }) => {
      late = new Promise<string>((resolve) => {
        signal.addEventListener("abort", () => {
          try {
            transaction("late", (tx) => tx.put("rows", "late", 1));
            resolve("done");
          } catch {
            resolve("refused");
          }
        });
      });
      return new Promise(() => {});
    }),
    { limits: { handlerMs: 10 } },
  );
  const answer = app.request({ what: "x" });
  t.is((await t.throwsAsync(answer, { instanceOf: FailedError })).code, "APPLICATION_ERROR");
  t.is(await late, "refused");
  t.is(app.state.size("rows"), 0);
  app.close();
});

test("a request that failed is on record: its duplicate gets the same bytes, also from the next server", async (t) => {
  let runs = 0;
  const app = testApplication(
    doing(() => {
      runs += 1;
      throw new Error(`run ${runs}`);
    }),
  );
  const ask = async () => {
    const error = await t.throwsAsync(app.request({ what: "x" }, { id: "1" }), { instanceOf: FailedError });
    return Buffer.from(error.bytes).toString();
  };
  const first = await ask();
  t.regex(first, /"APPLICATION_ERROR","message":"run 1"/);
  t.is(await ask(), first);
  app.crash();
  t.is(await ask(), first);
  t.is(runs, 1);
  app.close();
});

test("what does not fit one record is split into several transactions", async (t) => {
  const app = testApplication(
    doing((_what, { transaction }) => {
      const put = (from: number, to: number) =>
        transaction(`${from} to ${to}`, (tx) => {
          for (let at = from; at < to; at += 1) tx.put("rows", String(at), "x".repeat(100));
        });
      try {
        put(0, 40);
      } catch (error) {
        if (!(error instanceof TransactionError) || error.code !== "tooLarge") throw error;
        for (let at = 0; at < 40; at += 10) put(at, at + 10);
      }
      return null;
    }),
    { limits: { maxRequestBytes: 1_024, maxRecordBytes: 2_048 } },
  );
  await app.request({ what: "x" });
  t.is(app.state.size("rows"), 40);
  app.close();
});

test("a partition key and a transaction's name have at most 128 characters", async (t) => {
  const app = testApplication(doing((what, { transaction }) => transaction(what.repeat(2), () => null)));
  t.is((await app.request({ what: "x".repeat(64) })).result, null);
  const name = app.request({ what: "x".repeat(65) });
  t.is((await t.throwsAsync(name, { instanceOf: FailedError })).code, "APPLICATION_ERROR");
  const key = app.request({ what: "x".repeat(129) });
  t.is((await t.throwsAsync(key, { instanceOf: RefusedError })).code, "INVALID_REQUEST");
  app.close();
});

test("a query is told who asks", async (t) => {
  const app = testApplication(
    defineApplication({
      name: "mirror",
      request: z.strictObject({}),
      result: z.unknown(),
      key: () => "k",
      handle: () => null,
      queries: { me: { body: z.strictObject({}), answer: (_body, _state, _sequence, { client }) => ({ client }) } },
    }),
  );
  t.deepEqual((await app.query({ query: "me" }, { client: "alice" })).result, { client: "alice" });
  t.deepEqual((await app.query({ query: "me" }, { client: "bob" })).result, { client: "bob" });
  app.close();
});
