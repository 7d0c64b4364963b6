/**
 * `twinlog/testing`: what an author's test sees is what a service gives, and a server may die anywhere in it.
 */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import test from "ava";
import { z } from "zod";
import { defineApplication } from "../../actors/application/define.ts";
import { FailedError, RefusedError, UnknownOutcomeError } from "../../actors/client/errors.ts";
import { atEveryCrash, testApplication } from "../../actors/testing/index.ts";
import { counter } from "../../deploy/examples/counter/counter.ts";

const text = (bytes: Uint8Array) => Buffer.from(bytes).toString();

interface Call {
  readonly id: string;
  readonly resumed: boolean;
  readonly signal: AbortSignal;
}

/** Takes an order in two transactions; between them it calls what the test gives. */
function orders(outside: (call: Call) => Promise<void> | void) {
  return defineApplication({
    name: "orders",
    request: z.strictObject({ order: z.string() }),
    result: z.object({ tries: z.int() }),
    key: ({ order }) => order,
    tables: { orders: z.object({ state: z.enum(["reserved", "paid"]), tries: z.int() }) },
    handle: async ({ order }, { transaction, committed, id, resumed, signal }) => {
      const tries = transaction("reserve", (tx) => {
        const made = (tx.get("orders", order)?.tries ?? 0) + 1;
        tx.put("orders", order, { state: "reserved", tries: made });
        return made;
      });
      await committed();
      await outside({ id, resumed, signal });
      transaction("pay", (tx) => tx.put("orders", order, { state: "paid", tries }));
      return { tries };
    },
  });
}

test("a duplicate gets the same bytes and changes nothing; requests and queries go by the door's checks", async (t) => {
  const app = testApplication(counter);
  const body = { counter: "a", add: 2 };
  const first = await app.request(body, { client: "alice", id: "1" });
  const again = await app.request(body, { client: "alice", id: "1" });
  t.deepEqual([first.duplicate, again.duplicate], [false, true]);
  t.is(text(again.bytes), text(first.bytes));
  t.like(JSON.parse(text(first.bytes)), { client: "alice", id: "1", ok: true, result: { value: 2 } });
  t.deepEqual((await app.request(body, { client: "bob", id: "1" })).result, { value: 4 });
  const reused = app.request({ counter: "a", add: 3 }, { client: "alice", id: "1" });
  t.is((await t.throwsAsync(reused, { instanceOf: RefusedError })).code, "ID_REUSED");
  const asked = await app.query<{ value: number }>({ query: "value", counter: "a" });
  t.is(asked.result.value, 4);
  const unknown = app.query({ query: "nothing" });
  t.is((await t.throwsAsync(unknown, { instanceOf: RefusedError })).code, "INVALID_REQUEST");
  t.deepEqual(app.state.peek("changes", 9), [
    { counter: "a", value: 2 },
    { counter: "a", value: 4 },
  ]);
  app.close();
});

test("a handler that throws fails its request alone, and the stack is told to the log", async (t) => {
  const told: unknown[] = [];
  const none = () => undefined;
  const log = { debug: none, info: none, error: none, warn: (fields: unknown) => void told.push(fields) };
  const failing = defineApplication({ ...counter, handle: ({ add }) => Promise.reject(new Error(`no ${add}`)) });
  const app = testApplication(failing, { log });
  const error = await t.throwsAsync(app.request({ counter: "a", add: 1 }), { instanceOf: FailedError });
  t.is(error.code, "APPLICATION_ERROR");
  t.regex(error.message, /no 1/);
  t.regex(JSON.stringify(told), /testing\.test/);
  app.close();
});

test("limits are a server's: what is too large, or takes too long, is told as there", async (t) => {
  const slow = testApplication(
    orders(() => new Promise<void>(() => {})),
    { limits: { handlerMs: 10 } },
  );
  const late = await t.throwsAsync(slow.request({ order: "o1" }), { instanceOf: FailedError });
  t.regex(late.message, /took more than 10 ms/);
  slow.close();
  const app = testApplication(counter, { limits: { maxRequestBytes: 1_024 } });
  const large = app.request({ counter: "a".repeat(2_000), add: 1 });
  t.is((await t.throwsAsync(large, { instanceOf: RefusedError })).code, "INVALID_REQUEST");
  t.throws(() => testApplication(counter, { limits: { handlerMs: -1 } }), { instanceOf: z.ZodError });
  app.close();
});

