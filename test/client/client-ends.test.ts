/**
 * How requests end without a result, against a fake service: refused, unknown, aborted, closed, too many or too large. Every
 * error says what is true.
 */
import test from "ava";
import { RefusedError, UnknownOutcomeError } from "../../actors/client/errors.ts";
import type { ErrorCode } from "../../schemas/errors.ts";
import { codeOf, setup, watch } from "./setup.ts";

test("nobody ever listens: refused at the deadline, never unknown", async (t) => {
  const { clock, client } = setup();
  const answer = watch(client.request(1, { deadlineMs: 300 }));
  await clock.run(299);
  t.false(answer.settled);
  await clock.run(10);
  t.true(answer.error instanceof RefusedError);
  t.is((answer.error as RefusedError).code, "NOT_SENT");
});

test("BUSY to every copy until the deadline: refused with BUSY", async (t) => {
  const { clock, server, client } = setup();
  server.start();
  await clock.run(1);
  server.refuse = () => "BUSY";
  const answer = watch(client.request(1, { deadlineMs: 300 }));
  await clock.run(310);
  t.true(answer.error instanceof RefusedError);
  t.is((answer.error as RefusedError).code, "BUSY");
});

for (const code of ["BUSY", "EXPIRED", "ID_REUSED"] satisfies ErrorCode[]) {
  test(`a lost copy and then ${code}: unknown, and the retry is the same request`, async (t) => {
    const { clock, bus, server, client, sent } = setup();
    server.start();
    await clock.run(1);
    bus.faults = { drop: 1, repeat: 0, delayMs: [0, 0] };
    const answer = watch(client.request(1, { deadlineMs: 2_000 }));
    await clock.run(10);
    bus.faults = { drop: 0, repeat: 0, delayMs: [0, 0] };
    server.refuse = () => code;
    await clock.run(2_000);
    t.true(answer.error instanceof UnknownOutcomeError);
    t.true(sent().length > 1);
    server.refuse = () => undefined;
    const again = watch(client.request(1, (answer.error as UnknownOutcomeError).retry));
    await clock.run(10);
    t.is(again.value?.sequence, 1);
    t.is(new Set(sent().map(({ id, issuedAt }) => `${id} ${issuedAt}`)).size, 1);
  });
}

test("what every server refuses alike is refused, however many copies were sent", async (t) => {
  const { clock, bus, server, client } = setup();
  server.start();
  await clock.run(1);
  bus.faults = { drop: 1, repeat: 0, delayMs: [0, 0] };
  const answer = watch(client.request(1));
  await clock.run(10);
  bus.faults = { drop: 0, repeat: 0, delayMs: [0, 0] };
  server.refuse = () => "INVALID_REQUEST";
  await clock.run(2_000);
  t.true(answer.error instanceof RefusedError);
});

test("a refusal delivered twice counts once: a copy without an answer keeps the outcome unknown", async (t) => {
  const { clock, bus, server, client } = setup();
  server.start();
  await clock.run(1);
  bus.faults = { drop: 1, repeat: 0, delayMs: [0, 0] };
  const answer = watch(client.request(1, { deadlineMs: 1_000 }));
  await clock.run(10);
  bus.faults = { drop: 0, repeat: 1, delayMs: [0, 0] };
  server.refuse = () => "BUSY";
  await clock.run(2_000);
  t.true(answer.error instanceof UnknownOutcomeError);
});

test("abort: unknown once sent, refused before", async (t) => {
  const { clock, server, client } = setup({ maxInFlight: 1 });
  server.commitMs = 1_000;
  server.start();
  await clock.run(1);
  const abort = new AbortController();
  const sent = watch(client.request(1, { signal: abort.signal }));
  const waiting = watch(client.request(2, { signal: abort.signal }));
  await clock.run(1);
  abort.abort(new Error("enough"));
  const late = watch(client.request(3, { signal: abort.signal }));
  await clock.run(1);
  t.true(sent.error instanceof UnknownOutcomeError);
  t.is(((sent.error as Error).cause as Error).message, "enough");
  t.true(waiting.error instanceof RefusedError);
  t.true(late.error instanceof RefusedError);
  const next = watch(client.request(4));
  await clock.run(2_000);
  t.truthy(next.value);
  t.deepEqual(
    server.log.map(({ body }) => body),
    [1, 4],
  );
});

test("close ends everything with the error that is true of it, and nothing is sent afterwards", async (t) => {
  const { clock, server, client, sent } = setup({ maxInFlight: 1 });
  server.commitMs = 1_000;
  server.start();
  await clock.run(1);
  const answers = [1, 2].map((n) => watch(client.request(n)));
  await clock.run(1);
  client.close();
  const late = watch(client.request(3));
  await clock.run(5_000);
  t.true(answers[0]?.error instanceof UnknownOutcomeError);
  t.true(answers[1]?.error instanceof RefusedError);
  t.true(late.error instanceof RefusedError);
  t.is(sent().length, 1);
});

test("the number in flight and the number waiting are bounded", async (t) => {
  const { clock, server, client, sent } = setup({ maxInFlight: 4, maxWaiting: 3 });
  server.commitMs = 20;
  server.start();
  await clock.run(1);
  const answers = Array.from({ length: 8 }, (_, n) => watch(client.request(n)));
  await clock.run(10);
  t.is(sent().length, 4);
  t.deepEqual(client.counts(), { inFlight: 4, unanswered: 7, resends: 0 });
  t.is(codeOf(answers[7]), "NOT_SENT");
  await clock.run(100);
  t.deepEqual(
    answers.map(({ value }) => value?.result),
    [0, 1, 2, 3, 4, 5, 6, undefined],
  );
});

test("a request too large for the broker is refused here", async (t) => {
  const { client } = setup();
  const error = await t.throwsAsync(client.request("x".repeat(1024 * 1024)), { instanceOf: RefusedError });
  t.is(error.code, "TOO_LARGE");
});
