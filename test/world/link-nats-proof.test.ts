/**
 * What stands against who may publish on the servers' subjects: forged messages, recorded ones, other keys, and the notice of a
 * death that is none. And that servers get their key one after the other without a pause.
 */
import test from "ava";
import type { NatsLine } from "../../actors/world/connection-nats.ts";
import { provenContext, provenMessage, unprovenMessage } from "../../actors/world/failsafe-message.ts";
import { NatsLink } from "../../actors/world/link-nats.ts";
import { noticeBytes, type PeerProof } from "../../actors/world/peer-proof.ts";
import type { BusMessage } from "../../actors/world/ports.ts";
import { subjects } from "../../schemas/subjects.ts";
import { TestBus, TestClock } from "../helpers/hand-world.ts";
import { keptLog } from "../helpers/kept-log.ts";
import { proofWith } from "../helpers/peer-key.ts";

const service = "s";
const to = (server: string) => subjects.actor(service, server, "replication");
const isFrame = ({ subject }: BusMessage) => subject === to("alpha") || subject === to("beta");

/** A broker, and processes of alpha and beta as they are started. */
function setup() {
  const clock = new TestClock(1);
  const bus = new TestBus(clock);
  const line = {
    publish: (subject: string, data: Uint8Array, reply?: string) =>
      bus.publish(subject, Buffer.from(data), undefined, reply),
    subscribe: (subject: string, onMessage: (message: BusMessage) => void) => bus.subscribe(subject, onMessage),
    inbox: () => bus.inbox(),
    connected: () => true,
    bufferedBytes: () => 0,
    maxPayloadBytes: () => 1_000_000,
    onState: () => ({ stop: () => undefined }),
    acquire: () => undefined,
    ready: async () => true,
    release: async () => undefined,
  } as unknown as NatsLine;
  const start = async (server: "alpha" | "beta", proof: PeerProof | undefined) => {
    let isConnected = true;
    let tellState: (connected: boolean) => void = () => undefined;
    const own = {
      ...line,
      connected: () => isConnected,
      publish: (subject: string, data: Uint8Array, reply?: string) => isConnected && line.publish(subject, data, reply),
      subscribe: (subject: string, onMessage: (message: BusMessage) => void) =>
        bus.subscribe(subject, (message) => {
          if (isConnected) onMessage(message);
        }),
      onState: (listener: (connected: boolean) => void) => {
        tellState = listener;
        return { stop: () => undefined };
      },
    } as unknown as NatsLine;
    const connect = (connected: boolean) => {
      isConnected = connected;
      tellState(connected);
    };
    const link = new NatsLink({
      service,
      server,
      servers: ["alpha", "beta"],
      line: own,
      onDeath: (_peer, life) => life === "known",
      maxBufferedBytes: 1_000_000,
      proof,
      clock,
      log: keptLog(),
    });
    const events: string[] = [];
    await link.start({
      onUp: () => events.push("up"),
      onDown: (_, reason) => events.push(reason),
      onFrame: (_, frame) => events.push(Buffer.from(frame).toString()),
      onUnproven: (peer, why) => events.push(`${peer}: ${why}`),
      onLastWords: ({ life }) => events.push(`last words of ${life}`),
    });
    const other = server === "alpha" ? "beta" : "alpha";
    const say = async (...frames: string[]) => {
      for (const frame of frames) link.send(other, [Buffer.from(frame)]);
      await clock.run(10);
    };
    return { link, events, say, connect };
  };
  const pair = async (ofAlpha: PeerProof | undefined, ofBeta: PeerProof | undefined) => {
    const [alpha, beta] = [await start("alpha", ofAlpha), await start("beta", ofBeta)];
    await clock.run(10);
    return { alpha, beta };
  };
  return { clock, bus, start, pair };
}

test("servers with one key hear each other as soon as both are there, and in any order of starts", async (t) => {
  const { pair, start, clock } = setup();
  const { alpha, beta } = await pair(await proofWith(), await proofWith());
  await alpha.say("one", "two");
  await beta.say("three");
  t.deepEqual(beta.events, ["up", "one", "two"]);
  t.deepEqual(alpha.events, ["up", "three"]);
  await beta.link.stop();
  await clock.run(100);
  const next = await start("beta", await proofWith());
  await clock.run(10);
  await alpha.say("four");
  await next.say("five");
  t.deepEqual(next.events, ["up", "four"]);
  t.is(alpha.events.at(-1), "five");
});

