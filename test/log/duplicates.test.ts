/** Replies that are remembered, against a plain list: after any remembering, forgetting and compaction both answer alike (rule 12). */
import test, { type ExecutionContext } from "ava";
import * as fc from "fast-check";
import { DuplicateTable } from "../../machines/log/duplicates.ts";
import { ClientFloors } from "../../machines/log/floors.ts";
import { KeyHasher } from "../../machines/log/key-index.ts";
import { shippedRules as rules } from "../../machines/replica/rules.ts";

interface Entry {
  readonly client: string;
  readonly key: string;
  readonly bodyHash: number;
  readonly stampMs: number;
  readonly sequence: number;
  readonly reply: string;
}

/** The plain model: a list in log order; the newest entry of a key counts. */
class Model {
  entries: Entry[] = [];
  /** Copied out of the log's bytes, through this record; and of those the ones that are in memory. */
  compacted = 0;
  held: Entry[] = [];
  readonly letGo = new Set<number>();
  floors = new Map<string, number>();

  forget(through: number): void {
    for (const entry of this.entries)
      if (entry.sequence <= through)
        this.floors.set(entry.client, Math.max(this.floors.get(entry.client) ?? -1, entry.stampMs));
    this.entries = this.entries.filter(({ sequence }) => sequence > through);
    this.held = this.held.filter(({ sequence }) => sequence > through);
  }

  compact(through: number, maxBytes: number): void {
    for (const entry of this.entries) {
      if (entry.sequence <= this.compacted || entry.sequence > through) continue;
      this.compacted = entry.sequence;
      this.held.push(entry);
      while (this.heldBytes > maxBytes) this.letGo.add(this.held.shift()?.sequence ?? 0);
    }
  }

  get heldBytes(): number {
    return this.held.reduce((sum, { reply }) => sum + reply.length, 0);
  }

  find(key: string): Entry | undefined {
    return this.entries.findLast((entry) => entry.key === key);
  }
}

const clients = ["alice", "bob", "carol"];
const clientOf = (key: number) => clients[key % clients.length] ?? "";
const keys = Array.from({ length: 60 }, (_, index) => `${clientOf(index)}\u0000${index}`);

function compare(t: ExecutionContext, table: DuplicateTable, model: Model): void {
  t.is(table.count, model.entries.length);
  for (const client of clients) t.is(table.floors.floorFor(client, rules), model.floors.get(client) ?? -1, client);
  const oldest = model.entries[0];
  t.deepEqual(table.oldest, oldest === undefined ? null : { sequence: oldest.sequence, stampMs: oldest.stampMs });
  for (const key of keys) {
    const wanted = model.find(key);
    const found = table.find(key);
    t.is(table.sequenceOf(key), wanted?.sequence ?? 0, key);
    if (found === null || wanted === undefined) {
      t.true(found === null && wanted === undefined, key);
      continue;
    }
    const { bodyHash, sequence, reply } = wanted;
    const isHeld = !model.letGo.has(sequence);
    t.deepEqual(
      { ...found, reply: found.reply && Buffer.from(found.reply).toString() },
      { bodyHash, sequence, length: reply.length, reply: isHeld ? reply : null },
      key,
    );
  }
  t.is(table.heldBytes, model.heldBytes);
}

type Command =
  | { type: "remember"; key: number; stampMs: number; bodyHash: number; size: number; skip: number }
  | { type: "forget"; through: number }
  | { type: "compact"; through: number }
  | { type: "clone" };

const command: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      type: fc.constant("remember" as const),
      key: fc.nat(19),
      stampMs: fc.nat(1_000),
      bodyHash: fc.nat(5),
      size: fc.nat(30),
      skip: fc.nat(2),
    }),
  },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("forget" as const), through: fc.nat(80) }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("compact" as const), through: fc.nat(120) }) },
  { weight: 1, arbitrary: fc.constant({ type: "clone" as const }) },
);

/** A reply within a log's bytes, which are wiped once they may be let go. */
function remember(table: DuplicateTable, entry: Entry): Buffer {
  const source = Buffer.from(`<<<${entry.reply}>>>`);
  const { key, client, bodyHash, stampMs, sequence, reply } = entry;
  table.remember(key, client, bodyHash, stampMs, sequence, source, 3, Buffer.byteLength(reply));
  return source;
}

