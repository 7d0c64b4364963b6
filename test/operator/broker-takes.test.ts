/** What the broker does not take from a server, as troubles: counted, told under one code, and over when there is a sign of it. */
import test from "ava";
import { Mailbox } from "../../actors/actor.ts";
import { BrokerWatch } from "../../actors/operator/broker-watch.ts";
import { Troubles } from "../../actors/operator/troubles.ts";
import type { BusFault, Registry, World } from "../../actors/world/ports.ts";
import { Settings } from "../../schemas/settings.ts";
import { TestBus, TestClock } from "../helpers/hand-world.ts";

function setup() {
  const clock = new TestClock();
  const bus = new TestBus(clock);
  const lines: string[] = [];
  const tell = (fields: object, message: string) => void lines.push(`${JSON.stringify(fields)} ${message}`);
  const log = { debug: tell, info: tell, warn: tell, error: tell };
  const troubles = new Troubles(clock, log);
  const streams: { names: string[] | null } = { names: [] };
  const registry = { streamsOver: () => Promise.resolve(streams.names) } as unknown as Registry;
  const settings = Settings.parse({ service: "s", server: "a", servers: [{ name: "a", port: 1 }], dataDirectory: "d" });
  const delivery = { replies: 0, omittedReplies: 0, omittedResults: 0, areResultsHeldBack: false };
  const mailbox = new Mailbox(clock, { onTurnEnd: () => undefined, onError: (error) => lines.push(error.message) });
  const watch = new BrokerWatch({
    settings,
    world: { clock, bus, registry, log } as unknown as World,
    mailbox,
    troubles,
    delivery: () => delivery,
  });
  const fault = (kind: BusFault["kind"], subject: string, reason = "no") => watch.onFault({ kind, subject, reason });
  const run = async (ms: number) => {
    for (let left = ms; left > 0; left -= 100) {
      await clock.run(100);
      watch.onTick();
      troubles.onTick();
    }
    await Promise.resolve();
  };
  const codes = () => troubles.open.map(({ code }) => code);
  const message = (code: string) => troubles.open.find((one) => one.code === code)?.message ?? "";
  return { bus, watch, fault, run, codes, message, lines, delivery, streams };
}

const kinds = {
  "forbidden.results": ["publish", "s.result.k.c"],
  "forbidden.replies": ["publish", "_INBOX.x.1"],
  "forbidden.requests": ["subscribe", "s.request.>"],
  "forbidden.reads": ["subscribe", "s.query.>"],
  "forbidden.servers": ["publish", "s.server.b.replication"],
  "forbidden.registry": ["publish", "$JS.API.STREAM.MSG.GET.KV_twinlog"],
  "forbidden.operators": ["publish", "s.status.a"],
} as const;

