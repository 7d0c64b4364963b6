/** From the state of one version to the next: what is made, in which records, and what a crash between any two of them leaves. */
import test from "ava";
import { z } from "zod";
import { catalogName, catalogOf, ownProgram, planFor } from "../../actors/application/catalog.ts";
import { type Application, defineApplication, schemaDigest } from "../../actors/application/define.ts";
import { applyRecord, type CatalogRecord, Migration, MigrationError } from "../../actors/application/migration.ts";
import { ApplicationState } from "../../actors/application/state.ts";
import { EffectWriter } from "../../machines/codec/effects.ts";

type Parts = Partial<Pick<Parameters<typeof defineApplication>[0], "tables" | "queues" | "views">>;
const maxRecordBytes = 64 * 1024;

function define(version: number, parts: Parts, migrations: Application["migrations"] = {}): Application {
  return defineApplication({
    name: "shop",
    version,
    migrations,
    request: z.strictObject({}),
    result: z.strictObject({}),
    key: () => "",
    handle: () => ({}),
    ...parts,
  } as never);
}

const orders = z.object({ owner: z.string(), total: z.int() });
const first = define(1, {
  tables: { orders, zones: z.object({ name: z.string() }) },
  queues: { news: { item: z.object({ text: z.string() }), maxItems: 100, whenFull: "refuse" } },
});

/** A state as the program before left it. */
function stateOf(rows: number, application = first): ApplicationState {
  const state = new ApplicationState(application);
  const writer = new EffectWriter();
  for (let n = 0; n < rows; n += 1) writer.put(0, `o${n}`, JSON.stringify({ owner: `c${n % 7}`, total: n }));
  writer.put(1, "z1", '{"name":"north"}');
  for (let n = 0; n < 5; n += 1) writer.push(2, `{"text":"n${n}"}`);
  state.apply(Uint8Array.from(writer.view()));
  return state;
}

/** The same state as another program finds it. */
function found(state: ApplicationState, application: Application): ApplicationState {
  const other = new ApplicationState(application, state.catalog);
  const writer = new EffectWriter();
  for (const { part, kind, name } of state.catalog.parts) {
    if (kind === "table") for (const [key, row] of state.table(name).rows) writer.put(part, key, JSON.stringify(row));
    else
      for (let at = 0; at < state.queue(name).length; at += 1)
        writer.push(part, JSON.stringify(state.queue(name).at(at)));
  }
  other.apply(Uint8Array.from(writer.view()));
  return other;
}

function recordsOf(state: ApplicationState, application: Application): CatalogRecord[] {
  const migration = new Migration(state, application, { maxRecordBytes });
  migration.make(() => true);
  const records: CatalogRecord[] = [];
  for (let record = migration.next(); record !== undefined; record = migration.next()) records.push(record);
  return records;
}

const rowsOf = (state: ApplicationState, table: string) => Object.fromEntries(state.table(table).rows);
const itemsOf = (state: ApplicationState, queue: string) =>
  Array.from({ length: state.queue(queue).length }, (_, at) => state.queue(queue).at(at));

/** Orders get a number of lines, owners a table of their own; zones and news go. */
const second = define(
  2,
  {
    tables: {
      orders: orders.extend({ lines: z.int() }),
      accounts: z.object({ orders: z.int() }),
      // Before `orders` by its name: the numbers of what is there do not change.
    },
    queues: { log: { item: z.object({ text: z.string() }), maxItems: 3, whenFull: "dropOldest" } },
  },
  {
    2: {
      orders: (old, tx, key) => {
        tx.put("orders", key, { ...old, lines: 1 });
        const { owner } = orders.parse(old);
        const account = (tx.get("accounts", owner) ?? { orders: 0 }) as { orders: number };
        tx.put("accounts", owner, { orders: account.orders + 1 });
      },
      news: ({ text }, tx) => tx.push("log", { text: `${String(text)}!` }),
    },
  },
);

