/** How a simulated raw client sends again what waits, against a service that is one function: nothing is left to a seed. */
import test from "ava";
import { Rng } from "../../../actors/testing/world/rng.ts";
import { Envelope } from "../../../schemas/envelope.ts";
import type { ErrorCode } from "../../../schemas/errors.ts";
import { subjects } from "../../../schemas/subjects.ts";
import { bytesOf, TestBus, TestClock } from "../../helpers/hand-world.ts";
import { largestBurst } from "./participants.ts";
import { type ClientStyle, RawClient } from "./raw-client.ts";
import { workloads } from "./workloads.ts";

const service = "sim";
/** Of two copies sent within this, both are of one round. */
const roundMs = 5;

const quiet: ClientStyle = {
  ordered: true,
  stamps: true,
  meanGapMs: 1e9,
  maxInFlight: 1,
  resendMs: 100,
  twiceChance: 0,
  lateChance: 0,
  reuseChance: 0,
  queryChance: 0,
  largeBytes: 0,
  largeChance: 0,
  requests: 0,
};

/** `answer`: the code with which the nth copy of a round is refused; undefined: silence. */
async function serve(answer: (nth: number, atMs: number) => ErrorCode | undefined, style: Partial<ClientStyle> = {}) {
  const clock = new TestClock();
  const bus = new TestBus(clock);
  const rounds: number[] = [];
  let nth = 0;
  bus.subscribe(subjects.requests(service), ({ data, reply }) => {
    const atMs = clock.nowMs();
    const { client, id } = Envelope.parse(JSON.parse(Buffer.from(data).toString()));
    if (atMs - (rounds.at(-1) ?? Number.NEGATIVE_INFINITY) > roundMs) {
      rounds.push(atMs);
      nth = 0;
    }
    nth += 1;
    const code = answer(nth, atMs);
    if (code !== undefined)
      bus.publish(reply, bytesOf({ client, id, ok: false, error: { code, message: "", executed: false } }));
  });
  const options = { service, name: "client1", bus, clock, rng: new Rng(1), workload: workloads.ledger };
  const client = new RawClient({ ...options, style: { ...quiet, ...style } });
  await client.start();
  await clock.run(1);
  /** From each round to the next one. */
  const gaps = () => rounds.slice(1).map((atMs, at) => atMs - (rounds[at] ?? 0));
  return { clock, bus, client, gaps };
}

test("what nobody answers is sent again and again, and more seldom once it was sent thirty times", async (t) => {
  const { clock, client, gaps } = await serve(() => undefined);
  client.burst(20);
  await clock.run(30_000);
  t.true(gaps().length > 40);
  for (const [at, gapMs] of gaps().entries())
    if (at < 29) t.true(gapMs >= 100 && gapMs < 200, `round ${at + 2}, after ${gapMs} ms`);
    else t.true(gapMs >= 400 && gapMs < 800, `round ${at + 2}, after ${gapMs} ms`);
});

test("a refusal that asks to try again is no answer", async (t) => {
  const { clock, client, gaps } = await serve((nth) => (nth === 1 ? "BUSY" : "OUT_OF_ORDER"));
  client.burst(20);
  await clock.run(30_000);
  t.is(client.unanswered, 20);
  t.true(
    gaps()
      .slice(29)
      .every((gapMs) => gapMs >= 400),
  );
});

test("while some are answered in each round, the others are sent again as often as before; and seldom once none is", async (t) => {
  const untilMs = 10_000;
  const { clock, client, gaps } = await serve((nth, atMs) =>
    nth === 1 && atMs < untilMs ? "INVALID_REQUEST" : undefined,
  );
  client.burst(100);
  await clock.run(untilMs);
  const rounds = gaps().length;
  t.true(rounds > 60);
  t.is(client.unanswered, 100 - rounds - 1);
  t.true(gaps().every((gapMs) => gapMs < 200));
  await clock.run(untilMs);
  t.true(
    gaps()
      .slice(rounds + 2)
      .every((gapMs) => gapMs >= 400),
  );
});

test("who has become patient is so no more when a server says that it is ready and answers", async (t) => {
  let isServing = false;
  const { clock, bus, client, gaps } = await serve((nth) => (isServing && nth <= 2 ? "INVALID_REQUEST" : undefined));
  client.burst(40);
  await clock.run(10_000);
  isServing = true;
  const rounds = gaps().length;
  bus.publish(subjects.signal(service), bytesOf({}));
  await clock.run(5_000);
  t.is(client.unanswered, 0);
  t.true(
    gaps()
      .slice(rounds)
      .every((gapMs) => gapMs < 800),
  );
});

test("the largest bursts are through within the time that a seed gives them, where few are refused in each round", async (t) => {
  const maxWaitingRefusals = 4;
  const most = largestBurst({ maxWaitingRefusals });
  t.true(most > maxWaitingRefusals, "some refusals are dropped");
  const slowest = { resendMs: 800 };
  const { clock, client } = await serve((nth) => (nth <= maxWaitingRefusals ? "INVALID_REQUEST" : undefined), slowest);
  client.burst(most - 1);
  client.burst(most);
  client.ask();
  t.is(client.unanswered, 2 * most);
  await clock.run(60_000);
  t.is(client.unanswered, 0);
  t.is(largestBurst({ maxInFlight: 3, maxWaitingRefusals }), 12);
  t.is(largestBurst({}), Number.POSITIVE_INFINITY);
});
