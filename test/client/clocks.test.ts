/**
 * Clients whose clocks are wrong (rule 12): the library learns the service's time from a refusal and stamps by it; a request
 * that may have been executed keeps its stamp, and no error says more than is true.
 */
import test from "ava";
import * as fc from "fast-check";
import { UnknownOutcomeError } from "../../actors/client/errors.ts";
import { noFaults } from "../helpers/hand-world.ts";
import { codeOf, setup, watch } from "./setup.ts";

const origin = 1_764_000_000_000;
const minuteMs = 60_000;
const hourMs = 60 * minuteMs;

/** A service whose clock is right, and which has forgotten what is older than a minute. */
function clockwork(offsetMs: number, seed = 1) {
  const all = setup({ seed });
  const { clock, server } = all;
  clock.wallOffsetMs = offsetMs;
  const serviceMs = () => origin + clock.nowMs();
  server.stamps = () => ({ now: serviceMs(), after: serviceMs() - minuteMs, until: serviceMs() + 10 * minuteMs });
  server.start();
  return { ...all, serviceMs };
}

for (const [what, offsetMs] of [
  ["hours slow", -5 * hourMs],
  ["a day slow", -24 * hourMs],
  ["hours fast", 5 * hourMs],
] as const)
  test(`a client whose clock is ${what} is served: the library learns the service's time and stamps by it`, async (t) => {
    const { clock, server, client, sent, serviceMs } = clockwork(offsetMs);
    await clock.run(1);
    const first = [1, 2, 3].map((n) => watch(client.request({ n })));
    await clock.run(20);
    const second = watch(client.request({ n: 4 }));
    await clock.run(20);
    t.deepEqual(
      [...first, second].map(({ value }) => value?.result),
      [{ n: 1 }, { n: 2 }, { n: 3 }, { n: 4 }],
    );
    t.deepEqual(
      server.log.map(({ body }) => body),
      [{ n: 1 }, { n: 2 }, { n: 3 }, { n: 4 }],
      "in the order of the calls",
    );
    t.is(sent().length, 7, "three were refused once, and no later one");
    t.true(Math.abs((sent().at(-1)?.issuedAt ?? 0) - serviceMs()) < 100);
    // What jumps later is the wall clock alone.
    clock.wallOffsetMs = 24 * hourMs;
    const third = watch(client.request({ n: 5 }));
    await clock.run(20);
    t.deepEqual(third.value?.result, { n: 5 });
    t.is(sent().length, 8);
  });

test("a clock that the service takes is not corrected", async (t) => {
  const { clock, client, sent } = clockwork(-30_000);
  await clock.run(1);
  const answer = watch(client.request({ n: 1 }));
  await clock.run(20);
  t.deepEqual(answer.value?.result, { n: 1 });
  t.deepEqual(
    sent().map(({ issuedAt }) => issuedAt),
    [origin - 30_000 + 1],
  );
});

test("a copy that may have been executed keeps its stamp: what became of it is unknown, and the retry says it again", async (t) => {
  const { clock, bus, server, client, sent } = clockwork(-5 * hourMs);
  await clock.run(1);
  bus.faults = { ...noFaults, drop: 1 };
  const answer = watch(client.request({ n: 1 }));
  await clock.run(100);
  bus.faults = noFaults;
  await clock.run(2_000);
  t.true(answer.error instanceof UnknownOutcomeError);
  const stamps = new Set(sent().map(({ issuedAt }) => issuedAt));

  t.deepEqual([...stamps], [(answer.error as UnknownOutcomeError).retry.issuedAt]);
  t.is(server.log.length, 0);
});

test("a stamp that the caller gave is his, and so is a copy of an earlier call", async (t) => {
  const { clock, client, sent } = clockwork(0);
  await clock.run(1);
  const old = watch(client.request({ n: 1 }, { id: "a", issuedAt: 5 }));
  const again = watch(client.request({ n: 2 }, { id: "b", issuedAt: 5, resend: true }));
  await clock.run(2_000);
  t.is(codeOf(old), "EXPIRED");
  t.true(again.error instanceof UnknownOutcomeError);
  t.deepEqual([...new Set(sent().map(({ issuedAt }) => issuedAt))], [5]);
});

test("a service that takes no stamp of this client is asked so often and no more, and the refusal is told", async (t) => {
  const { clock, server, client, sent, serviceMs } = clockwork(0);
  server.stamps = () => ({ now: serviceMs(), after: serviceMs() + hourMs, until: serviceMs() });
  await clock.run(1);
  const answer = watch(client.request({ n: 1 }));
  await clock.run(1_000);
  t.is(codeOf(answer), "EXPIRED");
  t.is(sent().length, 1);
});

test("a refusal for the future is no word about other copies: another server's clock may have taken one", async (t) => {
  const { clock, bus, client } = clockwork(5 * hourMs);
  await clock.run(1);
  bus.faults = { ...noFaults, drop: 1 };
  const answer = watch(client.request({ n: 1 }));
  await clock.run(100);
  bus.faults = noFaults;
  await clock.run(2_000);
  t.true(answer.error instanceof UnknownOutcomeError);
});

test("whatever the clocks do and the broker loses, nothing is executed twice and each request ends once", async (t) => {
  const jump = fc.record({ atMs: fc.nat(3_000), offsetMs: fc.integer({ min: -24 * hourMs, max: 24 * hourMs }) });
  const property = fc.asyncProperty(
    fc.array(jump, { maxLength: 4 }),
    fc.double({ min: 0, max: 0.4, noNaN: true }),
    fc.nat(1_000),
    async (jumps, drop, seed) => {
      const { clock, bus, server, client } = clockwork(0, seed + 1);
      bus.faults = { drop, repeat: 0.1, delayMs: [0.1, 5] };
      for (const { atMs, offsetMs } of jumps)
        clock.after(atMs, () => {
          clock.wallOffsetMs = offsetMs;
        });
      await clock.run(1);
      const answers: ReturnType<typeof watch>[] = [];
      for (let n = 1; n <= 30; n += 1) {
        answers.push(watch(client.request({ n }, { deadlineMs: 20_000 })));
        await clock.run(100);
      }
      bus.faults = noFaults;
      await clock.run(25_000);
      t.true(answers.every(({ settled }) => settled));
      const executed = server.log.map(({ body }) => (body as { n: number }).n);
      t.is(new Set(executed).size, executed.length);
      for (const [index, { value, error }] of answers.entries()) {
        if (value !== undefined) t.true(executed.includes(index + 1));
        else if (!(error instanceof UnknownOutcomeError)) t.false(executed.includes(index + 1), String(error));
      }
    },
  );
  await t.notThrowsAsync(() => fc.assert(property, { numRuns: 25 }));
});