test("any remembering, forgetting, compaction and copying is as in the plain list", (t) => {
  const bytes = fc.constantFrom(Number.POSITIVE_INFINITY, 0, 40, 300);
  const property = fc.property(fc.array(command, { maxLength: 90, size: "max" }), bytes, (commands, maxBytes) => {
    let table = new DuplicateTable(new KeyHasher("test"), new ClientFloors(), maxBytes);
    const model = new Model();
    const sources: { sequence: number; bytes: Buffer }[] = [];
    let sequence = 0;
    for (const one of commands) {
      if (one.type === "remember") {
        sequence += 1 + one.skip;
        const { stampMs, bodyHash } = one;
        const entry = {
          key: keys[one.key] ?? "",
          client: clientOf(one.key),
          bodyHash,
          stampMs,
          sequence,
          reply: `${sequence}`.padEnd(one.size, "."),
        };
        sources.push({ sequence, bytes: remember(table, entry) });
        model.entries.push(entry);
        const { newest } = table;
        t.is(Buffer.from(newest.source).subarray(newest.start, newest.end).toString(), entry.reply);
      } else if (one.type === "forget") {
        table.forget(one.through, rules);
        model.forget(one.through);
      } else if (one.type === "compact") {
        table.compact(one.through);
        model.compact(one.through, maxBytes);
        // The log's bytes of these records are somebody else's from now on.
        for (const source of sources) if (source.sequence <= one.through) source.bytes.fill(0x21);
      } else table = table.clone();
    }
    compare(t, table, model);
  });
  t.notThrows(() => fc.assert(property, { numRuns: 400 }));
});

test("what can be forgotten is what is too many, or remembered for long enough, and only so much at once", (t) => {
  const rememberMs = 640;
  const turn = fc.record({ passMs: fc.nat(90), count: fc.nat(3), keep: fc.nat(20), maxAtOnce: fc.nat(9) });
  const property = fc.property(fc.array(turn, { maxLength: 60, size: "max" }), (turns) => {
    const table = new DuplicateTable(new KeyHasher("test"));
    const known: { sequence: number; atMs: number }[] = [];
    let nowMs = 1_000;
    let sequence = 0;
    for (const { passMs, count, keep, maxAtOnce } of turns) {
      nowMs += passMs;
      for (let index = 0; index < count; index += 1) {
        sequence += 2;
        // Whatever its stamp says: clocks have no part in it.
        const stampMs = sequence % 3 === 0 ? 0 : 1e15;
        remember(table, { key: `k${sequence}`, client: "alice", bodyHash: 0, stampMs, sequence, reply: "" });
        known.push({ sequence, atMs: nowMs });
      }
      const through = table.forgettable(keep, rememberMs, nowMs, maxAtOnce);
      const chosen = known.filter((one) => one.sequence <= through);
      t.true(chosen.length <= maxAtOnce);
      const surplus = known.length - keep;
      for (const [index, { atMs }] of chosen.entries()) t.true(index < surplus || nowMs - atMs >= rememberMs);
      const next = known[chosen.length];
      if (next !== undefined && chosen.length < maxAtOnce) {
        t.true(chosen.length >= surplus, "no more than so many are kept");
        t.true(nowMs - next.atMs < rememberMs + rememberMs / 64, "nothing is kept for much longer");
      }
      table.forget(through, rules);
      known.splice(0, chosen.length);
    }
  });
  t.notThrows(() => fc.assert(property, { numRuns: 300 }));
});

test("while what was chosen waits for its commit more is chosen: no more is kept for long than shall be", (t) => {
  const table = new DuplicateTable(new KeyHasher("test"));
  const [keep, each, turnsToCommit] = [100, 10, 12];
  const said: number[] = [];
  let [chosen, most] = [0, 0];
  for (let turn = 0; turn < 200; turn += 1) {
    for (let index = 1; index <= each; index += 1) {
      const sequence = turn * each + index;
      remember(table, { key: `k${sequence}`, client: "alice", bodyHash: 0, stampMs: 0, sequence, reply: "" });
    }
    chosen = Math.max(chosen, table.forgettable(keep, 1e9, turn, 2 * each + 16));
    said.push(chosen);
    table.forget(said[turn - turnsToCommit] ?? 0, rules);
    most = Math.max(most, table.count);
  }
  t.true(most <= keep + (turnsToCommit + 1) * each, `${most}`);
  t.true(table.count >= keep, `${table.count}`);
});

/** All keys look alike to the index. */
class Blind extends KeyHasher {
  override take(key: string): void {
    super.take(key);
    this.hash = 7;
  }
}

