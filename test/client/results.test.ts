/**
 * The results reader: dense and in order whatever the broker and the servers do; a new history and what can no longer be
 * had are said, never passed over.
 */
import test from "ava";
import { type ReplaySource, Replays } from "../../actors/application/replay.ts";
import { type Client, createClient } from "../../actors/client/client.ts";
import {
  ForgottenError,
  type HistoryEvent,
  NobodyAnswersError,
  positionAfter,
  type ResultEvent,
} from "../../actors/client/result-events.ts";
import { type ResultsOptions, readResults } from "../../actors/client/results.ts";
import { headers } from "../../schemas/envelope.ts";
import { type ReplayEnd, replayHeaders } from "../../schemas/replay.ts";
import { subjects } from "../../schemas/subjects.ts";
import { FakeServer } from "../helpers/fake-server.ts";
import { bytesOf, noFaults, TestBus, TestClock } from "../helpers/hand-world.ts";
import { logOfReplies, replyOf } from "../helpers/log-of.ts";

type Told = ResultEvent | HistoryEvent;

function setup(seed = 1) {
  const clock = new TestClock(seed);
  const bus = new TestBus(clock);
  const server = new FakeServer(bus, clock);
  const client = createClient({ service: "exchange", client: "alice", clock, bus });
  /** A reader whose events are taken as they come. */
  const read = (options: Partial<ResultsOptions> = {}) => {
    const reader = readResults({ service: "exchange", clock, bus, ...options });
    const seen: { events: Told[]; error?: unknown; isOver: boolean } = { events: [], isOver: false };
    void (async () => {
      try {
        for await (const event of reader) seen.events.push(event);
      } catch (error) {
        seen.error = error;
      }
      seen.isOver = true;
    })();
    return { reader, seen };
  };
  return { clock, bus, server, client, read };
}

async function request(client: Client<unknown, unknown>, clock: TestClock, count: number): Promise<void> {
  const answers = upTo(count).map((n) => client.request(n - 1, { key: n % 2 === 1 ? "even" : "odd" }));
  for (let tries = 0; client.counts().unanswered > 0 && tries < 1_000; tries += 1) await clock.run(20);
  await Promise.all(answers);
}

function numbers(events: Told[]): number[] {
  return events.flatMap((event) => (event.type === "result" ? [event.result] : []));
}

function upTo(last: number, from = 1): number[] {
  return Array.from({ length: last - from + 1 }, (_, at) => from + at);
}

test("results come as they are committed, after the history is named", async (t) => {
  const { clock, server, client, read } = setup();
  server.start();
  const { seen } = read();
  await request(client, clock, 5);
  await clock.run(10);
  t.deepEqual(seen.events[0], { type: "history", history: "history-1", next: 1, previous: undefined });
  t.deepEqual(numbers(seen.events), upTo(5));
  const [, first] = seen.events;
  t.like(first, {
    type: "result",
    history: "history-1",
    epoch: 1,
    sequence: 1,
    subject: "exchange.result.even.alice",
    key: "even",
    client: "alice",
    reply: { ok: true, result: 0 },
  });
});

test("a result tells the trace context of its request, as it comes and read again", async (t) => {
  const traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
  const { clock, server, client, read } = setup();
  server.start();
  const { seen } = read();
  client.request({ n: 1 }, { traceparent }).catch(() => undefined);
  client.request({ n: 2 }).catch(() => undefined);
  await clock.run(20);
  const { seen: again } = read({ from: 1 });
  await clock.run(100);
  for (const { events } of [seen, again])
    t.deepEqual(
      events.flatMap((event) => (event.type === "result" ? [event.traceparent] : [])),
      [traceparent, undefined],
    );
});

test("earlier results are read first, from any number, in several pages", async (t) => {
  const { clock, server, client, read } = setup();
  server.start();
  await request(client, clock, 30);
  const { seen } = read({ from: 4, limits: { pageResults: 7 } });
  await clock.run(100);
  t.deepEqual(numbers(seen.events), upTo(30, 4));
});

test("lost results are asked for, in the middle at once and at the end after a while", async (t) => {
  const { clock, server, client, read } = setup();
  server.start();
  server.loseResults = new Set([3, 4, 10]);
  const { seen } = read();
  await request(client, clock, 9);
  await clock.run(50);
  t.deepEqual(numbers(seen.events), upTo(9));
  await request(client, clock, 1);
  t.deepEqual(numbers(seen.events), upTo(9));
  await clock.run(1_500);
  t.deepEqual(numbers(seen.events), upTo(10));
});

