/**
 * The client library against a fake service: each request gets one result, in the order of the calls, through drops,
 * repeats, reordering and takeovers; and every error says what is true.
 */
import test from "ava";
import { createClient } from "../../actors/client/client.ts";
import { FailedError, type RefusedError, UnansweredError, UnknownOutcomeError } from "../../actors/client/errors.ts";
import { subjects } from "../../schemas/subjects.ts";
import { bytesOf, noFaults } from "../helpers/hand-world.ts";
import { codeOf, setup, watch } from "./setup.ts";

test("a request gets its result, with the record's place", async (t) => {
  const { clock, server, client, sent } = setup();
  server.start();
  await clock.run(1);
  const answer = watch(client.request({ n: 1 }));
  await clock.run(10);
  t.deepEqual(answer.value?.result, { n: 1 });
  t.is(answer.value?.sequence, 1);
  t.is(answer.value?.epoch, 1);
  t.false(answer.value?.duplicate);
  const [envelope] = sent();
  t.is(sent().length, 1);
  t.is(envelope?.client, "alice");
  t.is(envelope?.issuedAt, 1_764_000_000_001);
  t.is(envelope?.after, undefined);
  t.is(envelope?.resend, undefined);
  t.deepEqual(client.counts(), { inFlight: 0, unanswered: 0, resends: 0 });
});

test("each of a pipeline names the one before it, and the first after a pause names none", async (t) => {
  const { clock, server, client, sent } = setup();
  server.start();
  await clock.run(1);
  const answers = [1, 2, 3].map((n) => watch(client.request({ n }, { id: `id-${n}` })));
  await clock.run(10);
  answers.push(watch(client.request({ n: 4 }, { id: "id-4" })));
  await clock.run(10);
  t.deepEqual(
    sent().map(({ id, after }) => [id, after]),
    [
      ["id-1", undefined],
      ["id-2", "id-1"],
      ["id-3", "id-2"],
      ["id-4", undefined],
    ],
  );
  t.true(answers.every(({ value }) => value !== undefined));
});

test("ids are unique among clients of one name", async (t) => {
  const { clock, bus, server, client } = setup();
  server.start();
  await clock.run(1);
  const twin = createClient({ service: "exchange", client: "alice", clock, bus });
  const answers = [client.request(1), twin.request(2), client.request(3)].map(watch);
  await clock.run(10);
  t.deepEqual(
    answers.map(({ value }) => value?.result),
    [1, 2, 3],
  );
  t.is(new Set(answers.map(({ value }) => value?.id)).size, 3);
});

test("the same id again gets the same bytes, and is a duplicate", async (t) => {
  const { clock, server, client } = setup();
  server.start();
  await clock.run(1);
  const first = watch(client.request({ n: 1 }, { id: "same" }));
  await clock.run(10);
  const second = watch(client.request({ n: 1 }, { id: "same" }));
  await clock.run(10);
  t.deepEqual(second.value?.bytes, first.value?.bytes);
  t.false(first.value?.duplicate);
  t.true(second.value?.duplicate);
  t.is(server.log.length, 1);
});

test("requests go unanswered while nobody listens, one probe at a time, and all are executed in order when one does", async (t) => {
  const { clock, server, client, sent } = setup();
  const answers = Array.from({ length: 50 }, (_, n) => watch(client.request({ n })));
  await clock.run(2_000);
  const probes = sent().length - 50;
  t.true(probes > 2 && probes < 20, `${probes} probes`);
  t.true(answers.every(({ settled }) => !settled));
  server.start();
  await clock.run(20);
  t.deepEqual(
    server.log.map(({ body }) => body),
    Array.from({ length: 50 }, (_, n) => ({ n })),
  );
  t.true(answers.every(({ value }) => value !== undefined));
  t.true(
    sent()
      .slice(50)
      .every(({ resend }) => resend === true),
  );
});