test("a table and a field that are new need no version, and what is there keeps its number", (t) => {
  const wider = define(1, {
    tables: {
      accounts: z.object({ n: z.int() }),
      orders: orders.extend({ note: z.string().optional() }),
      zones: z.object({ name: z.string() }),
    },
    queues: { news: { item: z.object({ text: z.string().max(9) }), maxItems: 3, whenFull: "dropOldest" } },
  });
  const state = found(stateOf(3), wider);
  t.is(state.whyUnreadable, "");
  t.false(state.isCurrent);
  const records = recordsOf(state, wider);
  t.deepEqual(
    records.map(({ effects, name }) => [effects.length, name]),
    [[0, catalogName(catalogOf(wider))]],
  );
  for (const record of records) applyRecord(state, record);
  t.true(state.isCurrent);
  t.deepEqual(
    state.catalog.parts.map(({ part, name }) => [part, name]),
    [
      [0, "orders"],
      [1, "zones"],
      [2, "news"],
      [3, "accounts"],
    ],
  );
  t.deepEqual(rowsOf(state, "orders")["o2"], { owner: "c2", total: 2 });
  t.is(itemsOf(state, "news").length, 5, "a bound that is smaller drops nothing by itself");
});

test("a change that the version does not tell is refused, by table and field", (t) => {
  const changed = define(1, { tables: { orders: z.object({ owner: z.string(), total: z.int(), lines: z.int() }) } });
  const why = planFor(stateOf(1).catalog, changed);
  t.is(
    why,
    "what is stored does not fit this program: table orders: field lines is required, and what is stored may lack it; table zones: it is gone; queue news: it is gone. Give the definition version 2 and a migration, or take the change back",
  );
  const state = new ApplicationState(changed, stateOf(1).catalog);
  t.is(state.whyUnreadable, String(why));
  state.apply(Uint8Array.of(1, 0, 0, 0));
  t.is(state.size, 0, "nothing is made of what cannot be read, and nothing is thrown");
  const noWay = planFor(stateOf(1).catalog, define(2, {}));
  t.is(noWay, "the data is of version 1, and this program has no migration to version 2");
  const older = planFor(catalogOf(define(3, {})), define(2, {}, { 2: {} }));
  t.regex(
    String(older),
    /the data is of version 3, and this program of shop knows no later one than 2: start the newer program/,
  );
  t.regex(
    String(planFor({ ...catalogOf(first), application: "bank" }, first)),
    /the data is the application bank's, and this program is shop: one that was renamed says storedAs: "bank"/,
  );
});

test("an application that was renamed is the same one, where it says under which name its data was begun", (t) => {
  const renamed = defineApplication({ ...first, name: "store", storedAs: "shop" } as never);
  t.is(schemaDigest(renamed), schemaDigest(first));
  t.is(catalogName(catalogOf(renamed)), catalogName(catalogOf(first)));
  t.deepEqual(ownProgram(renamed), ownProgram(first));
  const state = found(stateOf(2), renamed);
  t.deepEqual([state.whyUnreadable, state.isCurrent], ["", true], "nothing is to be done");
  const forgot = defineApplication({ ...first, name: "store", storedAs: "store" } as never);
  t.is(
    planFor(stateOf(1).catalog, forgot),
    'the data is the application shop\'s, and this program is store: one that was renamed says storedAs: "shop"',
  );
  t.throws(() => defineApplication({ ...first, storedAs: "Shop!" } as never), { message: /a name is 1 to 32 of/ });
});

