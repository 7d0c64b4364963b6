/**
 * What every Store must do: run on store-level and on the simulated store.
 *
 * The tests ask what survives what: a crash in the middle of anything leaves whole batches, in their order, up to at
 * least the last synced one; an adopted side store is there as a whole or not at all.
 */
import test, { type ExecutionContext } from "ava";
import { type Store, type StoreEntry, StoreError, type StoreRange, type StoreWrite } from "../../actors/world/ports.ts";
import { bytesOf, patternBytes, type Rig, textOf } from "./rig.ts";

export interface StoreRig extends Rig {
  /** A store on this rig's one disk, not open. */
  make(): Store;
  /** The process of the open store dies, now; what `make` gives from here on has what a disk would have kept. */
  crash(store: Store): Promise<void>;
}

const put = (key: string, value: string): StoreWrite => ({ type: "put", key: bytesOf(key), value: bytesOf(value) });
const drop = (key: string): StoreWrite => ({ type: "delete", key: bytesOf(key) });
const all: StoreRange = { from: new Uint8Array(), to: new Uint8Array(40).fill(255) };

async function collect(entries: AsyncIterable<StoreEntry>): Promise<string[]> {
  const out: string[] = [];
  for await (const [key, value] of entries) out.push(`${textOf(key)}=${textOf(value)}`);
  return out;
}

