/**
 * A server whose state takes a thousand turns to migrate and to make views of (rule 19), in a world where looking at the clock takes
 * time: between the turns it does everything else, and until its views are whole it serves nobody and says nothing of being ready.
 */
import test from "ava";
import { z } from "zod";
import { type Application, defineApplication } from "../../actors/application/define.ts";
import { sliceRows } from "../../actors/application/slices.ts";
import { noWatchdog } from "../../actors/world/ports.ts";
import { subjects } from "../../schemas/subjects.ts";
import { inside as innerOf } from "../helpers/inside.ts";
import { MemoryDisk } from "../helpers/memory-store.ts";
import { MemoryRegistry, OneServer, service } from "../helpers/one-server.ts";

const requests = 40;
const rowsEach = 250;
const rows = requests * rowsEach;
/** What a look at the clock takes: one for each slice. */
const lookMs = 1;
const heartbeatMs = 100;
/** Shorter than the migration takes. */
const cautionMs = 300;
const settings = { limits: { cautionMs: 0, flushMs: 100, heartbeatMs } };

const define = (definition: object): Application =>
  defineApplication({
    name: "shop",
    result: z.strictObject({ rows: z.int() }),
    key: () => "k",
    request: z.strictObject({ from: z.int() }),
    ...definition,
  } as never);

type Put = { put(table: string, key: string, row: object): void };
type Context = { transaction<R>(name: string, change: (tx: Put) => R): R };

/** A request that waits between its transactions does so for ever. */
let isStuck = true;

/** Two transactions, between which it waits. */
async function inTwo<R>({ transaction }: Context, last: (tx: Put) => R): Promise<R> {
  transaction("first", () => 1);
  if (isStuck) await new Promise(() => undefined);
  return transaction("last", last);
}

const one = define({
  tables: { rows: z.object({}) },
  handle: ({ from }: { from: number }, context: Context) => {
    if (from < 0) return inTwo(context, () => ({ rows: 0 }));
    return context.transaction("fill", (tx) => {
      for (let n = from; n < from + rowsEach; n += 1) tx.put("rows", `r${n}`, {});
      return { rows: rowsEach };
    });
  },
});

/** What a view was told since somebody looked at the clock. */
let told = 0;

class Counted {
  rows = 0;
  put(_table: string, _key: string, _row: unknown, before: unknown): void {
    told += 1;
    if (before === undefined) this.rows += 1;
  }
}

const inView = (tx: object) => ({ rows: (tx as { views: { counted: Counted } }).views.counted.rows });

const two = define({
  version: 2,
  tables: { rows: z.object({ more: z.int() }) },
  migrations: { 2: { rows: (_old: object, tx: Put, key: string) => tx.put("rows", key, { more: 1 }) } },
  views: { counted: () => new Counted() },
  handle: ({ from }: { from: number }, context: Context) =>
    from < 0 ? inTwo(context, inView) : context.transaction("count", inView),
});

function ask(server: OneServer, id: string, from: number): void {
  const envelope = { client: "c", id, body: { from } };
  const bytes = Buffer.from(JSON.stringify(envelope));
  server.bus.publish(subjects.request(service, "k", "c"), bytes, undefined, `inbox.${id}`);
}

/** A disk and a registry that a server of the first version left behind. */
async function firstVersion(): Promise<{ disk: MemoryDisk; registry: MemoryRegistry }> {
  const disk = new MemoryDisk();
  const registry = new MemoryRegistry("alpha");
  const server = new OneServer({ application: one, disk, registry, settings });
  await server.run(2_000);
  for (let n = 0; n < requests; n += 1) ask(server, `fill${n}`, n * rowsEach);
  await server.run(1_000);
  ask(server, "stuck", -1);
  await server.run(100);
  disk.isOpen = false;
  return { disk, registry };
}

const isReady = (server: OneServer) => server.published(subjects.signal(service)).length > 0;

interface Way {
  readonly forMs: number;
  /** Answers before it said that it is ready. */
  readonly early: number;
  readonly heartbeats: number;
  /** While it was hot: whether the state is the program's, and whether it has its views. */
  readonly states: ReadonlySet<string>;
}