test("what was recorded and is said again is not delivered, to that process or to a later one", async (t) => {
  const { pair, start, bus, clock } = setup();
  const { alpha, beta } = await pair(await proofWith(), await proofWith());
  await alpha.say("one", "two");
  const recorded = bus.published.filter(isFrame);
  const sayAgain = async () => {
    for (const { subject, data } of recorded) bus.publish(subject, data);
    await clock.run(200);
  };
  await sayAgain();
  t.deepEqual(beta.events, ["up", "one", "two"]);
  await alpha.link.stop();
  await beta.link.stop();
  const next = await start("beta", await proofWith());
  for (let time = 0; time < 3; time += 1) await sayAgain();
  t.deepEqual(next.events, [], "nor does it show that alpha is there");
});

test("whatever is said again brings about few answers", async (t) => {
  const { pair, start, bus, clock } = setup();
  const { alpha, beta } = await pair(await proofWith(), await proofWith());
  await alpha.say("one");
  const { subject, data } = bus.published.findLast((one) => one.subject === to("beta")) ?? {};
  await beta.link.stop();
  const next = await start("beta", await proofWith());
  await clock.run(100);
  const before = bus.published.length;
  for (let time = 0; time < 1_000; time += 1) bus.publish(subject ?? "", data ?? Buffer.alloc(0));
  await clock.run(100);
  t.true(bus.published.length - before - 1_000 <= 3);
  t.deepEqual(next.events, ["up"]);
});

test("a stranger's words in a peer's name are not delivered, and each is told", async (t) => {
  const { pair, bus, clock } = setup();
  const { alpha, beta } = await pair(await proofWith(), await proofWith());
  const other = await proofWith("another-key-of-thirty-two-characters");
  const frame = { parts: [Buffer.from("forged")], bytes: 6 };
  const body = { session: "stranger", number: 1, to: [] };
  const signed = (context: Uint8Array, by: PeerProof) =>
    provenMessage("alpha", body, frame, (bytes) => by.keys.sign([context, bytes]));
  const right = await proofWith();
  const forged = [
    unprovenMessage("alpha", frame),
    signed(provenContext(service, "alpha", "beta"), other),
    // What it said to somebody else, or of another service, or somebody else said.
    signed(provenContext(service, "alpha", "gamma"), right),
    signed(provenContext("t", "alpha", "beta"), right),
    signed(provenContext(service, "beta", "alpha"), right),
    provenMessage("alpha", body, frame, () => Buffer.alloc(16)),
  ];
  for (const message of forged) bus.publish(to("beta"), message);
  await clock.run(10);
  const why = "its proof is of another key: is peers.keyFile the same on all servers?";
  t.deepEqual(beta.events, [
    "up",
    "alpha: it proves nothing: has that server a peers.keyFile?",
    ...Array.from({ length: 5 }, () => `alpha: ${why}`),
  ]);
  await alpha.say("still there");
  t.is(beta.events.at(-1), "still there");
});

test("each bit of a proven message counts", async (t) => {
  const { pair, bus, clock } = setup();
  const { alpha, beta } = await pair(await proofWith(), await proofWith());
  await alpha.say("one");
  const { data = Buffer.alloc(0) } = bus.published.findLast(({ subject }) => subject === to("beta")) ?? {};
  // Behind the checksum, version and name, the checksum made right again.
  const { crc32 } = await import("node:zlib");
  for (let bit = 8 * (6 + "alpha".length); bit < 8 * data.length; bit += 1) {
    const changed = Buffer.from(data);
    changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    changed.writeUInt32LE(crc32(changed.subarray(4)), 0);
    bus.publish(to("beta"), changed);
  }
  await clock.run(10);
  t.deepEqual(
    beta.events.filter((event) => !event.startsWith("alpha: ")),
    ["up", "one"],
  );
});

