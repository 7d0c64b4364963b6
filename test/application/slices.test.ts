/** A migration goes through a state in slices: what is counted is the steps through rows, items and keys, so that no clock decides. */
import test from "ava";
import * as fc from "fast-check";
import { z } from "zod";
import { inByteOrder, KeysInOrder } from "../../actors/application/byte-order.ts";
import { catalogOf } from "../../actors/application/catalog.ts";
import { type Application, defineApplication } from "../../actors/application/define.ts";
import { applyRecord, type CatalogRecord, Migration } from "../../actors/application/migration.ts";
import { Queue } from "../../actors/application/parts.ts";
import { finish, InSlices, sliceRows } from "../../actors/application/slices.ts";
import { ApplicationState } from "../../actors/application/state.ts";
import { EffectWriter } from "../../machines/codec/effects.ts";
import { runs } from "../helpers/property-runs.ts";

const rows = 6_000;
const row = z.object({ n: z.int() });
/** Keys that are sorted at a time. */
const maxSorted = 1024;

const define = (definition: object): Application =>
  defineApplication({
    name: "shop",
    request: z.strictObject({}),
    result: z.strictObject({}),
    key: () => "",
    handle: () => ({}),
    ...definition,
  } as never);

const item = { item: row, maxItems: rows, whenFull: "refuse" };
const before = define({ tables: { gone: row, kept: row }, queues: { left: item, news: item } });

/** Everything that a migration may do: rows anew, items anew, a table and a queue that go, views. */
function after(onView: () => void, onChange: () => void): Application {
  const change =
    (name: string) =>
    (old: object, tx: { put(...all: unknown[]): void; push(...all: unknown[]): void }, key: string) => {
      onChange();
      if (name === "kept") tx.put("kept", key, { ...old, more: 1 });
      else tx.push("news", { ...old, more: 1 });
    };
  const wider = row.extend({ more: z.int() });
  return define({
    version: 2,
    migrations: { 2: { kept: change("kept"), news: change("news") } },
    tables: { kept: wider },
    queues: { news: { ...item, item: wider } },
    views: { all: () => ({ put: onView, push: onView }) },
  });
}

function filled(application: Application): ApplicationState {
  const state = new ApplicationState(application, catalogOf(before));
  const writer = new EffectWriter();
  for (const { part, kind } of catalogOf(before).parts)
    for (let n = 0; n < rows; n += 1) {
      if (kind === "table") writer.put(part, `k${(n * 7919) % rows}`, `{"n":${n}}`);
      else writer.push(part, `{"n":${n}}`);
    }
  state.apply(Uint8Array.from(writer.view()));
  return state;
}

/** Counts each step through a Map and each item that is looked at, and the longest list that is sorted. */
function counting(): { steps: number; sorted: number; readonly restore: () => void } {
  const counts = { steps: 0, sorted: 0, restore: (): void => {} };
  const maps = Map.prototype;
  const lists = Array.prototype;
  const originals = { keys: maps.keys, entries: maps.entries, sort: lists.sort, at: Queue.prototype.at };
  const counted = (make: () => Iterator<unknown>) =>
    function (this: Map<unknown, unknown>) {
      const its = make.call(this);
      const next = () => {
        counts.steps += 1;
        return its.next();
      };
      return { next, [Symbol.iterator]: () => ({ next }) };
    } as never;
  maps.keys = counted(originals.keys);
  maps.entries = counted(originals.entries);
  maps[Symbol.iterator] = counted(originals.entries);
  lists.sort = function (this: unknown[], ...compare) {
    counts.sorted = Math.max(counts.sorted, this.length);
    return originals.sort.apply(this, compare);
  };
  Queue.prototype.at = function (this: Queue, offset) {
    counts.steps += 1;
    return originals.at.call(this, offset);
  };
  counts.restore = () => {
    Object.assign(maps, { keys: originals.keys, entries: originals.entries, [Symbol.iterator]: originals.entries });
    lists.sort = originals.sort;
    Queue.prototype.at = originals.at;
  };
  return counts;
}

test.serial("a migration touches no more in one slice than a slice has, however many rows there are", (t) => {
  let calls = 0;
  const count = () => {
    calls += 1;
  };
  const application = after(count, count);
  const state = filled(application);
  const migration = new Migration(state, application, { maxRecordBytes: 1024 * 1024 });
  const counts = counting();
  const most = { steps: 0, calls: 0 };
  let slices = 0;
  const step = (work: { goOn(): boolean }) => {
    for (let isDone = false; !isDone; slices += 1) {
      counts.steps = 0;
      calls = 0;
      isDone = work.goOn();
      most.steps = Math.max(most.steps, counts.steps);
      most.calls = Math.max(most.calls, calls);
    }
  };
  const once = () => {
    let isLeft = true;
    return () => {
      const may = isLeft;
      isLeft = false;
      return may;
    };
  };
  try {
    step({ goOn: () => migration.make(once()) });
    const records: CatalogRecord[] = [];
    while (migration.left > 1) records.push(migration.next() as CatalogRecord);
    for (const record of records) applyRecord(state, record);
    const views = new InSlices(state.makingViews());
    step({ goOn: () => views.goOn(once()) !== null });
    applyRecord(state, migration.next() as CatalogRecord, views.goOn(once())?.value);
  } finally {
    counts.restore();
  }
  t.true(state.isCurrent);
  t.is(state.size, 2 * rows);
  // A slice may end one part and begin another.
  t.true(most.steps <= 2 * sliceRows + 8, `${most.steps} steps in one slice`);
  t.true(most.calls <= 2 * sliceRows, `${most.calls} calls in one slice`);
  t.true(counts.sorted <= maxSorted, `${counts.sorted} keys sorted at once`);
  t.true(slices > (10 * rows) / (2 * sliceRows), `${slices} slices`);
});

test.serial("keys come in the order of their bytes, however they are gathered", (t) => {
  const key = fc.oneof(
    fc.string({ maxLength: 3 }),
    fc.string({ maxLength: 3, unit: "binary" }),
    fc.constantFrom("\u{1f600}", "\uffee", "\ud800"),
  );
  const property = fc.property(fc.uniqueArray(key, { maxLength: 3_000 }), (keys) => {
    t.deepEqual(allOf(keys), inByteOrder(keys));
  });
  t.notThrows(() => fc.assert(property, { numRuns: runs(20) }));
  const many = Array.from({ length: 5_000 }, (_, n) => `k${(n * 7919) % 5_000}`);
  t.deepEqual(allOf(many), inByteOrder(many));
});

function allOf(keys: readonly string[]): string[] {
  const order = new KeysInOrder();
  finish(order.gather(keys));
  const given: string[] = [];
  for (let next = order.next(); next !== undefined; next = order.next()) given.push(next);
  return given;
}