test("a takeover that lost the middle of the pipeline keeps the order", async (t) => {
  const { clock, bus, server, client } = setup();
  server.start();
  await clock.run(1);
  server.commitMs = 50;
  const before = Array.from({ length: 10 }, (_, n) => watch(client.request({ n })));
  await clock.run(5);
  server.die(4);
  // What is sent now meets the new server before anything of the lost middle is sent again.
  bus.faults = { drop: 0, repeat: 0, delayMs: [1, 1] };
  const after = Array.from({ length: 10 }, (_, n) => watch(client.request({ n: 10 + n })));
  server.commitMs = 1;
  server.start();
  await clock.run(200);
  t.deepEqual(
    server.log.map(({ body }) => body),
    Array.from({ length: 20 }, (_, n) => ({ n })),
  );
  t.true([...before, ...after].every(({ value }) => value !== undefined));
});

test("a lost request in the middle is repaired at once, not by a timeout", async (t) => {
  const { clock, bus, server, client } = setup();
  server.start();
  await clock.run(1);
  const first = watch(client.request(1));
  await clock.run(0.01);
  bus.faults = { drop: 1, repeat: 0, delayMs: [0.1, 0.1] };
  const lost = watch(client.request(2));
  bus.faults = { drop: 0, repeat: 0, delayMs: [0.1, 0.1] };
  const last = watch(client.request(3));
  await clock.run(5);
  t.deepEqual(
    [first, lost, last].map(({ value }) => value?.sequence),
    [1, 2, 3],
  );
});

test("the same ready signal twice sends nothing twice", async (t) => {
  const { clock, bus, server, client, sent } = setup();
  server.commitMs = 30;
  server.start();
  await clock.run(1);
  const answer = watch(client.request(1));
  const signal = bus.published.find(({ subject }) => subject === subjects.signal("exchange"));
  bus.publish(subjects.signal("exchange"), signal?.data ?? new Uint8Array(0));
  await clock.run(10);
  t.is(sent().length, 1);
  bus.publish(subjects.signal("exchange"), bytesOf("not a signal"));
  await clock.run(30);
  t.is(answer.value?.sequence, 1);
});

test("ready signals that are no server's make a client send again a few times, whatever they name", async (t) => {
  const { clock, bus, server, client, sent } = setup();
  server.commitMs = 60_000;
  server.start();
  await clock.run(1);
  const answers = [1, 2, 3, 4, 5].map((n) => watch(client.request({ n }, { deadlineMs: 120_000 })));
  await clock.run(1);
  const signal = { signal: "ready", service: "exchange", server: "eve", history: "h", sequence: 1 };
  const before = sent().length;
  for (let epoch = 1; epoch <= 200; epoch += 1) {
    const forged = { ...signal, incarnation: `eve-${epoch}`, epoch: Number.MAX_SAFE_INTEGER - epoch };
    bus.publish(subjects.signal("exchange"), bytesOf(JSON.stringify(forged)));
    await clock.run(0.5);
  }
  t.true(sent().length - before <= 4 * 5, `${sent().length - before} sent again within 100 ms`);
  await clock.run(200);
  server.die();
  server.commitMs = 1;
  server.start();
  await clock.run(5_000);
  t.true(
    answers.every(({ value }) => value !== undefined),
    "the next primary's word counts, or what it would have said is asked for in time",
  );
});

test("a name or key that takes too long a token is refused before it is sent", async (t) => {
  const { clock, server, client, sent, bus } = setup();
  server.start();
  await clock.run(1);
  const long = watch(client.request(1, { key: "\u00e9".repeat(43) }));
  const nameless = createClient({ service: "exchange", client: "\u00e9".repeat(43), clock, bus });
  const refused = watch(nameless.request(1));
  const fits = watch(client.request(1, { key: "\u00e9".repeat(42) }));
  await clock.run(10);
  t.is(codeOf(long), "INVALID_REQUEST");
  t.is(codeOf(refused), "INVALID_REQUEST");
  t.true(fits.value !== undefined);
  t.is(sent().length, 1);
});