export function storeConformance(name: string, makeRig: (t: ExecutionContext) => Promise<StoreRig>): void {
  interface Context {
    readonly rig: StoreRig;
    readonly store: Store;
    /** Waits for a promise of the store, whatever drives the rig. */
    readonly go: <T>(promise: Promise<T>) => Promise<T>;
    /** The process dies; a new one opens the store. */
    restart(store: Store): Promise<Store>;
    open(): Promise<Store>;
  }

  const withStore = (title: string, body: (t: ExecutionContext, context: Context) => Promise<void>) => {
    test.serial(`${name}: ${title}`, async (t) => {
      const rig = await makeRig(t);
      const go = <T>(promise: Promise<T>) => rig.settle(promise);
      const opened: Store[] = [];
      const open = async () => {
        const store = rig.make();
        await go(store.open());
        opened.push(store);
        return store;
      };
      const restart = async (store: Store) => {
        await go(rig.crash(store));
        return open();
      };
      try {
        await body(t, { rig, store: await open(), go, restart, open });
      } finally {
        for (const store of opened) await go(store.release().catch(() => undefined));
        await rig.dispose();
      }
    });
  };

  withStore("a new store is empty", async (t, { store, go }) => {
    t.is(await go(store.get(bytesOf("a"))), undefined);
    t.deepEqual(await go(collect(store.entries(all))), []);
    t.deepEqual(await go(collect(store.image())), []);
  });

  withStore(
    "what was written is read: empty values, binary keys, large values, deleted keys",
    async (t, { store, go }) => {
      const binary = Uint8Array.of(0, 255, 128, 10, 13, 0);
      const large = patternBytes(300_000, 3);
      await go(
        store.write(
          [
            put("empty", ""),
            { type: "put", key: binary, value: large },
            put("gone", "x"),
            drop("gone"),
            drop("never was"),
            put("twice", "1"),
            put("twice", "2"),
          ],
          { sync: false },
        ),
      );
      t.deepEqual([...((await go(store.get(bytesOf("empty")))) ?? [1])], []);
      t.is(Buffer.compare((await go(store.get(binary))) ?? binary, large), 0);
      t.is(await go(store.get(bytesOf("gone"))), undefined);
      t.is(textOf((await go(store.get(bytesOf("twice")))) ?? binary), "2");
      await go(store.write([], { sync: true }));
      await go(store.write([drop("twice")], { sync: true }));
      t.is(await go(store.get(bytesOf("twice"))), undefined);
    },
  );

  withStore("what was written does not change with the caller's bytes", async (t, { store, go }) => {
    const [key, value] = [bytesOf("key"), bytesOf("value")];
    await go(store.write([{ type: "put", key, value }], { sync: false }));
    key.fill(0);
    value.fill(0);
    t.deepEqual(await go(collect(store.entries(all))), ["key=value"]);
    const read = (await go(store.get(bytesOf("key")))) ?? key;
    read.fill(0);
    t.deepEqual(await go(collect(store.image())), ["key=value"]);
  });

  withStore("ranges: from inclusive, to exclusive, by unsigned bytes, reverse, limit", async (t, { store, go }) => {
    const keys = [[0], [0, 0], [1], [127], [127, 255], [128], [200, 1], [255], [255, 255]].map((key) =>
      Uint8Array.from(key),
    );
    const shuffled = keys.toSorted((a, b) => (((a[0] ?? 0) * 7919) % 257) - (((b[0] ?? 0) * 7919) % 257));
    await go(
      store.write(
        shuffled.map((key) => ({ type: "put", key, value: key })),
        { sync: false },
      ),
    );
    const read = async (from: number[], to: number[], more: { reverse?: boolean; limit?: number } = {}) => {
      const out: string[] = [];
      const entries = store.entries({ from: Uint8Array.from(from), to: Uint8Array.from(to), ...more });
      await go(
        (async () => {
          for await (const [key] of entries) out.push([...key].join("."));
        })(),
      );
      return out;
    };
    const end = [255, 255, 255];
    t.deepEqual(
      await read([], end),
      keys.map((key) => [...key].join(".")),
    );
    t.deepEqual(await read([0, 0], [128]), ["0.0", "1", "127", "127.255"]);
    t.deepEqual(await read([0, 0], [128], { reverse: true }), ["127.255", "127", "1", "0.0"]);
    t.deepEqual(await read([], end, { limit: 2 }), ["0", "0.0"]);
    t.deepEqual(await read([], end, { limit: 2, reverse: true }), ["255.255", "255"]);
    t.deepEqual(await read([], [255], { limit: 1, reverse: true }), ["200.1"]);
    t.deepEqual(await read([2], [100]), []);
    t.deepEqual(await read([128], [128]), []);
  });

  withStore("a reader may stop early, and start again", async (t, { store, go }) => {
    const writes = Array.from({ length: 5000 }, (_, at) => put(`k${String(at).padStart(5, "0")}`, `${at}`));
    await go(store.write(writes, { sync: false }));
    const first = async (entries: AsyncIterable<StoreEntry>) => {
      for await (const [key] of entries) return textOf(key);
      return "none";
    };
    t.is(await go(first(store.entries(all))), "k00000");
    t.is(await go(first(store.image())), "k00000");
    t.is((await go(collect(store.entries(all)))).length, 5000);
  });

  withStore("writes are applied in the order of the calls", async (t, { store, go }) => {
    const writes: Promise<void>[] = [];
    for (let round = 0; round < 200; round += 1)
      writes.push(store.write([put("last", `${round}`), put(`r${round}`, "x")], { sync: round % 7 === 0 }));
    await go(Promise.all(writes));
    t.is(textOf((await go(store.get(bytesOf("last")))) ?? bytesOf("none")), "199");
    t.is((await go(collect(store.image()))).length, 201);
  });

  withStore("a batch is seen whole or not at all, whatever is written meanwhile", async (t, { store, go }) => {
    const names = Array.from({ length: 30 }, (_, at) => `row${String(at).padStart(2, "0")}`);
    const round = (number: number) => names.map((row) => put(row, `${number}`));
    await go(store.write(round(0), { sync: false }));
    const writes: Promise<void>[] = [];
    const images: Promise<string[]>[] = [];
    for (let number = 1; number <= 60; number += 1) {
      writes.push(store.write(round(number), { sync: false }));
      images.push(collect(store.image()), collect(store.entries(all)));
    }
    const seen = await go(Promise.all(images));
    await go(Promise.all(writes));
    for (const entries of seen) {
      t.is(entries.length, names.length);
      t.is(new Set(entries.map((entry) => entry.split("=")[1])).size, 1, "all rows of one batch");
    }
  });

  withStore(
    "an image is everything as of its call: all writes called before, none called after",
    async (t, { store, go }) => {
      await go(store.write([put("a", "1"), put("b", "1")], { sync: false }));
      const before = store.write([put("a", "2"), drop("b"), put("c", "2")], { sync: false });
      const image = store.image();
      const after = store.write([put("a", "3"), put("d", "3"), drop("c")], { sync: false });
      await go(Promise.all([before, after]));
      t.deepEqual(await go(collect(image)), ["a=2", "c=2"]);
      t.deepEqual(await go(collect(store.image())), ["a=3", "d=3"]);
    },
  );

  withStore("a synced write, and all before it, are there after a crash", async (t, { store, go, restart }) => {
    let current = store;
    let expected = 0;
    for (let life = 0; life < 3; life += 1) {
      const writes: Promise<void>[] = [];
      for (let at = 0; at < 40; at += 1) {
        writes.push(current.write([put(`k${String(expected).padStart(4, "0")}`, `${life}`)], { sync: at === 39 }));
        expected += 1;
      }
      await go(Promise.all(writes));
      current = await restart(current);
      t.is((await go(collect(current.image()))).length, expected);
    }
    await go(current.write([put("late", "1")], { sync: false }));
    // An empty batch with `sync` asks for exactly this: what was written so far, on the disk.
    await go(current.write([], { sync: true }));
    current = await restart(current);
    t.is(textOf((await go(current.get(bytesOf("late")))) ?? bytesOf("none")), "1");
  });

  withStore(
    "after a crash there are whole batches, a prefix of what was written",
    async (t, { store, go, restart }) => {
      for (let at = 0; at < 30; at += 1)
        await go(
          store.write([put(`x${String(at).padStart(2, "0")}`, "1"), put(`y${String(at).padStart(2, "0")}`, "1")], {
            sync: at === 9,
          }),
        );
      const current = await restart(store);
      const entries = await go(collect(current.image()));
      const count = entries.filter((entry) => entry.startsWith("x")).length;
      t.true(count >= 10, "the synced ones are there");
      const expected = ["x", "y"].flatMap((letter) =>
        Array.from({ length: count }, (_, at) => `${letter}${String(at).padStart(2, "0")}=1`),
      );
      t.deepEqual(entries, expected);
    },
  );

  withStore(
    "writes are done in the order of their calls, and an image has all that were called before it",
    async (t, { store, go }) => {
      const done: number[] = [];
      const writes = Array.from({ length: 60 }, (_, at) =>
        store.write([put("last", `${at}`), put(`k${at}`, "1")], { sync: at % 7 === 0 }).then(() => done.push(at)),
      );
      const image = collect(store.image());
      const later = store.write([put("last", "later"), put("later", "1")], { sync: false });
      const seen = await go(image);
      t.is(seen.length, 61, "and nothing of what was called after it");
      t.true(seen.includes("last=59"));
      await go(Promise.all([...writes, later]));
      t.deepEqual(
        done,
        done.toSorted((a, b) => a - b),
      );
    },
  );

  withStore("a range is read as of its call, whatever is written meanwhile", async (t, { store, go }) => {
    const key = (at: number) => `k${String(at).padStart(4, "0")}`;
    await go(
      store.write(
        Array.from({ length: 500 }, (_, at) => put(key(at), "old")),
        { sync: false },
      ),
    );
    const reading = collect(store.entries(all));
    const writing = store.write(
      Array.from({ length: 500 }, (_, at) => (at % 2 === 0 ? drop(key(at)) : put(key(at), "new"))),
      { sync: false },
    );
    const read = await go(reading);
    await go(writing);
    t.is(read.length, 500);
    t.true(read.every((entry) => entry.endsWith("=old")));
    t.is((await go(collect(store.entries(all)))).length, 250);
  });

  withStore("many small synced writes at once are all there after a crash", async (t, { store, go, restart }) => {
    const writes = Array.from({ length: 500 }, (_, at) =>
      store.write([put(`k${String(at).padStart(3, "0")}`, "v")], { sync: true }),
    );
    await go(Promise.all(writes));
    const current = await restart(store);
    t.is((await go(collect(current.image()))).length, 500);
  });

  withStore("a closed store is opened again with everything that was written", async (t, { store, go, open }) => {
    await go(store.write([put("a", "1")], { sync: true }));
    const last = store.write([put("b", "2")], { sync: false });
    await go(store.release());
    await go(last);
    const again = await open();
    t.deepEqual(await go(collect(again.image())), ["a=1", "b=2"]);
  });

  withStore(
    "a closed store's directory stays its process's, for the next life, until it is released",
    async (t, it) => {
      const { rig, store, go } = it;
      await go(store.write([put("a", "1")], { sync: true }));
      await go(store.close());
      const other = rig.make();
      const error = await t.throwsAsync(go(other.open()), { instanceOf: StoreError });
      t.is((error as StoreError).code, "locked");
      await go(store.open());
      t.deepEqual(await go(collect(store.image())), ["a=1"]);
      await go(store.release());
      await go(other.open());
      t.deepEqual(await go(collect(other.image())), ["a=1"]);
      await go(other.release());
    },
  );

  withStore("a directory in use is refused, and its user is not disturbed", async (t, { rig, store, go, open }) => {
    await go(store.write([put("a", "1")], { sync: true }));
    for (let tries = 0; tries < 2; tries += 1) {
      const second = rig.make();
      const error = await t.throwsAsync(go(second.open()), { instanceOf: StoreError });
      t.is((error as StoreError).code, "locked");
      await go(second.close());
    }
    await go(store.write([put("b", "2")], { sync: true }));
    t.deepEqual(await go(collect(store.image())), ["a=1", "b=2"]);
    await go(store.release());
    const after = await open();
    t.deepEqual(await go(collect(after.image())), ["a=1", "b=2"]);
  });

  withStore("a closed store answers every call with `closed`", async (t, { store, go }) => {
    await go(store.write([put("a", "1")], { sync: false }));
    await go(store.close());
    const calls: [string, () => Promise<unknown>][] = [
      ["get", async () => store.get(bytesOf("a"))],
      ["write", async () => store.write([put("a", "2")], { sync: true })],
      ["entries", async () => collect(store.entries(all))],
      ["image", async () => collect(store.image())],
      ["side", async () => store.side()],
    ];
    for (const [call, run] of calls) {
      const error = await t.throwsAsync(go(run()), { instanceOf: StoreError }, call);
      t.is((error as StoreError).code, "closed", call);
    }
    await t.notThrowsAsync(go(store.close()), "closing twice");
  });

  withStore(
    "an adopted side store is the store: old content gone, later writes in it, a crash changes nothing",
    async (t, { store, go, restart }) => {
      await go(store.write([put("old", "1"), put("both", "old")], { sync: true }));
      const side = await go(store.side());
      for (let at = 0; at < 50; at += 1) await go(side.write([put(`new${String(at).padStart(2, "0")}`, "1")]));
      await go(side.write([put("both", "new"), put("dropped", "x"), drop("dropped")]));
      t.is((await go(collect(side.image()))).length, 51);
      t.deepEqual(await go(collect(store.image())), ["both=old", "old=1"], "the store is untouched meanwhile");
      await go(store.write([put("old2", "1")], { sync: false }));
      const adopted = side.adopt(null);
      const later = store.write([put("zlater", "1")], { sync: true });
      await go(Promise.all([adopted, later]));
      const expected = [
        "both=new",
        ...Array.from({ length: 50 }, (_, at) => `new${String(at).padStart(2, "0")}=1`),
        "zlater=1",
      ];
      t.deepEqual(await go(collect(store.image())), expected);
      t.is(textOf((await go(store.get(bytesOf("both")))) ?? bytesOf("none")), "new");
      const current = await restart(store);
      t.deepEqual(await go(collect(current.image())), expected);
    },
  );

  withStore(
    "adopting makes the side store durable, though nothing of it was synced before",
    async (t, { store, go, restart }) => {
      const side = await go(store.side());
      for (let at = 0; at < 20; at += 1) await go(side.write([put(`n${String(at).padStart(2, "0")}`, "1")]));
      await go(side.adopt(null));
      const current = await restart(store);
      t.is((await go(collect(current.image()))).length, 20);
    },
  );

  withStore(
    "a store that is set aside is kept whole, its unsynced writes included, over crashes and further adoptions",
    async (t, { store, go, restart }) => {
      t.deepEqual((await go(store.usage())).aside, []);
      let current = store;
      const names: string[] = [];
      for (const [label, key] of [
        ["h1", "a"],
        ["h2", "b"],
      ] as const) {
        await go(current.write([put(key, "synced")], { sync: true }));
        await go(current.write([put(`${key}2`, "not synced")], { sync: false }));
        const side = await go(current.side());
        await go(side.write([put("new", label)]));
        const name = await go(side.adopt(label));
        t.regex(name ?? "", new RegExp(`^aside-.*${label}`));
        names.push(name ?? "");
        t.deepEqual(await go(collect(current.image())), [`new=${label}`]);
        current = await restart(current);
        t.deepEqual(await go(collect(current.image())), [`new=${label}`]);
      }
      const { aside, bytes } = await go(current.usage());
      t.deepEqual(
        aside.map(({ name }) => name),
        names,
      );
      t.true(bytes > 0 && aside.every((copy) => copy.bytes > 0));
      const side = await go(current.side());
      await go(side.adopt(null));
      t.is((await go(current.usage())).aside.length, 2, "one that is dropped leaves them alone");
    },
  );

  withStore("a discarded side store leaves no trace, and another may follow", async (t, { store, go, restart }) => {
    await go(store.write([put("a", "1")], { sync: true }));
    const side = await go(store.side());
    await go(side.write([put("b", "2")]));
    await go(side.discard());
    for (const call of [() => side.write([put("c", "3")]), () => side.adopt(null)]) {
      const error = await t.throwsAsync(go((async () => call())()), { instanceOf: StoreError });
      t.is((error as StoreError).code, "closed");
    }
    t.deepEqual(await go(collect(store.image())), ["a=1"]);
    const next = await go(store.side());
    t.deepEqual(await go(collect(next.image())), [], "the next one is empty");
    await go(next.write([put("c", "3")]));
    await go(next.adopt(null));
    const third = await go(store.side());
    await go(third.discard());
    t.deepEqual(await go(collect((await restart(store)).image())), ["c=3"]);
  });

  withStore(
    "a crash while a side store is being filled leaves the old content, and the next side store is empty",
    async (t, { store, go, restart }) => {
      await go(store.write([put("a", "1")], { sync: true }));
      const side = await go(store.side());
      for (let at = 0; at < 30; at += 1) await go(side.write([put(`n${at}`, "1")]));
      const current = await restart(store);
      t.deepEqual(await go(collect(current.image())), ["a=1"]);
      const next = await go(current.side());
      t.deepEqual(await go(collect(next.image())), []);
      await go(next.discard());
    },
  );

  withStore("an unfinished side store is gone after a close, too", async (t, { store, go, open }) => {
    await go(store.write([put("a", "1")], { sync: true }));
    const side = await go(store.side());
    await go(side.write([put("b", "2")]));
    await go(store.release());
    const again = await open();
    t.deepEqual(await go(collect(again.image())), ["a=1"]);
    const next = await go(again.side());
    t.deepEqual(await go(collect(next.image())), []);
    await go(next.discard());
  });
}
