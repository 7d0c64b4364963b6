/** The client side of a broker that takes less than a reply or a result needs: pieces are put together, and nothing else is believed. */
import test from "ava";
import { FailedError, RefusedError, UnknownOutcomeError } from "../../actors/client/errors.ts";
import type { HistoryEvent, ResultEvent } from "../../actors/client/result-events.ts";
import { readResults } from "../../actors/client/results.ts";
import { headers } from "../../schemas/envelope.ts";
import { pieceHeaders } from "../../schemas/pieces.ts";
import { setup, watch } from "./setup.ts";

const large = { payloadBytes: 2_000, lineBytes: 4_096 };
const usual = { payloadBytes: 1_048_576, lineBytes: 4_096 };

/** A service whose answers are as long as the request says. */
function start(options: Parameters<typeof setup>[0] = {}) {
  const parts = setup(options);
  parts.server.apply = (body) => "x".repeat(Number(body));
  parts.server.start();
  return parts;
}

test("a reply in pieces is one answer, byte for byte; the word before it is none (situation 58)", async (t) => {
  const { clock, bus, client, server } = start();
  await clock.run(10);
  bus.limits = large;
  const seen = watch(client.request(20_000));
  await clock.run(100);
  t.true(bus.published.some(({ headers: given }) => given?.[headers.omitted] !== undefined));
  t.deepEqual((seen.value as { bytes: Uint8Array } | undefined)?.bytes, Uint8Array.from(server.log[0]?.reply ?? []));
  t.is(client.counts().resends, 0);
});

test("pieces that got lost are asked for again, and whatever comes of it is never taken for a refusal (situation 58)", async (t) => {
  const { clock, bus, client, server } = start({ deadlineMs: 5_000 });
  bus.limits = large;
  const publish = bus.publish.bind(bus);
  let isLosing = true;
  bus.publish = (subject, data, given, reply) => {
    const isThird = given?.[pieceHeaders.piece]?.startsWith("3/") === true;
    return isThird && isLosing ? true : publish(subject, data, given, reply);
  };
  const [first, second] = [watch(client.request(20_000)), watch(client.request(10))];
  await clock.run(1_000);
  t.false(first.settled);
  t.true(second.settled);
  isLosing = false;
  await clock.run(2_000);
  t.deepEqual((first.value as { bytes: Uint8Array } | undefined)?.bytes, Uint8Array.from(server.log[0]?.reply ?? []));
  isLosing = true;
  const third = watch(client.request(20_000));
  await clock.run(6_000);
  t.true(third.error instanceof UnknownOutcomeError);
  t.regex(String(third.error), /REPLY_OMITTED/);
});

test("a failure in pieces is a failure (situation 58)", async (t) => {
  const { clock, bus, client, server } = start();
  server.apply = () => {
    throw new Error("x".repeat(5_000));
  };
  bus.limits = large;
  const seen = watch(client.request(1));
  await clock.run(100);
  t.true(seen.error instanceof FailedError);
});

test("a request that the broker does not take is refused at once; one that it does not take any more, in words (situation 58)", async (t) => {
  const { clock, bus, client, server, sent } = start();
  bus.limits = large;
  const tooLarge = watch(client.request("y".repeat(4_000)));
  await clock.run(1);
  t.true(tooLarge.error instanceof RefusedError && tooLarge.error.code === "TOO_LARGE");
  bus.limits = { payloadBytes: 1_048_576, lineBytes: 128 };
  const tooLong = watch(client.request(1, { key: "k".repeat(200) }));
  await clock.run(1);
  t.true(tooLong.error instanceof RefusedError && tooLong.error.code === "TOO_LARGE");
  t.deepEqual(sent(), []);
  bus.limits = usual;
  server.die();
  const pending = watch(client.request("y".repeat(4_000)));
  await clock.run(50);
  bus.limits = large;
  await clock.run(3_000);
  t.true(pending.settled, "it does not wait for the deadline in silence");
  t.regex(String(pending.error), /TOO_LARGE|takes no message of that size/);
});

test("the results reader: what stands in for a result is not it; the result comes in pieces, in its turn (situation 58)", async (t) => {
  const { clock, bus, client, server } = start();
  const events: (ResultEvent | HistoryEvent)[] = [];
  const reader = readResults({ service: "exchange", clock, bus });
  const read = async () => {
    for await (const event of reader) events.push(event);
  };
  const isRead = read();
  await clock.run(10);
  bus.limits = large;
  for (const size of [10, 20_000, 10, 30_000, 10]) {
    const seen = watch(client.request(size));
    await clock.run(100);
    t.true(seen.settled);
  }
  await clock.run(1_000);
  const results = events.flatMap((event) => (event.type === "result" ? [event] : []));
  t.deepEqual(
    results.map(({ result }) => result),
    [1, 2, 3, 4, 5],
  );
  t.deepEqual(
    results.map(({ bytes }) => Buffer.from(bytes)),
    server.log.map(({ reply }) => Buffer.from(reply)),
  );
  reader.close();
  await isRead;
});
