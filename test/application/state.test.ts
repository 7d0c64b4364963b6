/** State from bytes, from the store, and what is refused there. */
import { createHash } from "node:crypto";
import test from "ava";
import { z } from "zod";
import { defineApplication } from "../../actors/application/define.ts";
import { ApplicationState } from "../../actors/application/state.ts";
import { EffectWriter } from "../../machines/codec/effects.ts";

const heard: string[] = [];
const application = defineApplication({
  name: "probe",
  request: z.strictObject({}),
  result: z.strictObject({}),
  key: () => "",
  tables: { rows: z.unknown() },
  queues: { items: { item: z.unknown(), maxItems: 40, whenFull: "refuse" } },
  views: {
    ear: () => ({
      put: (table: string, key: string, value: unknown, before: unknown) =>
        void heard.push(JSON.stringify([table, key, value, before])),
      delete: (table: string, key: string, before: unknown) => void heard.push(JSON.stringify([table, key, before])),
      push: (queue: string, value: unknown) => void heard.push(JSON.stringify([queue, value])),
      shift: (queue: string, values: readonly unknown[]) => void heard.push(JSON.stringify([queue, "shift", values])),
    }),
  },
  handle: () => ({}),
});
const bytes = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));
const effects = (write: (writer: EffectWriter) => void) => {
  const writer = new EffectWriter();
  write(writer);
  return Uint8Array.from(writer.view());
};

test.serial("views hear of every effect after it, with what was before", (t) => {
  heard.length = 0;
  const state = new ApplicationState(application);
  state.apply(
    effects((writer) => {
      writer.put(0, "a", "1");
      writer.put(0, "a", "2");
      writer.delete(0, "a");
      writer.push(1, '"x"');
      writer.push(1, '"y"');
      writer.shift(1, 2);
    }),
  );
  t.deepEqual(heard, [
    '["rows","a",1,null]',
    '["rows","a",2,1]',
    '["rows","a",2]',
    '["items","x"]',
    '["items","y"]',
    '["items","shift",["x","y"]]',
  ]);
  t.is(state.size, 0);
  t.is(state.queueHead(1), 2);
});

test("the digest depends on rows and items alone, in the order of the keys' bytes", (t) => {
  const keys = ["a", "b", "\uffee", "\u{1f600}", "é"];
  const one = new ApplicationState(application);
  const other = new ApplicationState(application);
  for (const key of keys) one.loadRow(0, key, bytes({ key }));
  for (const key of [...keys].reverse()) other.loadRow(0, key, bytes({ key }));
  t.is(one.digest(), other.digest());
  other.loadQueueItem(1, 17, bytes(1));
  t.not(one.digest(), other.digest());
  one.loadQueueItem(1, 3, bytes(1));
  t.is(one.digest(), other.digest());
  const before = one.digest();
  one.loadRow(0, "a", bytes({ key: "b" }));
  t.not(one.digest(), before);
  one.clear();
  t.is(one.digest(), new ApplicationState(application).digest());
});

test("the digest is that of the store's bytes, in the store's order", (t) => {
  const state = new ApplicationState(application);
  // In UTF-16 the last two come the other way round.
  const rows = ["a", "b", "é", "\uffee", "\u{1f600}"].map(
    (key) => [Buffer.from(key), Buffer.from(JSON.stringify({ key }))] as const,
  );
  for (const [key, value] of [...rows].reverse()) state.loadRow(0, key.toString(), value);
  state.loadQueueItem(1, 9, bytes("x"));
  const u32 = (value: number) => Buffer.from(Uint32Array.of(value).buffer);
  const hash = createHash("sha256");
  for (const [key, value] of rows)
    hash.update(Buffer.concat([Uint8Array.of(0), u32(key.length), key, u32(value.length), value]));
  hash.update(Buffer.concat([Uint8Array.of(1), u32(0xffffffff), u32(3), Buffer.from('"x"')]));
  t.is(state.digest(), hash.digest("hex"));
});

test("a cleared state has new views", (t) => {
  const state = new ApplicationState(application);
  const { ear } = state.views;
  state.clear();
  t.not(state.views.ear, ear);
});

test("rows and items are told apart in the digest", (t) => {
  const row = new ApplicationState(application);
  const item = new ApplicationState(application);
  row.loadRow(0, "k", bytes("v"));
  item.loadQueueItem(1, 0, bytes("v"));
  t.not(row.digest(), item.digest());
});

test("a queue goes round and round, and keeps its order and its index", (t) => {
  const state = new ApplicationState(application);
  let next = 0;
  let oldest = 0;
  for (let round = 0; round < 200; round += 1) {
    const pushes = (round * 7) % 11;
    for (let n = 0; n < pushes && next - oldest < 40; n += 1) {
      const item = String(next);
      state.apply(effects((writer) => writer.push(1, item)));
      next += 1;
    }
    const shifts = Math.min(next - oldest, (round * 5) % 9);
    if (shifts > 0) state.apply(effects((writer) => writer.shift(1, shifts)));
    oldest += shifts;
    const queue = state.queue("items");
    t.deepEqual(
      Array.from({ length: queue.length }, (_, at) => queue.at(at)),
      Array.from({ length: next - oldest }, (_, at) => oldest + at),
    );
    t.is(queue.head, oldest);
  }
});

test("effects and rows that do not fit the state are errors, never ignored", (t) => {
  const state = () => new ApplicationState(application);
  for (const bad of [
    effects((writer) => writer.delete(0, "none")),
    effects((writer) => writer.shift(1, 1)),
    effects((writer) => writer.put(1, "a", "1")),
    effects((writer) => writer.push(0, "1")),
    effects((writer) => writer.put(7, "a", "1")),
    effects((writer) => writer.put(0, "a", "{")),
    effects((writer) => writer.put(0, "a", "1")).subarray(0, 6),
  ])
    t.throws(() => state().apply(bad));
  const loaded = state();
  loaded.loadQueueItem(1, 5, bytes(1));
  t.throws(() => loaded.loadQueueItem(1, 7, bytes(1)), { message: /item 7 was read after item 5/ });
});