test("when the server dies in the middle, the next one resumes: what is completed is not run again", async (t) => {
  const calls: Call[] = [];
  let reached = () => {};
  const waits = new Promise<void>((resolve) => {
    reached = resolve;
  });
  const application = orders((call) => {
    calls.push(call);
    // The first server never hears from the outside.
    return call.resumed ? undefined : new Promise<void>(() => reached());
  });
  const app = testApplication(application);
  const answer = app.request({ order: "o1" }, { id: "7" });
  await waits;
  t.deepEqual(app.state.get("orders", "o1"), { state: "reserved", tries: 1 });
  app.crash();
  t.deepEqual((await answer).result, { tries: 1 });
  t.deepEqual(
    calls.map(({ id, resumed }) => [id, resumed]),
    [
      ["7", false],
      ["7", true],
    ],
  );
  t.deepEqual(app.state.get("orders", "o1"), { state: "paid", tries: 1 });
  app.close();
});

test("a resumed handler gets its body as the program that resumes it reads it", async (t) => {
  let isNewer = false;
  let reached = () => {};
  const waits = new Promise<void>((resolve) => {
    reached = resolve;
  });
  const application = orders(({ resumed }) => (resumed ? undefined : new Promise<void>(() => reached())));
  const note = z.string().overwrite((text) => (isNewer ? text.toUpperCase() : text));
  const bodies: unknown[] = [];
  const noted = defineApplication({
    ...application,
    request: z.strictObject({ order: z.string(), note }),
    handle: (body, context) => {
      bodies.push(body);
      return application.handle(body, context);
    },
  });
  const app = testApplication(noted);
  const answer = app.request({ order: "o1", note: "a" }, { id: "7" });
  await waits;
  isNewer = true;
  app.crash();
  await answer;
  t.deepEqual(bodies, [
    { order: "o1", note: "a" },
    { order: "o1", note: "A" },
  ]);
  app.close();
});

test("a handler of a server that died changes nothing any more", async (t) => {
  const goOn: (() => void)[] = [];
  const signals: AbortSignal[] = [];
  const wait = ({ signal }: Call) => {
    signals.push(signal);
    return new Promise<void>((resolve) => goOn.push(resolve));
  };
  const app = testApplication(orders(wait));
  const answer = app.request({ order: "o1" });
  const called = (times: number) =>
    new Promise<void>((resolve) => {
      const look = () => (goOn.length >= times ? resolve() : setImmediate(look));
      look();
    });
  await called(1);
  app.crash();
  await called(2);
  t.deepEqual(
    signals.map(({ aborted }) => aborted),
    [true, false],
  );
  goOn[0]?.();
  await new Promise((resolve) => setImmediate(resolve));
  t.is(app.state.get("orders", "o1")?.state, "reserved");
  goOn[1]?.();
  await answer;
  t.is(app.state.get("orders", "o1")?.state, "paid");
  app.close();
});

test("at every crash: before and after each record, and what the outside saw", async (t) => {
  let calls = 0;
  const seen: number[] = [];
  const application = orders(() => {
    calls += 1;
  });
  const places = await atEveryCrash(application, async (app) => {
    calls = 0;
    const { result, bytes } = await app.request({ order: "o1" }, { id: "1" });
    t.deepEqual(result, { tries: 1 });
    t.deepEqual(app.state.get("orders", "o1"), { state: "paid", tries: 1 });
    t.is(text((await app.request({ order: "o1" }, { id: "1" })).bytes), text(bytes));
    seen.push(calls);
  });
  // Before `reserve`, after it; before `pay`, after it, after the result. What is outside may be asked twice: only an id helps.
  t.deepEqual([places, ...seen], [5, 1, 1, 2, 2, 1, 1]);
});

test("at every crash: what a scenario finds is told with the place", async (t) => {
  const charged = new Set<number>();
  // What names the charge is not on record: the resumed handler makes another.
  const application = orders(() => void charged.add(charged.size));
  const found = atEveryCrash(application, async (app) => {
    charged.clear();
    await app.request({ order: "o1" }, { client: "alice", id: "1" });
    if (charged.size > 1) throw new Error("charged twice");
  });
  await t.throwsAsync(found, {
    message: "where the server dies before transaction pay of alice's request 1 is committed: charged twice",
  });
});

test("a view that throws ends the server, and whoever asks is told", async (t) => {
  const broken = () => ({
    put: () => {
      throw new Error("the view is broken");
    },
  });
  const app = testApplication(defineApplication({ ...counter, views: { broken } }));
  await t.throwsAsync(app.request({ counter: "a", add: 1 }), { instanceOf: UnknownOutcomeError });
  await t.throwsAsync(app.request({ counter: "a", add: 1 }), { message: /the view is broken/ });
});

test("the example's own tests pass", (t) => {
  const files = ["counter.test.js", "simulation.test.js"].map((name) =>
    fileURLToPath(new URL(`../../deploy/examples/counter/${name}`, import.meta.url)),
  );
  const { status, stdout, stderr } = spawnSync(process.execPath, ["--test", ...files], { encoding: "utf8" });
  t.is(status, 0, stdout + stderr);
  t.regex(stdout, /# pass 3\b/);
});
