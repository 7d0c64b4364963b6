/** Timers (rule 20) as an author meets them: set, cancelled, fired once and in order, on whichever server is there. */
import test from "ava";
import { z } from "zod";
import type { ApplicationDefinition, MigrationTransaction, RequestContext } from "../../actors/application/contract.ts";
import { type Application, defineApplication } from "../../actors/application/define.ts";
import { TransactionError } from "../../actors/application/errors.ts";
import { atEveryCrash, testApplication, testMigration } from "../../actors/testing/index.ts";
import { timersName } from "../../schemas/timers.ts";

const Body = z.discriminatedUnion("do", [
  z.strictObject({ do: z.literal("set"), id: z.string(), inMs: z.int(), how: z.string().default("") }),
  z.strictObject({ do: z.literal("cancel"), id: z.string() }),
  z.strictObject({ do: z.literal("ring"), how: z.string() }),
]);
type Context = RequestContext<{ rings: typeof Ring }, Record<never, never>, Record<never, never>, z.input<typeof Body>>;

const Ring = z.object({ atMs: z.int(), client: z.string(), timer: z.string().optional() });

/** What `ring` does besides telling that it rang. */
type Rings = (how: string, context: Context, ring: () => void) => unknown;

function alarms(rings: Rings = (_how, _context, ring) => ring(), maxTimers = 100) {
  return defineApplication({
    name: "alarms",
    request: Body,
    result: z.unknown(),
    key: () => "k",
    tables: { rings: Ring },
    timers: { maxTimers },
    handle(body, context) {
      const { client, nowMs, timer, id, transaction } = context;
      switch (body.do) {
        case "set":
          return transaction("set", (tx) => {
            const how = body.how === "large" ? "x".repeat(262_144) : body.how;
            tx.schedule(body.id, nowMs + body.inMs, { do: "ring", how });
            return tx.timer(body.id)?.atMs ?? null;
          });
        case "cancel":
          return transaction("cancel", (tx) => tx.cancel(body.id));
        case "ring": {
          const told = rings(body.how, context, () =>
            transaction("ring", (tx) => tx.put("rings", id, { atMs: tx.nowMs, client, timer })),
          );
          return told instanceof Promise ? told.then(() => null) : null;
        }
      }
    },
  });
}

const second = 1_000;

test("a timer comes once, when its time is there and not before, as a request of the service's own client", async (t) => {
  const app = testApplication(alarms());
  const { result: atMs } = await app.request({ do: "set", id: "a", inMs: 10 * second });
  t.like(app.timers, [{ id: "a", atMs, body: { do: "ring", how: "" } }]);
  await app.advance(9 * second);
  t.is(app.state.size("rings"), 0);
  await app.advance(60 * second);
  const [[id, ring] = []] = [...app.state.rows("rings")];
  t.regex(String(id), /^a@\d+\.0$/);
  t.like(ring, { client: timersName, timer: "a" });
  t.true(Number(ring?.atMs) >= Number(atMs));
  t.deepEqual(app.timers, []);
  await app.advance(3_600 * second);
  t.is(app.state.size("rings"), 1);
  app.close();
});

test("timers come in the order in which they are due, those of one time in the order in which they were set", async (t) => {
  const order: (string | undefined)[] = [];
  const app = testApplication(
    alarms((_how, { timer }, ring) => {
      order.push(timer);
      ring();
    }),
  );
  const { result: atMs } = await app.request({ do: "set", id: "third", inMs: 5 * second });
  const inMs = () => Number(atMs) - app.nowMs;
  await app.request({ do: "set", id: "last", inMs: 9 * second });
  await app.request({ do: "set", id: "first", inMs: inMs() - second });
  await app.request({ do: "set", id: "second", inMs: inMs() - 500 });
  await app.request({ do: "set", id: "at once", inMs: -5 * second });
  await app.advance(20 * second);
  t.deepEqual(order, ["at once", "first", "second", "third", "last"]);
  app.close();
});

test("one that is cancelled does not come, and one that is set anew comes when it was set to last", async (t) => {
  const app = testApplication(alarms());
  await app.request({ do: "set", id: "a", inMs: second });
  await app.request({ do: "set", id: "b", inMs: second });
  t.is((await app.request({ do: "cancel", id: "a" })).result, true);
  t.is((await app.request({ do: "cancel", id: "a" })).result, false);
  const { result: atMs } = await app.request({ do: "set", id: "b", inMs: 30 * second });
  await app.advance(20 * second);
  t.is(app.state.size("rings"), 0);
  await app.advance(20 * second);
  t.true([...app.state.rows("rings")].every(([, ring]) => ring.atMs >= Number(atMs)));
  t.is(app.state.size("rings"), 1);
  app.close();
});

