/** Replay by pages: each page goes on where the one before ended, and what was forgotten meanwhile is said (rule 13). */
import test from "ava";
import { answerReplay, ReplayPlaces, type ReplaySource, Replays } from "../../actors/application/replay.ts";
import { ReplayPace } from "../../actors/application/replay-pace.ts";
import type { Bus, BusMessage } from "../../actors/world/ports.ts";
import { type RecordKind, recordKinds } from "../../machines/codec/record.ts";
import type { LogBatch } from "../../machines/log/batch.ts";
import { MemoryLog } from "../../machines/log/memory-log.ts";
import { maxReplaysAtOnce, ReplayEnd, replayHeaders, replayReaderOf } from "../../schemas/replay.ts";
import { TestClock } from "../helpers/hand-world.ts";

/** Bytes a second: fast enough that nothing waits for more than its turn. */
const rate = 1_000_000_000;

function logOf(results: number, replyBytes = 0): MemoryLog {
  const log = new MemoryLog();
  const empty = new Uint8Array(0);
  for (let sequence = 1; sequence <= results; sequence += 1) {
    const fixed = {
      ordinal: 0,
      epoch: 1,
      stampMs: 0,
      forgottenThrough: 0,
      bodyHash: 0,
      client: "c",
      key: "k",
      name: "",
    };
    const id = String(sequence);
    log.append({
      kind: recordKinds.final,
      ...fixed,
      sequence,
      resultNumber: sequence,
      id,
      effects: empty,
      reply: id.padEnd(replyBytes),
      body: "",
    });
    if (sequence % 3 === 0) log.close();
  }
  log.close();
  return log;
}

async function page(
  from: number,
  limit: number,
  places: ReplayPlaces,
  log: MemoryLog,
  asked: number[],
  oldest = 1,
  asks: { history?: string } = {},
  more: Partial<ReplaySource> = {},
) {
  const results: string[] = [];
  let end: ReplayEnd | null = null;
  const bus = {
    publish: (_subject: string, data: Uint8Array, headers: Record<string, string>) => {
      const text = Buffer.from(data).toString();
      if (headers[replayHeaders.end] === undefined) results.push(text);
      else end = ReplayEnd.parse(JSON.parse(text));
      return true;
    },
  } as unknown as Bus;
  async function* batches(start: number): AsyncGenerator<LogBatch> {
    asked.push(start);
    yield* log.batches(Math.max(start, oldest), log.last);
  }
  const source: ReplaySource = {
    service: "s",
    history: "h",
    committed: log.last,
    start: 0,
    ancestors: [],
    lastResult: () => log.last,
    batches,
    ...more,
  };
  const data = Buffer.from(JSON.stringify({ from, limit, ...asks }));
  const message = { subject: "s.replay", data, reply: "inbox" } as BusMessage;
  const clock = new TestClock();
  const pace = new ReplayPace(clock, rate);
  const answered = answerReplay(message, bus, source, { places, pace, goesOn: () => true });
  await clock.run(0);
  await answered;
  return { results, end: end as ReplayEnd | null };
}

test("pages follow each other without reading the log from its start again", async (t) => {
  const log = logOf(20);
  const places = new ReplayPlaces();
  const asked: number[] = [];
  const all: string[] = [];
  for (let from = 1; from <= 20; ) {
    const { results, end } = await page(from, 7, places, log, asked);
    all.push(...results);
    from = end?.next ?? 99;
  }
  t.deepEqual(
    all,
    Array.from({ length: 20 }, (_, index) => String(index + 1)),
  );
  t.deepEqual(asked, [1, 8, 15]);
});

test("a place whose records were dropped since is FORGOTTEN, not silence", async (t) => {
  const log = logOf(20);
  const places = new ReplayPlaces();
  await page(1, 7, places, log, []);
  const { results, end } = await page(8, 7, places, log, [], 12);
  t.deepEqual(results, []);
  t.is(end?.error?.code, "FORGOTTEN");
  t.is(end?.oldest, 12);
});