test("a reply subject that a client made up stands in no trouble", (t) => {
  const { fault, message } = setup();
  fault("publish", "made.up.by-a-client");
  t.regex(message("forbidden.replies"), /on reply subjects that clients named \(1 times/);
});

for (const [code, [kind, subject]] of Object.entries(kinds))
  test(`a forbidden ${kind} on ${subject} is ${code}: counted, told once a minute at most (situation 60)`, async (t) => {
    const { fault, run, codes, message, lines } = setup();
    for (let time = 0; time < 500; time += 1) {
      fault(kind, subject);
      await run(100);
    }
    t.deepEqual(codes(), [code]);
    t.regex(message(code), /500 times/);
    t.true(message(code).includes(code === "forbidden.replies" ? " _INBOX.> " : subject));
    t.is(lines.length, 1);
  });

test("what is forbidden is over when it was not refused for longer than it is tried again (situation 60)", async (t) => {
  const { fault, run, codes } = setup();
  fault("publish", "s.status.a");
  await run(14_000);
  t.deepEqual(codes(), ["forbidden.operators"]);
  fault("publish", "s.status.a");
  await run(14_000);
  t.deepEqual(codes(), ["forbidden.operators"]);
  await run(2_000);
  t.deepEqual(codes(), []);
});

test("forbidden results are not over while they wait (situation 60)", async (t) => {
  const { fault, run, codes, delivery } = setup();
  delivery.areResultsHeldBack = true;
  fault("publish", "s.result.k.c");
  await run(60_000);
  t.deepEqual(codes(), ["forbidden.results"]);
  delivery.areResultsHeldBack = false;
  await run(200);
  t.deepEqual(codes(), []);
});

for (const [reply, tried] of [
  ["_INBOX.x.1", "_INBOX."],
  ["_INBOX.client.bob.x.1", "_INBOX.client.bob."],
  ["made.up.by.a.client", "_INBOX."],
] as const)
  test(`forbidden replies on ${reply} are over when one beside it may go out, also of who answers nobody (situation 60)`, async (t) => {
    const { bus, fault, run, codes } = setup();
    let isForbidden = true;
    const tries: string[] = [];
    bus.publish = (subject) => {
      tries.push(subject);
      if (isForbidden) fault("publish", subject);
      return true;
    };
    fault("publish", reply);
    await run(60_000);
    t.deepEqual(codes(), ["forbidden.replies"]);
    t.is(tries.length, 12, "once in 5 s");
    t.true(tries.every((subject) => subject.startsWith(tried) && !subject.startsWith("_INBOX.x.")));
    isForbidden = false;
    await run(21_000);
    t.deepEqual(codes(), []);
    const before = tries.length;
    await run(60_000);
    t.is(tries.length, before, "nothing is tried while nothing is forbidden");
  });

test("a broker that takes less than records may have is told, and so is what was left out of it (situation 58)", async (t) => {
  const { bus, watch, run, codes, message, delivery } = setup();
  watch.onBus(true);
  t.deepEqual(codes(), []);
  bus.limits = { payloadBytes: 65_536, lineBytes: 4_096 };
  watch.onBus(true);
  t.deepEqual(codes(), ["broker.limits"]);
  delivery.omittedResults = 3;
  await run(200);
  t.regex(message("broker.omitted"), /3 results/);
  await run(601_000);
  t.deepEqual(codes(), ["broker.limits"]);
  bus.limits = { payloadBytes: 1_048_576, lineBytes: 4_096 };
  watch.onBus(true);
  t.deepEqual(codes(), []);
});

test("connections that the broker ends again and again are told, with what it says (situation 58)", async (t) => {
  const { fault, run, codes, message } = setup();
  fault("cutOff", "", "'maximum control line exceeded'");
  await run(1_000);
  t.deepEqual(codes(), [], "once is an accident");
  fault("cutOff", "", "'maximum control line exceeded'");
  t.regex(message("broker.cutOff"), /2 connections.*maximum control line/);
  await run(61_000);
  t.deepEqual(codes(), []);
});

test("a status that does not fit is told in the log, a result or a reply in its own way (situation 58)", async (t) => {
  const { fault, run, codes, lines } = setup();
  fault("size", "s.result.k.c");
  fault("size", "_INBOX.x.1");
  t.deepEqual(codes(), []);
  fault("size", "s.status.a", "a message of 3000 bytes; the broker takes 1000");
  t.deepEqual(codes(), ["broker.narrow"]);
  t.regex(lines[0] ?? "", /s\.status\.a: a message of 3000 bytes/);
  await run(16_000);
  t.deepEqual(codes(), []);
});

test("a stream over what is answered is told by its name, looked for again each minute, and believed only when JetStream answers (situation 67)", async (t) => {
  const { watch, run, codes, message, streams } = setup();
  streams.names = ["orders"];
  watch.onBus(true);
  await run(200);
  t.deepEqual(codes(), ["stream.answers"]);
  t.regex(message("stream.answers"), /orders.*s\.request\.>.*s\.query\.>.*s\.replay.*s\.control\.>.*s\.server\.>/);
  streams.names = null;
  await run(61_000);
  t.deepEqual(codes(), ["stream.answers"], "no answer is no sign");
  streams.names = [];
  await run(61_000);
  t.deepEqual(codes(), []);
});