test("a timer may set itself again, for years", async (t) => {
  const day = 86_400 * second;
  const app = testApplication(
    alarms((_how, { transaction, id, timer = "", nowMs, client }) => {
      transaction("again", (tx) => {
        tx.put("rings", id, { atMs: nowMs, client, timer });
        tx.schedule(timer, nowMs + day, { do: "ring", how: "" });
      });
    }),
  );
  await app.request({ do: "set", id: "daily", inMs: day });
  await app.advance(365.5 * day);
  t.is(app.state.size("rings"), 365);
  t.is(app.timers.length, 1);
  app.close();
});

test("wherever a server dies, a timer's request is done once", async (t) => {
  const scenarios: [string, Rings][] = [
    ["synchronous", (_how, _context, ring) => ring()],
    [
      "asynchronous",
      async (_how, { transaction, committed }, ring) => {
        transaction("first", () => "seen");
        await committed();
        ring();
      },
    ],
  ];
  for (const [name, rings] of scenarios) {
    const places = await atEveryCrash(alarms(rings), async (app) => {
      await app.request({ do: "set", id: "a", inMs: second });
      await app.request({ do: "set", id: "b", inMs: 2 * second });
      await app.advance(5 * second);
      t.is(app.state.size("rings"), 2, name);
      t.deepEqual(app.timers, [], name);
    });
    t.true(places > 6, `${name}: ${places} places`);
  }
});

test("after a crash what became due meanwhile comes at once", async (t) => {
  const app = testApplication(alarms());
  await app.request({ do: "set", id: "a", inMs: second });
  app.crash();
  await app.advance(100 * second);
  t.is(app.state.size("rings"), 1);
  app.close();
});

test("one that fails, or throws before it has done anything, is done: its result says so, and it does not come again", async (t) => {
  const failures: unknown[] = [];
  const log = {
    debug() {},
    info() {},
    error() {},
    warn: (_fields: unknown, line?: string) => void failures.push(line),
  };
  const app = testApplication(
    alarms((how, { transaction }) => {
      if (how === "in") transaction("ring", () => assertNever());
      assertNever();
    }),
    { log: log as never },
  );
  await app.request({ do: "set", id: "a", inMs: second, how: "in" });
  await app.request({ do: "set", id: "b", inMs: second });
  await app.advance(5 * second);
  t.deepEqual(app.timers, []);
  t.is(failures.length, 2);
  app.crash();
  await app.advance(5 * second);
  t.is(failures.length, 2);
  app.close();
});

function assertNever(): never {
  throw new Error("no");
}

test("cancelled while its handler has not done anything yet, it does nothing any more", async (t) => {
  let goOn = () => {};
  const isThere = new Promise<void>((there) => {
    goOn = there;
  });
  let leave = () => {};
  const door = new Promise<void>((open) => {
    leave = open;
  });
  const found: unknown[] = [];
  const app = testApplication(
    alarms(async (_how, _context, ring) => {
      goOn();
      await door;
      try {
        ring();
      } catch (error) {
        found.push(error instanceof TransactionError ? error.code : error);
      }
    }),
  );
  await app.request({ do: "set", id: "a", inMs: second });
  await app.advance(2 * second);
  await isThere;
  t.is(app.timers.length, 1, "it has no record yet");
  t.is((await app.request({ do: "cancel", id: "a" })).result, true);
  leave();
  await app.advance(second);
  t.deepEqual(found, ["cancelled"]);
  t.is(app.state.size("rings"), 0);
  app.close();
});

test("what cannot be a timer is refused, and nothing of the transaction is done", async (t) => {
  const app = testApplication(alarms(undefined, 2));
  const failed = (body: object) => t.throwsAsync(app.request(body as never));
  t.regex((await failed({ do: "set", id: "", inMs: 0 }))?.message ?? "", /1 to 100 characters/);
  t.regex((await failed({ do: "set", id: "x".repeat(101), inMs: 0 }))?.message ?? "", /1 to 100 characters/);
  t.regex((await failed({ do: "set", id: "a", inMs: -1e15 }))?.message ?? "", /whole number of ms/);
  await app.request({ do: "set", id: "a", inMs: second });
  await app.request({ do: "set", id: "b", inMs: second });
  t.regex((await failed({ do: "set", id: "c", inMs: second }))?.message ?? "", /there are 2 timers already/);
  await app.request({ do: "set", id: "b", inMs: 2 * second });
  const large = await failed({ do: "set", id: "b", inMs: second, how: "large" });
  t.regex(large?.message ?? "", /a body of 262166 bytes; a request may have 262144/);
  t.is(app.timers.length, 2);
  app.close();
});

test("an application that says nothing of timers has none, and stores nothing for them", async (t) => {
  const { timers: _, ...rest } = alarms();
  const without = defineApplication(rest as never) as unknown as ApplicationDefinition<typeof Body>;
  t.is(without.timers, null);
  const app = testApplication(without);
  const error = await t.throwsAsync(app.request({ do: "set", id: "a", inMs: 0 }));
  t.regex(error?.message ?? "", /alarms has no timers: give its definition/);
  app.close();
});