/** Two histories in one log: the first has results 1 to 9, the second begins with record 11 and has 1 to 9 as well. */
function twoHistories(): { log: MemoryLog; ancestors: ReplaySource["ancestors"] } {
  const log = logOf(9);
  const { sequence, hash } = log.closed;
  const record = (kind: RecordKind, number: number, id: string) => ({
    kind,
    ordinal: 0,
    epoch: 2,
    sequence: log.last + 1,
    resultNumber: number,
    stampMs: 0,
    forgottenThrough: 0,
    bodyHash: 0,
    client: "c",
    id,
    key: "k",
    name: number === 0 ? "h" : "",
    effects: new Uint8Array(0),
    reply: id,
    body: "",
  });
  log.append(record(recordKinds.history, 0, ""));
  for (let number = 1; number <= 9; number += 1) log.append(record(recordKinds.final, number, `new${number}`));
  log.close();
  return { log, ancestors: [{ history: "old", start: 0, end: { sequence, hash, epoch: 1 }, results: 9 }] };
}

async function pageOf(history: string | undefined, from: number, oldest = 1) {
  const { log, ancestors } = twoHistories();
  const more = { ancestors, start: 10, lastResult: () => 9 };
  return await page(from, 100, new ReplayPlaces(), log, [], oldest, { ...(history && { history }) }, more);
}

test("results of an earlier history are given as long as its log is kept, with its last number and who came next (situation 63)", async (t) => {
  const old = await pageOf("old", 4);
  t.deepEqual(old.results, ["4", "5", "6", "7", "8", "9"]);
  t.deepEqual(old.end, { history: "old", current: "h", following: "h", next: 10, oldest: 1, last: 9 });
  const current = await pageOf(undefined, 1);
  t.is(current.results.length, 9);
  t.true(current.results.every((reply) => reply.startsWith("new")));
  t.deepEqual(current.end, { history: "h", current: "h", next: 10, oldest: 1, last: 9 });
  t.is((await pageOf("older", 1)).end?.error?.code, "UNKNOWN_HISTORY");
});

test("results of an earlier history whose log is no longer kept are FORGOTTEN, in part or all, never an end at 0 (situation 63)", async (t) => {
  const part = await pageOf("old", 1, 7);
  t.like(part.end, { next: 1, oldest: 7, last: 9, error: { code: "FORGOTTEN" } });
  t.deepEqual((await pageOf("old", 7, 7)).results, ["7", "8", "9"]);
  const all = await pageOf("old", 1, 12);
  t.like(all.end, { next: 1, oldest: 10, last: 9, error: { code: "FORGOTTEN" } });
});

test("the places of another history are not used", async (t) => {
  const places = new ReplayPlaces();
  places.note(8, { history: "other", sequence: 500, oldest: 1 });
  const { results } = await page(8, 3, places, logOf(20), []);
  t.deepEqual(results, ["8", "9", "10"]);
});

/** A bus that takes so many messages, and what it took: results, and errors or "end". */
function shortBus(takes: number): { bus: Bus; taken: string[] } {
  const taken: string[] = [];
  const publish = (_subject: string, data: Uint8Array, headers: Record<string, string>) => {
    if (taken.length >= takes) return false;
    const text = Buffer.from(data).toString();
    const isEnd = headers[replayHeaders.end] !== undefined;
    taken.push(isEnd ? (ReplayEnd.parse(JSON.parse(text)).error?.code ?? "end") : text);
    return true;
  };
  const room = () => Number.POSITIVE_INFINITY;
  return { bus: { publish, room, connected: () => true } as unknown as Bus, taken };
}

/** A log that is given out batch by batch, when the test says so. */
function heldSource(log: MemoryLog) {
  const waiting: (() => void)[] = [];
  let read = 0;
  async function* batches(start: number): AsyncGenerator<LogBatch> {
    for (const batch of log.batches(start, log.last)) {
      await new Promise<void>((resolve) => waiting.push(resolve));
      read += 1;
      yield batch;
    }
  }
  const { last: committed } = log;
  const source: ReplaySource = {
    service: "s",
    history: "h",
    committed,
    start: 0,
    ancestors: [],
    lastResult: () => committed,
    batches,
  };
  const letGo = async () => {
    for (const resolve of waiting.splice(0)) resolve();
    await new Promise((resolve) => setImmediate(resolve));
  };
  return { source, letGo, read: () => read };
}

