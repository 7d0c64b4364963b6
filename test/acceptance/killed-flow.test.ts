/**
 * The acceptance run: a flow of orders through a pair whose hot server is killed with -9 ten times at random moments and started
 * again by its supervisor, with 256 requests in flight and one in fifty sent again under its old id. Every request is answered with
 * what an independent plain book says, every duplicate is byte-equal, integrators see every result once and in order.
 */
import test from "ava";
import { exchange } from "../../actors/applications/exchange/exchange.ts";
import type { Answer } from "../../actors/index.ts";
import { readDisk } from "../helpers/pair/disk.ts";
import { startPair } from "../helpers/pair/pair.ts";
import { Random } from "../helpers/random.ts";
import { orderFlow } from "../models/flows.ts";
import { type OrderBody, PlainBook } from "../models/plain-book.ts";

const total = 20_000;
const kills = 10;
const inFlight = 256;
const resendEvery = 50;
const seed = 20_241;

/** The longest time without an answer, from the last one before the kill on. */
function longestGapMs(answeredAtMs: readonly number[], killedAtMs: number): number {
  let longest = 0;
  for (let at = 1; at < answeredAtMs.length; at += 1) {
    const now = answeredAtMs[at] ?? 0;
    if (now >= killedAtMs) longest = Math.max(longest, now - (answeredAtMs[at - 1] ?? 0));
  }
  return longest;
}

test("ten times kill -9 under load: the trades, the book and the results of the plain book, each request answered, each duplicate byte-equal", async (t) => {
  t.timeout(240_000);
  const random = new Random(seed);
  const bodies = [...orderFlow(seed, total)];
  const pair = await startPair(t, { pace: "shipped", restartMs: 500 });
  const client = await pair.client({
    client: "flow",
    application: exchange,
    maxInFlight: inFlight,
    deadlineMs: 60_000,
  });

  const published: string[] = [];
  const reader = client.results();
  const reading = (async () => {
    for await (const event of reader) {
      if (event.type !== "result") continue;
      published.push(Buffer.from(event.bytes).toString());
      if (published.length === total) return;
    }
  })();

  const answers: Answer<unknown>[] = [];
  const duplicates: Promise<void>[] = [];
  let unequal = 0;
  let answeredAtMs: number[] = [];
  const sendAgain = async (n: number) => {
    const again = await client.request(bodies[n] as OrderBody, { id: String(n), after: null });
    if (!again.duplicate || !Buffer.from(again.bytes).equals(answers[n]?.bytes ?? Buffer.of())) unequal += 1;
  };
  const gapsMs: number[] = [];
  const begunAtMs = performance.now();
  for (let part = 0; part <= kills; part += 1) {
    const from = Math.floor((part * total) / (kills + 1));
    const to = Math.floor(((part + 1) * total) / (kills + 1));
    const victim = (await pair.normal()).primary;
    const killAt = part === kills ? -1 : random.whole(from, to - 1);
    let killedAtMs = Number.POSITIVE_INFINITY;
    let killed: Promise<void> = Promise.resolve();
    const late: number[] = [];
    answeredAtMs = [];
    const onAnswer = (n: number, answer: Answer<unknown>) => {
      answers[n] = answer;
      answeredAtMs.push(performance.now());
      if (n === killAt) {
        killedAtMs = performance.now();
        killed = pair.server(victim).kill();
        // Duplicates of what the dead server answered go to the next one.
        for (const one of late.splice(0)) duplicates.push(sendAgain(one));
      }
      if (n % resendEvery !== 0) return;
      if (random.chance(0.5)) duplicates.push(sendAgain(n));
      else late.push(n);
    };
    await Promise.all(
      bodies.slice(from, to).map(async (body, at) => {
        onAnswer(from + at, await client.request(body, { id: String(from + at) }));
      }),
    );
    await killed;
    for (const one of late) duplicates.push(sendAgain(one));
    if (part < kills) gapsMs.push(longestGapMs(answeredAtMs, killedAtMs));
  }
  const seconds = (performance.now() - begunAtMs) / 1_000;
  await Promise.all(duplicates);
  await reading;

  const sorted = gapsMs.sort((one, other) => one - other).map((gap) => Math.round(gap));
  t.log(`clients' gap at a kill: median ${sorted[kills / 2]} ms, longest ${sorted.at(-1)} ms (${sorted.join(", ")})`);
  t.log(`${total} requests, ${kills} kills, ${duplicates.length} duplicates in ${seconds.toFixed(1)} s`);

  t.is(answers.length, total);
  t.is(duplicates.length, total / resendEvery);
  t.is(unequal, 0);
  const plain = new PlainBook();
  const expected = bodies.map((body) => plain.execute(body, "flow"));
  const wrong = expected.findIndex((result, n) => !isSame(result, answers[n]?.result));
  t.deepEqual(answers[wrong]?.result, expected[wrong] as unknown, `request ${wrong}`);
  const trades = expected.reduce((sum, { fills }) => sum + fills.length, 0);
  t.true(trades > total / 4, "the flow is rich in trades");

  const firstWrong = published.findIndex((text, n) => text !== Buffer.from(answers[n]?.bytes ?? []).toString());
  t.is(firstWrong, -1, "integrators saw every result once, in order");

  for (const symbol of ["AAA", "BBB"]) {
    const { result } = await client.query<object>({ query: "book", symbol });
    t.like(result, plain.levels(symbol));
  }
  // And on both disks, once everything is flushed.
  await pair.normal();
  for (const name of pair.servers.keys()) {
    t.is((await pair.server(name).stop()).code, 0);
    const { tables } = await readDisk(pair, name, exchange);
    const rows = [...(tables.get("orders")?.values() ?? [])] as { symbol: string; order: string; remaining: number }[];
    const line = (one: { symbol: string; order: string }, open: number) => `${one.symbol} ${one.order} ${open}`;
    t.deepEqual(
      rows.map((row) => line(row, row.remaining)).sort(),
      plain.resting.map((order) => line(order, order.open)).sort(),
    );
  }
});

function isSame(one: unknown, other: unknown): boolean {
  return JSON.stringify(sortedKeys(one)) === JSON.stringify(sortedKeys(other));
}

function sortedKeys(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sortedKeys);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([one], [other]) => (one < other ? -1 : 1))
      .map(([key, each]) => [key, sortedKeys(each)]),
  );
}