test("BUSY slows the client down and loses no order", async (t) => {
  const { clock, server, client, sent } = setup();
  server.start();
  await clock.run(1);
  let isBusy = true;
  server.refuse = ({ body }) => (isBusy && (body as { n: number }).n >= 3 ? "BUSY" : undefined);
  const answers = Array.from({ length: 10 }, (_, n) => watch(client.request({ n })));
  await clock.run(500);
  t.deepEqual(
    answers.map(({ settled }) => settled),
    Array.from({ length: 10 }, (_, n) => n < 3),
  );
  t.true(sent().length < 30, `${sent().length} sent`);
  isBusy = false;
  await clock.run(1_100);
  t.deepEqual(
    server.log.map(({ body }) => body),
    Array.from({ length: 10 }, (_, n) => ({ n })),
  );
});

test("a final refusal in the middle does not hold up those behind it", async (t) => {
  const { clock, server, client } = setup();
  server.start();
  await clock.run(1);
  server.refuse = ({ body }) => (body === 1 ? "ID_REUSED" : undefined);
  const answers = [0, 1, 2, 3].map((n) => watch(client.request(n)));
  await clock.run(50);
  t.is(codeOf(answers[1]), "ID_REUSED");
  t.deepEqual(
    server.log.map(({ body }) => body),
    [0, 2, 3],
  );
});

test("a handler that failed is a failure with its record's place", async (t) => {
  const { clock, server, client } = setup();
  server.start();
  await clock.run(1);
  server.apply = () => {
    throw new Error("boom");
  };
  const answer = watch(client.request(1));
  await clock.run(10);
  t.true(answer.error instanceof FailedError);
  const error = answer.error as FailedError;
  t.is(error.code, "APPLICATION_ERROR");
  t.is(error.sequence, 1);
  t.true(error.executed);
});

test("an own `after` is sent as it is, and one that nobody knows is a refusal", async (t) => {
  const { clock, server, client, sent } = setup();
  server.start();
  await clock.run(1);
  const first = watch(client.request(1, { id: "one" }));
  const free = watch(client.request(2, { after: null }));
  await clock.run(10);
  const second = watch(client.request(3, { after: "one" }));
  const lost = watch(client.request(4, { after: "never" }));
  await clock.run(10);
  t.truthy(first.value ?? free.value);
  t.deepEqual(
    sent().map(({ after }) => after),
    [undefined, undefined, "one", "never"],
  );
  t.is(second.value?.result, 3);
  t.is((lost.error as RefusedError).code, "OUT_OF_ORDER");
});

test("an answer to somebody else's request is no answer", async (t) => {
  const { clock, bus, server, client } = setup();
  server.commitMs = 100;
  server.start();
  await clock.run(1);
  const answer = watch(client.request(1, { id: "mine" }));
  await clock.run(1);
  const inbox = bus.published.findLast(({ subject }) => subject.startsWith("exchange.request."))?.reply ?? "";
  bus.publish(inbox, bytesOf({ client: "alice", id: "other", ok: true, result: 0, sequence: 9, epoch: 9 }));
  bus.publish(inbox, bytesOf({ id: "mine", nonsense: true }));
  bus.publish(inbox, Buffer.from("{"));
  await clock.run(200);
  t.is(answer.value?.sequence, 1);
});

test("a query is answered, is sent again when it may be lost, and ends as unanswered", async (t) => {
  const { clock, bus, server, client } = setup();
  const early = watch(client.query({ query: "book" }));
  await clock.run(100);
  server.start();
  await clock.run(50);
  t.deepEqual(early.value?.result, { query: "book" });
  bus.faults = { drop: 1, repeat: 0, delayMs: [0, 0] };
  const lost = watch(client.query({ query: "book" }, { deadlineMs: 500 }));
  await clock.run(600);
  t.true(lost.error instanceof UnansweredError);
});