test("rows are written anew, tables and queues come and go, and numbers are given once", (t) => {
  const state = found(stateOf(20), second);
  const records = recordsOf(state, second);
  t.is(state.size, 26, "all of it is made on a copy");
  for (const record of records) applyRecord(state, record);
  t.true(state.isCurrent);
  t.deepEqual(rowsOf(state, "orders")["o9"], { owner: "c2", total: 9, lines: 1 });
  t.deepEqual(rowsOf(state, "accounts")["c2"], { orders: 3 });
  t.deepEqual(itemsOf(state, "log"), [{ text: "n2!" }, { text: "n3!" }, { text: "n4!" }]);
  t.throws(() => state.table("zones"), { message: /there is no table zones/ });
  t.deepEqual(
    state.catalog.parts.map(({ part, name }) => [part, name]),
    [
      [0, "orders"],
      [3, "accounts"],
      [4, "log"],
    ],
  );
  const third = define(
    3,
    {
      tables: {
        orders: orders.extend({ lines: z.int() }),
        accounts: z.object({ orders: z.int() }),
        zones: z.object({ name: z.string() }),
      },
      queues: { log: { item: z.object({ text: z.string() }), maxItems: 3, whenFull: "dropOldest" } },
    },
    { 2: {}, 3: {} },
  );
  const plan = planFor(state.catalog, third);
  t.deepEqual(typeof plan === "string" ? plan : plan.target.parts.map(({ part }) => part), [0, 3, 4, 5]);
});

test("wherever it stops, whoever goes on ends with the same, each row once", (t) => {
  const wide = stateOf(900);
  const whole = found(wide, second);
  const records = recordsOf(whole, second);
  for (const record of records) applyRecord(whole, record);
  t.true(records.length > 5, `${records.length} records`);
  for (let stops = 0; stops < records.length; stops += 1) {
    const state = found(wide, second);
    for (const record of records.slice(0, stops)) applyRecord(state, record);
    // A server that reads it from its store, or applied the same records.
    const next = found(state, second);
    for (const record of recordsOf(next, second)) applyRecord(next, record);
    t.is(next.digest(), whole.digest(), `after ${stops} records`);
    t.is(catalogName(next.catalog), catalogName(whole.catalog));
    t.is(next.catalog.nextPart, whole.catalog.nextPart);
  }
});

test("while it is under way an older program makes nothing of it, and a newer one goes on", (t) => {
  const state = found(stateOf(900), second);
  const records = recordsOf(state, second);
  for (const record of records.slice(0, 3)) applyRecord(state, record);
  t.regex(new ApplicationState(first, state.catalog).whyUnreadable, /of version 2/);
  const third = define(
    3,
    { tables: { accounts: z.object({ orders: z.int(), since: z.int() }) } },
    {
      2: second.migrations[2] as never,
      3: { accounts: (old, tx, key) => tx.put("accounts", key, { ...old, since: 0 }) },
    },
  );
  const next = found(state, third);
  for (const record of recordsOf(next, third)) applyRecord(next, record);
  t.true(next.isCurrent);
  t.deepEqual(rowsOf(next, "accounts")["c0"], { orders: 129, since: 0 });
  // Another program of the version that was begun: its schema fits what was there, not what is there by now.
  const begun = found(stateOf(900), second);
  for (const record of records.slice(0, 2)) applyRecord(begun, record);
  const back = define(2, { tables: { orders } }, { 2: { orders: (old, tx, key) => tx.put("orders", key, old) } });
  t.throws(() => recordsOf(found(begun, back), back), { message: /orders\/o0 is not what its schema says/ });
  const elsewhere = define(2, { tables: { orders } }, { 2: {} });
  t.throws(() => recordsOf(found(begun, elsewhere), elsewhere), { message: /goes through other tables and queues/ });
});

test("what a version that is passed over left behind is held to the schemas of the last", (t) => {
  const third = define(
    3,
    { tables: { orders, sums: z.object({ total: z.int(), since: z.int() }) } },
    { 2: { orders: ({ total }, tx) => tx.put("sums", "all", { total }) }, 3: {} },
  );
  const state = found(stateOf(3), third);
  t.throws(() => recordsOf(state, third), { message: /sums\/all is not what its schema says: since:/ });
});

test("where a queue's bound has become smaller, each item that is left is gone through once", (t) => {
  const item = z.object({ text: z.string() });
  const shorter = define(
    2,
    { queues: { news: { item, maxItems: 3, whenFull: "dropOldest" } } },
    { 2: { news: ({ text }, tx) => tx.push("news", { text: `${String(text)}!` }) } },
  );
  const state = found(stateOf(0), shorter);
  for (const record of recordsOf(state, shorter)) applyRecord(state, record);
  t.deepEqual(itemsOf(state, "news"), [{ text: "n0!" }, { text: "n3!" }, { text: "n4!" }]);
});