test("servers get their key one after the other: whoever need not prove it yet is heard", async (t) => {
  const { pair } = setup();
  for (const [ofAlpha, ofBeta] of [
    [undefined, await proofWith(undefined, false)],
    [await proofWith(undefined, false), await proofWith(undefined, false)],
    [await proofWith(undefined, false), await proofWith()],
    [undefined, undefined],
  ] as const) {
    const { alpha, beta } = await pair(ofAlpha, ofBeta);
    await alpha.say("to beta");
    await beta.say("to alpha");
    t.is(beta.events.at(-1), "to beta");
    t.is(alpha.events.at(-1), "to alpha");
    await Promise.all([alpha.link.stop(), beta.link.stop()]);
  }
  const { alpha, beta } = await pair(undefined, await proofWith());
  await alpha.say("to beta");
  t.deepEqual(beta.events, ["alpha: it proves nothing: has that server a peers.keyFile?"]);
});

test("a notice of a death counts with a proof alone, where servers have keys", async (t) => {
  const { start, bus, clock } = setup();
  const proof = await proofWith();
  const { events } = await start("beta", proof);
  const words = { server: "alpha", life: "known", code: "handler", client: "c", id: "i" } as const;
  const notice = { server: "alpha", life: "known", lastWords: { ...words, bodyHash: 0, isRecorded: false, busyMs: 1 } };
  const other = await proofWith("another-key-of-thirty-two-characters");
  for (const data of [
    noticeBytes(notice, { service, to: "beta" }, null),
    noticeBytes(notice, { service, to: "beta" }, other.keys),
    noticeBytes(notice, { service, to: "gamma" }, proof.keys),
    noticeBytes({ ...notice, server: "gamma" }, { service, to: "beta" }, proof.keys),
  ])
    bus.publish(subjects.deaths(service, "beta"), data);
  await clock.run(10);
  t.deepEqual(
    events,
    Array.from({ length: 3 }, () => "alpha: a notice of its death without a proof"),
  );
  bus.publish(subjects.deaths(service, "beta"), noticeBytes(notice, { service, to: "beta" }, proof.keys));
  await clock.run(10);
  t.deepEqual(events.slice(3), ["last words of known", "noResponders"]);
});

test("what was said while a server had lost the broker, and is said again after its sender's death, is not delivered", async (t) => {
  const { pair, bus, clock } = setup();
  const { alpha, beta } = await pair(await proofWith(), await proofWith());
  await alpha.say("one");
  beta.connect(false);
  const before = bus.published.length;
  await alpha.say("missed", "missed too");
  const held = bus.published.slice(before).filter(({ subject }) => subject === to("beta"));
  t.true(held.length >= 2);
  beta.connect(true);
  await clock.run(10);
  await alpha.say("two");
  await alpha.link.stop();
  for (const { subject, data } of held) bus.publish(subject, data);
  await clock.run(10);
  t.deepEqual(beta.events, ["up", "one", "disconnected", "up", "two"]);
});

test("who says recorded words again and again does not keep servers that began anew from hearing each other", async (t) => {
  const { pair, start, bus, clock } = setup();
  const { alpha, beta } = await pair(await proofWith(), await proofWith());
  await alpha.say("one");
  await beta.say("one");
  const recorded = [to("alpha"), to("beta")].map((name) => bus.published.findLast(({ subject }) => subject === name));
  await alpha.link.stop();
  await beta.link.stop();
  const sayAgain = () => {
    for (const one of recorded) bus.publish(one?.subject ?? "", one?.data ?? Buffer.alloc(0));
  };
  const next = [];
  for (const server of ["alpha", "beta"] as const) {
    const one = await start(server, await proofWith());
    sayAgain();
    await clock.run(1);
    next.push(one);
  }
  for (let ms = 0; ms < 1_000; ms += 1) {
    sayAgain();
    if (ms % 100 === 50)
      for (const [at, one] of next.entries()) one.link.send(at === 0 ? "beta" : "alpha", [Buffer.from("x")]);
    await clock.run(1);
  }
  t.true(next.every(({ events }) => events.includes("x")));
});