test("results published again after a takeover come out once", async (t) => {
  const { clock, server, client, read } = setup();
  server.start();
  const { seen } = read();
  await request(client, clock, 6);
  server.die();
  server.start();
  for (const number of [3, 4, 5, 6]) server.publishResult(number);
  await request(client, clock, 3);
  await clock.run(50);
  t.deepEqual(numbers(seen.events), upTo(9));
});

for (const seed of [1, 2, 3, 4]) {
  test(`dense and in order through drops, repeats, reordering and takeovers (seed ${seed})`, async (t) => {
    const { clock, bus, server, client, read } = setup(seed);
    server.start();
    const { seen } = read({ limits: { pageResults: 5 } });
    for (let round = 0; round < 6; round += 1) {
      bus.faults = { drop: 0.1, repeat: 0.1, delayMs: [0.1, 5] };
      await request(client, clock, 20);
      server.die(3);
      await clock.run(200);
      server.start();
    }
    bus.faults = noFaults;
    await clock.run(10_000);
    t.deepEqual(numbers(seen.events), upTo(120));
    t.is(seen.events.length, 121);
  });
}

test("nobody answers at first: the reader waits", async (t) => {
  const { clock, server, client, read } = setup();
  const { seen } = read();
  await clock.run(3_000);
  t.deepEqual(seen.events, []);
  server.start();
  await request(client, clock, 2);
  await clock.run(50);
  t.deepEqual(numbers(seen.events), [1, 2]);
});

test("a new history is announced, with what was read of the old one, and read from its first result", async (t) => {
  const { clock, server, client, read } = setup();
  server.start();
  const { seen } = read();
  await request(client, clock, 5);
  server.loseAll("history-2");
  server.start();
  await request(client, clock, 3);
  await clock.run(50);
  t.deepEqual(seen.events[6], {
    type: "history",
    history: "history-2",
    next: 1,
    previous: { history: "history-1", last: 5 },
  });
  t.deepEqual(numbers(seen.events), [...upTo(5), ...upTo(3)]);
});

test("a history that is over is said to be over to whoever comes back for it", async (t) => {
  const { clock, server, client, read } = setup();
  server.start();
  await request(client, clock, 2);
  const { seen } = read({ history: "history-0", from: 8 });
  await clock.run(50);
  t.like(seen.events[1], { type: "history", history: "history-1", previous: { history: "history-0", last: 7 } });
  t.deepEqual(numbers(seen.events), [1, 2]);
});

test("what is left of earlier histories is read to its true end, one after the other, before the current one (situation 63)", async (t) => {
  const { clock, server, client, read } = setup();
  server.start();
  const { seen } = read({ history: "history-1", from: 3, limits: { pageResults: 2 } });
  for (const history of ["history-2", "history-3"]) {
    await request(client, clock, 5);
    server.beginHistory(history);
    server.start();
  }
  await request(client, clock, 2);
  await clock.run(2_000);
  const late = read({ history: "history-1", from: 3, limits: { pageResults: 2 } });
  await clock.run(2_000);
  for (const { events } of [seen, late.seen]) {
    t.deepEqual(numbers(events), [...upTo(5, 3), ...upTo(5), ...upTo(2)]);
    t.deepEqual(
      events.flatMap((event) => (event.type === "history" ? [[event.history, event.next, event.previous?.last]] : [])),
      [
        ["history-1", 3, undefined],
        ["history-2", 1, 5],
        ["history-3", 1, 5],
      ],
    );
  }
});

test("a stray result of another history changes nothing", async (t) => {
  const { clock, bus, server, client, read } = setup();
  server.start();
  const { seen } = read();
  await request(client, clock, 2);
  bus.publish(
    subjects.result("exchange", "even", "alice"),
    bytesOf({ client: "alice", id: "x", ok: true, result: 0, sequence: 3, epoch: 0 }),
    { [headers.history]: "history-0", [headers.result]: "3", [headers.epoch]: "0", [headers.sequence]: "3" },
  );
  await request(client, clock, 2);
  await clock.run(50);
  t.deepEqual(numbers(seen.events), upTo(4));
  t.is(seen.events.filter(({ type }) => type === "history").length, 1);
});