/** Asks it now and then until it is ready. */
async function untilReady(server: OneServer): Promise<Way> {
  server.clock.lookMs = lookMs;
  const states = new Set<string>();
  let early = 0;
  const sinceMs = server.clock.nowMs();
  // The disk is read.
  await server.run(10);
  for (let turn = 0; !isReady(server) && turn < 1_000; turn += 1) {
    if (turn % 5 === 0) ask(server, `early${turn}`, turn);
    await server.run(20);
    const { hot, isCurrent, hasViews } = server.life.replica;
    if (hot) states.add(`${isCurrent} ${hasViews}`);
    const answers = server.bus.published.filter(
      ({ subject, data }) => subject.startsWith("inbox.early") && data.length > 0,
    );
    if (!isReady(server)) early += answers.length;
  }
  server.clock.lookMs = 0;
  const forMs = server.clock.nowMs() - sinceMs;
  return { forMs, early, heartbeats: innerOf(server.life.replica).heartbeats.beat, states };
}

test.serial(
  "situation 143: it goes on being heard while it migrates and makes views, and only then serves",
  async (t) => {
    const { disk, registry } = await firstVersion();
    const entered: string[] = [];
    let inside = 0;
    const watchdog = {
      ...noWatchdog,
      enter: (code: string) => {
        entered.push(code);
        inside += 1;
      },
      leave: () => {
        inside -= 1;
      },
    };
    const limits = { ...settings.limits, cautionMs };
    const server = new OneServer({
      application: two,
      disk,
      registry,
      settings: { limits },
      watchdog,
      incarnation: "alpha-2",
    });
    let most = 0;
    const look = server.clock.nowMs.bind(server.clock);
    server.clock.nowMs = () => {
      most = Math.max(most, told);
      told = 0;
      return look();
    };
    const { forMs, early, heartbeats } = await untilReady(server);
    t.true(isReady(server));
    t.is(early, 0);
    // Copied, sorted, gone through, proved, and views made twice: on trial, and of what is there in the end.
    t.true(forMs > (0.95 * 6 * rows * lookMs) / sliceRows, `${forMs} ms`);
    t.true(heartbeats >= forMs / (2 * heartbeatMs), `${heartbeats} heartbeats in ${forMs} ms`);
    t.is(server.life.application.state.size, rows);
    t.true(
      entered.filter((code) => code === "migration").length > forMs / 100,
      "author's code that a watchdog looks at",
    );
    t.is(inside, 0);
    t.true(most <= 2 * sliceRows, `a view is told of ${most} rows between two looks at the clock`);
    const { log } = server.life.replica;
    const recordsOf = async (id: string) => {
      const before = log.last;
      ask(server, id, 0);
      await server.run(100);
      t.like(JSON.parse(server.published(`inbox.${id}`).at(-1) ?? "{}"), { ok: true, result: { rows } });
      return log.last - before;
    };
    t.is(await recordsOf("late"), 2, "it may have killed the one before: an attempt, and its result (rule 17)");
    await server.run(cautionMs);
    t.is(await recordsOf("later"), 1);
  },
);

test.serial(
  "situation 143: one that finds the end of the migration in its log takes the role, and serves when its views are made",
  async (t) => {
    const { disk, registry } = await firstVersion();
    // Nothing is flushed: the migration is in the log alone.
    const limits = { ...settings.limits, flushMs: 60_000, flushRecords: 1_000_000 };
    const migrating = new OneServer({ application: two, disk, registry, settings: { limits }, incarnation: "alpha-2" });
    for (let n = 0; n < 300 && !isReady(migrating); n += 1) await migrating.run(20);
    t.true(isReady(migrating));
    disk.isOpen = false;
    isStuck = false;
    const server = new OneServer({ application: two, disk, registry, settings, incarnation: "alpha-3" });
    const { early, states } = await untilReady(server);
    t.true(isReady(server));
    t.is(early, 0);
    t.true(states.has("true false"), "it is hot, and its views are not made");
    await server.run(100);
    ask(server, "stuck", -1);
    await server.run(100);
    const answers = server.bus.published.filter(({ subject }) => subject.startsWith("inbox.early"));
    for (const { data } of answers)
      t.false(data.length > 0 && Buffer.from(data).includes('"ok":true'), "nobody was served before");
    const resumed = JSON.parse(server.published("inbox.stuck").at(-1) ?? "{}");
    t.like(resumed, { ok: true, result: { rows } }, "what was begun goes on with the views whole");
    ask(server, "late", 0);
    await server.run(100);
    t.like(JSON.parse(server.published("inbox.late").at(-1) ?? "{}"), { ok: true, result: { rows } });
  },
);