/** Asked by the reader of that number. */
function askedBy(reader: number, asks: object = { from: 1 }): BusMessage {
  const data = Buffer.from(JSON.stringify(asks));
  return { subject: "s.replay", data, reply: `_INBOX.${reader}.1` } as BusMessage;
}
const question = askedBy(1);

test("an answer that NATS does not take whole ends there, and does not say that it went on (rule 13)", async (t) => {
  const { bus, taken } = shortBus(4);
  const { source, letGo, read } = heldSource(logOf(20));
  const clock = new TestClock();
  const answered = new Replays(clock, rate).answer(question, bus, source);
  await clock.run(0);
  for (let batch = 0; batch < 7; batch += 1) await letGo();
  await answered;
  t.deepEqual(taken, ["1", "2", "3", "4"]);
  t.is(read(), 2, "and the rest of the log is not read for it");
});

test("an answer is cut off with its connection: the next one takes nothing of it, be it as quick as it may (rule 13)", async (t) => {
  const { bus, taken } = shortBus(100);
  const { source, letGo } = heldSource(logOf(20));
  const clock = new TestClock();
  const replays = new Replays(clock, rate);
  const answered = replays.answer(question, bus, source);
  await clock.run(0);
  await letGo();
  replays.cut();
  const again = replays.answer(askedBy(1, { from: 20 }), bus, source);
  await clock.run(0);
  for (let batch = 0; batch < 7; batch += 1) await letGo();
  await Promise.all([answered, again]);
  t.deepEqual(taken, ["1", "2", "3", "20", "end"], "and the same reader is answered at once");
});

test("so many answers at once, and no more: the next is told BUSY, and answered when one has ended (rule 15)", async (t) => {
  const { bus, taken } = shortBus(1_000);
  const { source, letGo } = heldSource(logOf(3));
  const clock = new TestClock();
  const replays = new Replays(clock, rate);
  const all = Array.from({ length: maxReplaysAtOnce + 1 }, (_, reader) => replays.answer(askedBy(reader), bus, source));
  t.deepEqual(taken, ["BUSY"]);
  await clock.run(0);
  await letGo();
  await Promise.all(all);
  const again = replays.answer(question, bus, source);
  await clock.run(0);
  await letGo();
  await again;
  t.is(taken.filter((one) => one === "end").length, maxReplaysAtOnce + 1);
});

test("one answer at a time for a reader: his second request is told BUSY, others' are answered (rule 15)", async (t) => {
  const { bus, taken } = shortBus(1_000);
  const { source, letGo } = heldSource(logOf(3));
  const clock = new TestClock();
  const replays = new Replays(clock, rate);
  const all = [replays.answer({ ...question, reply: "_INBOX.1.1" }, bus, source)];
  await replays.answer({ ...question, reply: "_INBOX.1.2" }, bus, source);
  t.deepEqual(taken, ["BUSY"]);
  all.push(replays.answer({ ...question, reply: "_INBOX.2.1" }, bus, source));
  await clock.run(0);
  await letGo();
  await Promise.all(all);
  t.deepEqual(
    taken.filter((one) => one.length > 1),
    ["BUSY", "end", "end"],
  );
  const again = replays.answer({ ...question, reply: "_INBOX.1.3" }, bus, source);
  await clock.run(0);
  await letGo();
  await again;
  t.is(taken.filter((one) => one === "end").length, 3);
});

test("a reader is known by his inbox, never by what strangers share", (t) => {
  t.is(replayReaderOf("_INBOX.abc.7"), "_INBOX.abc");
  t.is(replayReaderOf("team.inbox.abc.7"), "team.inbox.abc");
  for (const whole of ["", "inbox", "_INBOX.abc", "replays.7", "_R_.abcdef.xyz"]) t.is(replayReaderOf(whole), whole);
});