test("a new history says how far its log goes with the one before: what was read beyond that is undone", async (t) => {
  const { clock, server, client, read } = setup();
  server.start();
  const { seen } = read();
  await request(client, clock, 5);
  await clock.run(50);
  // The last two were with nobody but the one that is gone.
  server.log.splice(3);
  server.committed = 3;
  server.beginHistory("history-2");
  server.start();
  await clock.run(2_000);
  const previous = { history: "history-1", last: 5, kept: 3 };
  t.deepEqual(seen.events[6], { type: "history", history: "history-2", next: 1, previous });
});

test("from the next one: nothing that was committed before comes, and everything that is acknowledged from then on", async (t) => {
  const { clock, server, client, read } = setup();
  server.start();
  await request(client, clock, 7);
  const { reader, seen } = read({ from: "next", history: "history-0" });
  t.is(reader.position, undefined);
  await clock.run(50);
  t.deepEqual(seen.events, [{ type: "history", history: "history-1", next: 8, previous: undefined }]);
  t.deepEqual(reader.position, { history: "history-1", from: 8 });
  await request(client, clock, 3);
  await clock.run(50);
  t.deepEqual(numbers(seen.events), [8, 9, 10]);
});

test("from the next one of an empty history, which is the first", async (t) => {
  const { clock, server, client, read } = setup();
  server.start();
  const { seen } = read({ from: "next" });
  await clock.run(50);
  await request(client, clock, 2);
  await clock.run(50);
  t.deepEqual(numbers(seen.events), [1, 2]);
});

test("a position goes past an event when the loop asks for the next one, and brings back what was not dealt with", async (t) => {
  const { clock, bus, server, client, read } = setup();
  server.start();
  await request(client, clock, 3);
  const reader = readResults({ service: "exchange", clock, bus });
  const iterator = reader[Symbol.asyncIterator]();
  await clock.run(50);
  t.deepEqual(reader.position, { history: "history-1", from: 1 });
  const told: Told[] = [];
  for (const from of [1, 1, 2, 3]) {
    const { value, done } = await iterator.next();
    if (done === true) return t.fail();
    told.push(value);
    t.deepEqual(reader.position, { history: "history-1", from });
  }
  t.deepEqual(
    told.map(positionAfter).map(({ from }) => from),
    [1, 2, 3, 4],
  );
  const next = iterator.next();
  t.deepEqual(reader.position, { history: "history-1", from: 4 });
  reader.close();
  t.true((await next).done);
  const again = read(positionAfter(told[1] as Told));
  await clock.run(50);
  t.deepEqual(numbers(again.seen.events), [2, 3]);
});

test("a position before a new history brings its announcement again", async (t) => {
  const { clock, bus, server, client, read } = setup();
  server.start();
  await request(client, clock, 2);
  server.beginHistory("history-2");
  server.start();
  const reader = readResults({ service: "exchange", clock, bus, history: "history-1", from: 3 });
  const iterator = reader[Symbol.asyncIterator]();
  await clock.run(100);
  await iterator.next();
  const { value: event } = await iterator.next();
  const previous = { history: "history-1", last: 2, kept: 2 };
  t.deepEqual(event, { type: "history", history: "history-2", next: 1, previous });
  t.deepEqual(reader.position, { history: "history-1", from: 3 });
  const again = read(reader.position);
  await clock.run(100);
  t.deepEqual(again.seen.events[1], event);
  reader.close();
});

test("a filter's position moves on while nothing comes out, so that it is not forgotten", async (t) => {
  const { clock, server, client, read } = setup();
  server.start();
  const { reader, seen } = read({ filter: { key: "nobody's" } });
  await request(client, clock, 10);
  await clock.run(50);
  t.deepEqual(numbers(seen.events), []);
  t.deepEqual(reader.position, { history: "history-1", from: 11 });
  server.oldest = 9;
  const again = read({ ...reader.position, filter: { key: "nobody's" } });
  await clock.run(50);
  t.is(again.seen.error, undefined);
});

test("results that are no longer remembered are an error", async (t) => {
  const { clock, server, client, read } = setup();
  server.start();
  await request(client, clock, 10);
  server.oldest = 6;
  const { seen } = read({ from: 2 });
  await clock.run(50);
  t.true(seen.error instanceof ForgottenError);
  t.is((seen.error as ForgottenError).oldest, 6);
});