for (const cautionMs of [0, 60_000])
  test(`a timer of which two servers died is given up, and does not come again (rule 17; caution ${cautionMs} ms)`, async (t) => {
    let started = 0;
    const hangs: Rings = () => {
      started += 1;
      return new Promise(() => undefined);
    };
    const app = testApplication(alarms(hangs), { limits: { cautionMs } });
    await app.request({ do: "set", id: "a", inMs: second });
    await app.advance(2 * second);
    t.is(started, 1);
    // One that was not cautious when it ran it first has no attempt of that on record.
    const deaths = cautionMs === 0 ? 3 : 2;
    for (let death = 1; death <= deaths; death += 1) {
      t.is(started, death);
      t.is(app.timers.length, 1, "as long as nothing of it is done");
      app.crash();
      await app.advance(second);
    }
    t.is(started, deaths);
    t.deepEqual(app.timers, []);
    app.crash();
    await app.advance(second);
    t.deepEqual([started, app.timers], [deaths, []], "its result is on record");
    t.is((await app.request({ do: "cancel", id: "a" })).result, false);
    app.close();
  });

test("only what was there and due when the role changed has an attempt on record: not a timer that was set since", async (t) => {
  const app = testApplication(alarms(), { limits: { cautionMs: 0 } });
  /** Where the log ends: with the record of this request. */
  const end = async () => (await app.request({ do: "cancel", id: "none" })).sequence;
  const records = async (id: string, inMs: number) => {
    const before = await end();
    await app.request({ do: "set", id, inMs });
    await app.advance(second);
    return (await end()) - 1 - before;
  };
  t.is(await records("a", -5 * second), 2, "the request, and its timer, which was due at once");
  await app.request({ do: "set", id: "b", inMs: 5 * second });
  await app.request({ do: "set", id: "c", inMs: 0 });
  app.crash();
  t.is(await records("d", -5 * second), 2);
  t.is(await records("e", 4 * second), 1);
  const before = await end();
  await app.advance(5 * second);
  t.is((await end()) - 1 - before, 2, "b and e came in their time");
  app.close();
});

test("a body that the schema does not take any more ends its timer, and the log says so", async (t) => {
  let isTaken = true;
  const told: unknown[] = [];
  const log = { debug() {}, info() {}, error() {}, warn: (_fields: unknown, line?: string) => void told.push(line) };
  const Changing = z.strictObject({ what: z.string().refine((what) => isTaken || what === "new", "gone") });
  const app = testApplication(
    defineApplication({
      name: "changing",
      request: Changing,
      result: z.null(),
      key: () => "k",
      tables: { rings: z.object({ what: z.string() }) },
      timers: { maxTimers: 2 },
      handle: ({ what }, { transaction, timer, nowMs }) =>
        transaction("t", (tx) => {
          if (timer === undefined) tx.schedule("t", nowMs + second, { what });
          else tx.put("rings", timer, { what });
          return null;
        }),
    }),
    { log: log as never },
  );
  await app.request({ what: "old" });
  isTaken = false;
  await app.advance(2 * second);
  t.regex(String(told[0]), /was scheduled by an earlier version of the application.*gone/);
  t.deepEqual([app.timers, app.state.size("rings")], [[], 0]);
  await app.request({ what: "new" });
  app.crash();
  await app.advance(2 * second);
  t.is(app.state.size("rings"), 1);
  app.close();
});

test("a migration leaves timers as they are, and may change them like any table", (t) => {
  const timer = { atMs: 5, key: "k", body: { do: "ring", how: "old" }, sequence: 1, nth: 0 };
  const stored = { version: 1, tables: { [timersName]: { a: timer }, rings: {} } };
  const next = (migration: object) =>
    defineApplication({ ...alarms(), version: 2, migrations: { 2: migration } } as never) as unknown as Application;
  t.deepEqual(testMigration(next({}), stored).tables[timersName], { a: timer });
  const later = {
    [timersName]: (old: object, tx: MigrationTransaction, key: string) => tx.put(timersName, key, { ...old, atMs: 9 }),
  };
  t.deepEqual(testMigration(next(later), stored).tables[timersName], { a: { ...timer, atMs: 9 } });
});

test("the timers' name is refused at the door, and taken by no table", async (t) => {
  const app = testApplication(alarms());
  const ask = app.request({ do: "ring", how: "" }, { client: timersName });
  t.regex((await t.throwsAsync(ask))?.message ?? "", /is the service's own, for its timers/);
  app.close();
  t.throws(() => defineApplication({ ...alarms(), tables: { [timersName]: Ring } } as never), {
    message: /is the table of timers/,
  });
  t.throws(() => alarms(undefined, 0), { message: /maxTimers must be a whole number/ });
});