const replyBytes = 8 * 1024;

/** A bus that counts the bytes of results and the ends, and a source of so many results of `replyBytes` each. */
function counted(results: number, nowTurn = () => 0) {
  const log = logOf(results, replyBytes);
  const told = { bytes: 0, ends: 0, byTurn: new Map<number, number>() };
  const publish = (_subject: string, data: Uint8Array, headers: Record<string, string>) => {
    if (headers[replayHeaders.end] !== undefined) told.ends += 1;
    else {
      told.bytes += data.length;
      told.byTurn.set(nowTurn(), (told.byTurn.get(nowTurn()) ?? 0) + data.length);
    }
    return true;
  };
  const source: ReplaySource = {
    service: "s",
    history: "h",
    committed: results,
    start: 0,
    ancestors: [],
    lastResult: () => results,
    async *batches(from) {
      yield* log.batches(from, log.last);
    },
  };
  return { bus: { publish } as unknown as Bus, source, told };
}

test("all answers together keep to the rate, and each comes to its end (rule 15)", async (t) => {
  const { bus, source, told } = counted(200);
  const clock = new TestClock();
  const bytesPerSecond = 1_000_000;
  const replays = new Replays(clock, bytesPerSecond);
  const all = Array.from({ length: 4 }, (_, reader) => replays.answer(askedBy(reader), bus, source));
  for (let second = 1; second <= 5; second += 1) {
    await clock.run(1_000);
    t.true(told.bytes <= bytesPerSecond * (second + 0.2), `${told.bytes} bytes in ${second} s`);
    t.true(told.bytes >= bytesPerSecond * second * 0.8, `${told.bytes} bytes in ${second} s`);
  }
  await clock.run(5_000);
  await Promise.all(all);
  t.is(told.ends, 4);
  t.is(told.bytes, 4 * 200 * replyBytes);
});

test("what is only passed over counts too: requests for one result far up the log do not read it without end (rule 15)", async (t) => {
  const { bus, source, told } = counted(200);
  const clock = new TestClock();
  const replays = new Replays(clock, 1_000_000);
  const attacker = { isOver: false };
  const attack = async () => {
    while (!attacker.isOver) await replays.answer(askedBy(1, { from: 200, limit: 1 }), bus, source);
  };
  const attacked = attack();
  const run = async (forMs: number) => {
    for (let ms = 0; ms < forMs; ms += 10) {
      await clock.run(10);
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  // Each costs an eighth of 1.6 MB.
  await run(2_000);
  t.true(told.ends >= 5 && told.ends <= 12, `${told.ends} answers`);
  attacker.isOver = true;
  await run(1_000);
  await attacked;
});

test("between two parts of answers the event loop turns, however fast they may be", async (t) => {
  let turn = 0;
  class TurnClock extends TestClock {
    override after(delayMs: number, run: () => void) {
      return super.after(delayMs, () => {
        turn += 1;
        run();
      });
    }
  }
  const { bus, source, told } = counted(100, () => turn);
  const clock = new TurnClock();
  const replays = new Replays(clock, rate);
  const all = Array.from({ length: 3 }, (_, reader) => replays.answer(askedBy(reader), bus, source));
  for (let times = 0; told.ends < 3 && times < 1_000; times += 1) await clock.run(1);
  await Promise.all(all);
  t.is(told.bytes, 3 * 100 * replyBytes);
  t.true(Math.max(...told.byTurn.values()) <= 5 * replyBytes, "32 KiB, and what one more record has");
});

test("a result that is not there yet does not make the log be read to its end", async (t) => {
  const { source, letGo, read } = heldSource(logOf(20));
  const { bus, taken } = shortBus(10);
  const clock = new TestClock();
  const answered = new Replays(clock, rate).answer(askedBy(1, { from: 21 }), bus, source);
  await clock.run(0);
  await letGo();
  await answered;
  t.deepEqual(taken, ["end"]);
  t.is(read(), 1);
});