test("a slow consumer is waited for, in bounded memory, and misses nothing", async (t) => {
  const { clock, bus, server, client } = setup();
  server.start();
  const reader = readResults({ service: "exchange", clock, bus, limits: { maxBuffered: 8, pageResults: 50 } });
  await request(client, clock, 100);
  const askedBefore = bus.published.filter(({ subject }) => subject === "exchange.replay").length;
  await clock.run(20_000);
  t.true(bus.published.filter(({ subject }) => subject === "exchange.replay").length <= askedBefore + 2);
  const seen: Told[] = [];
  const iterator = reader[Symbol.asyncIterator]();
  while (seen.length < 101) {
    const next = iterator.next();
    await clock.run(5);
    const { value, done } = await next;
    if (done !== true) seen.push(value);
  }
  t.deepEqual(numbers(seen), upTo(100));
});

test("without follow the reader ends with what is committed", async (t) => {
  const { clock, server, client, read } = setup();
  server.start();
  await request(client, clock, 12);
  const { seen } = read({ follow: false, limits: { pageResults: 5 } });
  await clock.run(50);
  t.true(seen.isOver);
  t.deepEqual(numbers(seen.events), upTo(12));
});

test("a filter lets some through and checks the density of all", async (t) => {
  const { clock, server, client, read } = setup();
  server.start();
  server.loseResults = new Set([3]);
  const { seen } = read({ filter: { key: "even" } });
  await request(client, clock, 8);
  await clock.run(50);
  t.deepEqual(numbers(seen.events), [1, 3, 5, 7]);
});

test("leaving the loop stops everything", async (t) => {
  const { clock, bus, server, client } = setup();
  server.start();
  await request(client, clock, 3);
  const reader = readResults({ service: "exchange", clock, bus });
  const left = (async () => {
    for await (const event of reader) if (event.type === "result") break;
  })();
  await clock.run(50);
  await left;
  const before = bus.published.length;
  await clock.run(10_000);
  t.is(bus.published.length, before);
});

test("with nobody alive, a reader that is to end gives up and says so, one that follows goes on asking", async (t) => {
  const { clock, server, client, read } = setup();
  const ending = read({ follow: false });
  const following = read({ follow: true });
  await clock.run(14_000);
  t.false(ending.seen.isOver);
  await clock.run(4_000);
  t.true(ending.seen.error instanceof NobodyAnswersError, String(ending.seen.error));
  t.false(following.seen.isOver);
  t.true(following.reader.unansweredMs >= 18_000);
  server.start();
  await request(client, clock, 2);
  await clock.run(2_000);
  t.deepEqual(numbers(following.seen.events), [1, 2]);
  t.true(following.reader.unansweredMs < 2_000);
});

test("a server that dies on the way is waited for as long, and no longer, before a reader that is to end gives up", async (t) => {
  const { clock, server, client, read } = setup();
  server.start();
  await request(client, clock, 3);
  server.stop();
  const { seen } = read({ follow: false, limits: { unansweredMs: 3_000 } });
  await clock.run(2_500);
  server.start();
  await clock.run(2_000);
  t.deepEqual([numbers(seen.events), seen.isOver, seen.error], [[1, 2, 3], true, undefined]);
});

test("an answer that is so slow that it is asked for again, and the service is BUSY with it: every result comes, and once", async (t) => {
  const { clock, bus, read } = setup();
  const log = logOfReplies(upTo(60).map((number) => ({ reply: replyOf(String(number), 8_192) })));
  const source: ReplaySource = {
    service: "exchange",
    history: "h",
    committed: 60,
    start: 0,
    ancestors: [],
    lastResult: () => 60,
    async *batches(from) {
      yield* log.batches(from, log.last);
    },
  };
  // To pass over the first 40 takes longer than the reader waits before it asks again.
  const replays = new Replays(clock, 16_384);
  bus.subscribe(subjects.replay("exchange"), (message) => void replays.answer(message, bus, source));
  const { seen } = read({ from: 41, follow: false });
  for (let times = 0; !seen.isOver && times < 1_000; times += 1) await clock.run(20);
  t.is(seen.error, undefined);
  t.true(seen.isOver);
  t.deepEqual(numbers(seen.events), upTo(60, 41));
  const ends = bus.published.flatMap(({ data, headers: given }) =>
    given?.[replayHeaders.end] === undefined ? [] : [JSON.parse(Buffer.from(data).toString()) as ReplayEnd],
  );
  const busy = ends.filter(({ error }) => error?.code === "BUSY").length;
  t.true(busy > 0 && busy < 40, `${busy} times BUSY`);
  t.is(bus.published.filter(({ headers: given }) => given?.[replayHeaders.subject] !== undefined).length, 20);
});