for (const [name, hasher, total] of [
  ["keys told apart by their hashes", new KeyHasher("secret"), 30_000],
  ["keys whose hashes are all the same", new Blind("secret"), 3_000],
] as const)
  test(`over many chunks, with keys that come again, it is as a plain map: ${name}`, (t) => {
    const table = new DuplicateTable(hasher);
    const newest = new Map<string, number>();
    const order: string[] = [];
    const window = total / 3;
    // Repeats of old and of young keys alike, of any length and script.
    const keyOf = (number: number) =>
      `${number % 7 === 0 ? "größe" : "c"}${number % 3}\u0000${"x".repeat(number % 40)}${number}`;
    for (let sequence = 1; sequence <= total; sequence += 1) {
      const key = keyOf(sequence % 5 === 0 ? Math.floor(sequence / 2) : sequence);
      remember(table, { key, client: "alice", bodyHash: sequence, stampMs: 0, sequence, reply: `r${sequence}` });
      newest.set(key, sequence);
      order.push(key);
      if (sequence % 100 === 0) table.compact(sequence - 50);
      if (sequence % 1_000 !== 0 || sequence < window) continue;
      for (let gone = table.oldest?.sequence ?? 0; gone <= sequence - window; gone += 1) {
        const old = order[gone - 1] ?? "";
        if (newest.get(old) === gone) newest.delete(old);
      }
      table.forget(sequence - window, rules);
      for (const seen of order.slice(-2 * window))
        if (table.sequenceOf(seen) !== (newest.get(seen) ?? 0)) t.fail(`${seen} at ${sequence}`);
    }
    t.is(table.count, window);
    for (const [key, sequence] of newest) {
      const { bodyHash, reply } = table.find(key) ?? { bodyHash: 0, reply: null };
      if (bodyHash !== sequence || Buffer.from(reply ?? "").toString() !== `r${sequence}`) t.fail(key);
    }
    t.is(table.find(keyOf(total + 1)), null);
  });

test("a client's floor is the highest stamp of its own that was ever forgotten, and never falls", (t) => {
  const table = new DuplicateTable(
    new KeyHasher("test"),
    new ClientFloors({ commonMs: 40, highestMs: 40, clients: [] }),
  );
  const floors = () => [table.floors.floorFor("alice", rules), table.floors.floorFor("bob", rules)];
  t.deepEqual(floors(), [40, 40]);
  for (const [index, stampMs] of [10, 90, 50].entries())
    remember(table, { key: `k${index}`, client: "alice", bodyHash: 0, stampMs, sequence: index + 1, reply: "" });
  const seen = [1, 2, 3].map((through) => {
    table.forget(through, rules);
    return floors();
  });
  t.deepEqual(seen, [
    [40, 40],
    [90, 40],
    [90, 40],
  ]);
});

test("a table and its copy go on apart", (t) => {
  const table = new DuplicateTable(new KeyHasher("test"));
  const entry = (sequence: number) => ({
    key: `k${sequence}`,
    client: "alice",
    bodyHash: 0,
    stampMs: 1,
    sequence,
    reply: `r${sequence}`,
  });
  for (let sequence = 1; sequence <= 20; sequence += 1) remember(table, entry(sequence));
  table.compact(10);
  const copy = table.clone();
  copy.forget(5, rules);
  remember(copy, entry(21));
  copy.compact(21);
  remember(table, { ...entry(21), reply: "other" });
  table.compact(21);
  const text = (of: DuplicateTable, key: string) => Buffer.from(of.find(key)?.reply ?? "none").toString();
  t.deepEqual([table.count, copy.count], [21, 16]);
  t.deepEqual([text(table, "k3"), text(copy, "k3")], ["r3", "none"]);
  t.deepEqual([text(table, "k21"), text(copy, "k21")], ["other", "r21"]);
});

test("replies larger than the arena survive compaction", (t) => {
  const table = new DuplicateTable(new KeyHasher("test"));
  const replies = ["small", "x".repeat(1_500_000), "y".repeat(900_000), "z".repeat(900_000), "last"];
  for (const [index, reply] of replies.entries()) {
    const source = remember(table, {
      key: `k${index}`,
      client: "alice",
      bodyHash: 0,
      stampMs: 1,
      sequence: index + 1,
      reply,
    });
    table.compact(index + 1);
    source.fill(0x21);
  }
  for (const [index, reply] of replies.entries())
    t.true(Buffer.from(table.find(`k${index}`)?.reply ?? "").equals(Buffer.from(reply)), `reply ${index}`);
});