test("logs that began with two versions began otherwise, though their tables look alike", (t) => {
  t.not(schemaDigest(define(2, {}, { 2: {} })), schemaDigest(define(1, {})));
});

test("a migration that throws, leaves what its schema refuses, or names what is not there, changes nothing and says where", (t) => {
  const of = (change: unknown, parts: Parts = { tables: { orders } }) => define(2, parts, { 2: change as never });
  const why = (application: Application) => {
    const state = found(stateOf(70), application);
    const before = state.digest();
    const error = t.throws(() => recordsOf(state, application), { instanceOf: MigrationError });
    t.is(state.digest(), before);
    return error?.message ?? "";
  };
  const boom = (old: { total: number }) => {
    if (old.total === 66) throw new Error("boom");
  };
  t.is(why(of({ orders: boom })), "the migration to version 2 failed at orders/o66: boom");
  t.regex(why(of({ orders: async () => undefined })), /orders\/o0: it returned a promise/);
  t.regex(why(of({ goods: () => undefined })), /names goods, which is no table or queue/);
  t.regex(
    why(of({ orders: (old: object, tx: { put: (...all: unknown[]) => void }) => tx.put("orders", "other", old) })),
    /only the row that is being changed may be/,
  );
  const strict = { tables: { orders: orders.extend({ lines: z.int() }) } };
  t.regex(why(of({}, strict)), /after the migration to version 2 orders\/o0 is not what its schema says: lines:/);
  t.regex(
    why(
      of(
        { orders: (old: object, tx: { put: (...all: unknown[]) => void }, key: string) => tx.put("orders", key, old) },
        strict,
      ),
    ),
    /failed at orders\/o0: table orders: lines:/,
  );
  const filled = { tables: { orders: orders.extend({ lines: z.int().default(1) }) } };
  t.regex(why(of({}, filled)), /orders\/o0 is not what its schema says: a field is missing for which it has a default/);
  t.regex(why(of({}, { tables: { orders: z.object({ owner: z.string() }) } })), /there is one that it does not know/);
  const views = {
    views: {
      picky: () => ({
        put: () => {
          throw new Error("a view");
        },
      }),
    },
  };
  t.regex(why(of({}, { tables: { orders }, ...views })), /failed at its views: a view/);
});

test("a catalog that fits in no record is refused before anything is made, also where only a table is added", (t) => {
  const fields = Object.fromEntries(Array.from({ length: 400 }, (_, n) => [`field${n}`, z.string().optional()]));
  const wide = { orders, zones: z.object({ name: z.string() }), wide: z.object(fields) };
  const queues = { news: { item: z.object({ text: z.string() }), maxItems: 100, whenFull: "refuse" } } as const;
  for (const application of [define(1, { tables: wide, queues }), define(2, { tables: wide, queues }, { 2: {} })]) {
    const state = found(stateOf(0), application);
    const error = t.throws(() => new Migration(state, application, { maxRecordBytes: 8 * 1024 }), {
      instanceOf: MigrationError,
    });
    t.regex(error?.message ?? "", /takes \d+ bytes and does not fit in a record of 8192: raise maxRecordBytes/);
    t.notThrows(() => new Migration(state, application, { maxRecordBytes: 64 * 1024 }));
  }
});

test("views see nothing before the state is their program's, and then all of it", (t) => {
  const heard: string[] = [];
  const seeing = define(
    2,
    {
      tables: { orders: orders.extend({ lines: z.int().optional() }) },
      views: { ear: () => ({ put: (table: string, key: string) => void heard.push(`${table}/${key}`) }) },
    },
    { 2: { orders: (old, tx, key) => tx.put("orders", key, { ...old, lines: 2 }) } },
  );
  const state = found(stateOf(2), seeing);
  t.deepEqual(heard, []);
  const records = recordsOf(state, seeing);
  heard.length = 0;
  for (const record of records) applyRecord(state, record);
  t.deepEqual(heard.sort(), ["orders/o0", "orders/o1"]);
});
