/**
 * Results on their way to NATS (rule 13): what it forbids is held back and published when it may be, what is larger than it
 * takes is stood in for, and the watermark is never ahead of what it certainly has.
 */
import test from "ava";
import { ResultsPublisher } from "../../actors/application/results.ts";
import type { BusHeaders } from "../../actors/world/ports.ts";
import { shippedRules } from "../../machines/replica/rules.ts";
import { headers, Reply } from "../../schemas/envelope.ts";
import { TestBus, TestClock } from "../helpers/hand-world.ts";
import { type LoggedResult, logOfReplies, replyOf } from "../helpers/log-of.ts";

const rules = shippedRules;

/** A bus that forbids some subjects, and says so before it says that it has everything. */
class StrictBus extends TestBus {
  forbids: (subject: string) => boolean = () => false;
  readonly taken: { subject: string; number: string; headers: BusHeaders; text: string }[] = [];
  #refused: string[] = [];
  onRefused: (subject: string) => void = () => undefined;

  override publish(subject: string, data: Uint8Array, given: BusHeaders = {}): boolean {
    if (data.length > this.room(subject, given)) return false;
    if (this.forbids(subject)) this.#refused.push(subject);
    else
      this.taken.push({
        subject,
        number: given[headers.result] ?? "",
        headers: given,
        text: Buffer.from(data).toString(),
      });
    return true;
  }
  override flush(): Promise<boolean> {
    for (const subject of this.#refused.splice(0)) this.onRefused(subject);
    return Promise.resolve(true);
  }
}

function setup(results: readonly LoggedResult[]) {
  const bus = new StrictBus(new TestClock());
  const publisher = new ResultsPublisher(bus, "s", rules);
  const log = logOfReplies(results);
  let nowMs = 0;
  bus.onRefused = (subject) => publisher.onFault({ kind: "publish", subject, reason: "forbidden" }, nowMs);
  publisher.start(0);
  const watermarks: (number | null)[] = [];
  /** Some ticks: publish, ask what NATS has. */
  const tick = async (times: number): Promise<number> => {
    for (let time = 0; time < times; time += 1) {
      nowMs += 100;
      while (publisher.publish(log, log.last, "h", nowMs));
      watermarks.push(await publisher.confirm());
    }
    return Math.max(0, ...watermarks.map((mark) => mark ?? 0));
  };
  return { bus, publisher, tick };
}

const small = (count: number, key = "k") =>
  Array.from({ length: count }, (_, at) => ({ reply: replyOf(String(at + 1)), key }));

test("results that NATS forbids are held back, and published when it may be: the watermark waits (situation 60)", async (t) => {
  const { bus, publisher, tick } = setup(small(50));
  bus.forbids = () => true;
  t.is(await tick(30), 0, "nothing counts as published");
  t.true(publisher.isHeldBack);
  bus.forbids = () => false;
  t.is(await tick(30), 50);
  t.false(publisher.isHeldBack);
  t.deepEqual(
    [...new Set(bus.taken.map(({ number }) => Number(number)))],
    Array.from({ length: 50 }, (_, at) => at + 1),
  );
});

test("while NATS forbids them, one result is tried now and then, not all of them again and again (situation 60)", async (t) => {
  const { bus, tick } = setup(small(50));
  let tries = 0;
  bus.forbids = () => {
    tries += 1;
    return true;
  };
  await tick(1);
  tries = 0;
  await tick(100);
  t.true(tries >= 5 && tries <= 25, `${tries} tries in 10 s`);
});

test("what NATS forbids on one subject holds back only what comes after it (situation 60)", async (t) => {
  const results = small(40).map((one, at) => (at === 20 ? { ...one, key: "secret" } : one));
  const { bus, publisher, tick } = setup(results);
  bus.forbids = (subject) => subject.includes("secret");
  t.is(await tick(60), 20);
  t.true(publisher.isHeldBack);
  bus.forbids = () => false;
  t.is(await tick(60), 40);
});

test("what a connection for results took with it is published again, and only what it had confirmed counts (rule 13)", async (t) => {
  const { bus, publisher, tick } = setup(small(10));
  t.is(await tick(1), 10);
  publisher.start(4);
  t.true(publisher.publish(logOfReplies(small(10)), 10, "h", 0) === false);
  const asked = publisher.confirm();
  publisher.onFault({ kind: "lost", subject: "s.result.>", reason: "gone" }, 0);
  t.is(await asked, null, "the answer is of the next connection");
  bus.taken.length = 0;
  t.is(await tick(1), 10);
  t.deepEqual(
    bus.taken.map(({ number }) => Number(number)),
    [5, 6, 7, 8, 9, 10],
  );
});

test("a forbidden status or reply holds no result back (situation 60)", async (t) => {
  const { publisher, tick } = setup(small(5));
  publisher.onFault({ kind: "publish", subject: "s.status.alpha", reason: "forbidden" }, 0);
  publisher.onFault({ kind: "publish", subject: "_INBOX.x", reason: "forbidden" }, 0);
  publisher.onFault({ kind: "publish", subject: "service.result.k.c", reason: "forbidden" }, 0);
  t.false(publisher.isHeldBack);
  t.is(await tick(1), 5);
});

test("a result carries the trace context of its request, a stand-in too; one without has no such header", async (t) => {
  const traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
  const { bus, tick } = setup([
    { reply: replyOf("1"), traceparent },
    { reply: replyOf("2") },
    { reply: replyOf("3", 5_000), traceparent },
  ]);
  bus.limits = { payloadBytes: 1_000, lineBytes: 4_096 };
  t.is(await tick(1), 3);
  t.deepEqual(
    bus.taken.map((message) => message.headers.traceparent),
    [traceparent, undefined, traceparent],
  );
});

test("a result larger than the broker takes is stood in for, and the stream goes on (situation 58)", async (t) => {
  const results = [{ reply: replyOf("1") }, { reply: replyOf("2", 5_000) }, { reply: replyOf("3") }];
  const { bus, publisher, tick } = setup(results);
  bus.limits = { payloadBytes: 1_000, lineBytes: 4_096 };
  t.is(await tick(1), 3);
  t.is(publisher.omitted, 1);
  const [first, standIn, third] = bus.taken;
  t.is(first?.number, "1");
  t.is(third?.number, "3");
  t.is(standIn?.subject, "s.result.k.c");
  t.is(standIn?.headers[headers.result], undefined, "it does not count as result 2");
  t.is(standIn?.headers[headers.omitted], "2");
  t.not(standIn?.headers[headers.messageId], "h-2", "a stream that has it takes the result for no repeat");
  const told = Reply.parse(JSON.parse(standIn?.text ?? ""));
  t.like(told, { client: "c", id: "2", ok: false, error: { code: "REPLY_OMITTED", executed: true } });
});

test("a result whose subject is longer than the broker takes is stood in for on a short one (situation 58)", async (t) => {
  const client = "ü".repeat(60);
  const { bus, tick } = setup([{ reply: replyOf("1", 0, client), client }, { reply: replyOf("2") }]);
  bus.limits = { payloadBytes: 100_000, lineBytes: 256 };
  t.is(await tick(1), 2);
  t.deepEqual(
    bus.taken.map(({ subject }) => subject),
    ["s.result.=.=", "s.result.k.c"],
  );
  t.is(bus.taken[0]?.headers[headers.omitted], "1");
});