test("not connected: nothing is handed to the bus, and all goes out when it is connected again", async (t) => {
  const { clock, bus, server, client, sent } = setup();
  server.start();
  await clock.run(1);
  bus.isConnected = false;
  const answers = [1, 2, 3].map((n) => watch(client.request(n)));
  await clock.run(300);
  t.is(sent().length, 0);
  bus.isConnected = true;
  client.onBusState(true);
  await clock.run(10);
  t.deepEqual(
    answers.map(({ value }) => value?.result),
    [1, 2, 3],
  );
});

test("while an earlier copy of a refused request may still be answered, those behind it go on", async (t) => {
  const { clock, bus, server, client } = setup();
  server.start();
  await clock.run(1);
  bus.faults = { drop: 1, repeat: 0, delayMs: [0, 0] };
  const refused = watch(client.request(1));
  await clock.run(1);
  bus.faults = noFaults;
  server.refuse = ({ body }) => (body === 1 ? "ID_REUSED" : undefined);
  client.onBusState(true);
  await clock.run(1);
  const next = watch(client.request(2));
  await clock.run(10);
  t.false(refused.settled);
  t.is(next.value?.sequence, 1);
  await clock.run(1_000);
  t.true(refused.error instanceof UnknownOutcomeError);
});

test("after all were given up, the next request is sent at once", async (t) => {
  const { clock, bus, server, client } = setup();
  const lost = watch(client.request(1, { deadlineMs: 2_000 }));
  await clock.run(2_001);
  t.true(lost.settled);
  bus.faults = { drop: 1, repeat: 0, delayMs: [0, 0] };
  server.start();
  bus.faults = noFaults;
  const next = watch(client.request(2));
  await clock.run(5);
  t.is(next.value?.sequence, 1);
});

test("a service that is always slow is given its time", async (t) => {
  const { clock, server, client } = setup();
  server.commitMs = 300;
  server.start();
  await clock.run(1);
  const first = watch(client.request(1));
  await clock.run(400);
  t.truthy(first.value);
  const { resends } = client.counts();
  const others = [2, 3, 4].map((n) => watch(client.request(n)));
  await clock.run(400);
  t.true(others.every(({ value }) => value !== undefined));
  t.is(client.counts().resends, resends);
});

test("answers to others do not make a refused request try again sooner", async (t) => {
  const { clock, server, client, sent } = setup();
  server.start();
  await clock.run(1);
  server.refuse = ({ body }) => (body === 19 ? "BUSY" : undefined);
  server.apply = (body) => {
    server.commitMs = 4 * Number(body);
    return body;
  };
  for (let n = 0; n < 20; n += 1) watch(client.request(n, { id: `id-${n}` }));
  await clock.run(75);
  const copies = sent().filter(({ id }) => id === "id-19").length;
  t.true(copies >= 2 && copies <= 5, `${copies} copies`);
});

for (const seed of [1, 2, 3, 4, 5, 6, 7, 8]) {
  test(`each request once and in order through drops, repeats, reordering and takeovers (seed ${seed})`, async (t) => {
    const { clock, bus, server, client } = setup({ seed, maxInFlight: 32 });
    server.start();
    const answers: ReturnType<typeof watch>[] = [];
    for (let round = 0; round < 12; round += 1) {
      bus.faults = { drop: 0.05, repeat: 0.05, delayMs: [0.1, round % 3 === 0 ? 4 : 0.2] };
      for (let n = 0; n < 20; n += 1) answers.push(watch(client.request({ n: answers.length })));
      await clock.run(10 * clock.random());
      if (round % 4 === 3) {
        server.die(Math.floor(8 * clock.random()));
        await clock.run(60 * clock.random());
        server.start();
      }
      await clock.run(300 * clock.random());
    }
    await clock.run(20_000);
    t.true(answers.every(({ value }) => value !== undefined));
    t.deepEqual(
      server.log.map(({ body }) => body),
      answers.map((_, n) => ({ n })),
    );
    t.deepEqual(
      answers.map(({ value }) => (value as { sequence: number }).sequence),
      answers.map((_, n) => n + 1),
    );
  });
}
