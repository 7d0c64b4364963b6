/**
 * What is said about a broker's version, and how its silence is judged: both pure, so tried without a broker.
 */
import test from "ava";
import { progressOf, startPings } from "../../actors/world/pings.ts";
import type { Clock } from "../../actors/world/ports.ts";
import { PublishBuffer } from "../../actors/world/publish-buffer.ts";
import { PublishParts } from "../../actors/world/publish-parts.ts";
import { brokerWarnings } from "../../actors/world/registry-warnings.ts";

const cases: [version: string, cluster: boolean, said: RegExp[], unsaid: RegExp[]][] = [
  ["2.9.10", false, [/^old: .*CVE/m, /^old: .*no sync_interval/m], [/may both succeed/]],
  ["2.9.10", true, [/^unsafe: .*two compare-and-sets at once/m], []],
  ["2.9.20", true, [/two compare-and-sets at once/], []],
  ["2.9.21", true, [/CVE/], [/may both succeed/]],
  ["2.10.19", false, [/^unsafe: .*with one replica/m], []],
  ["2.10.19", true, [], [/with one replica/]],
  ["2.10.26", false, [/CVE/, /sync_interval: always/], []],
  ["2.10.27", false, [/^untold: .*sync_interval: always/m], [/CVE/, /^(unsafe|old): /m]],
  ["2.11.0", false, [/CVE/], []],
  ["2.11.1-RC.1", false, [], [/CVE/]],
  ["2.15.1", true, [/sync_interval: always/], [/CVE/, /may both succeed/]],
  ["2.8.4", false, [/never tried/], []],
];

for (const [version, isCluster, said, unsaid] of cases) {
  test(`registry-jetstream: warnings about nats-server ${version}${isCluster ? " in a cluster" : ""}`, (t) => {
    const warnings = brokerWarnings({ version, cluster: isCluster ? "c" : undefined }, 1)
      .map(({ kind, says }) => `${kind}: ${says}`)
      .join("\n");
    for (const pattern of said) t.regex(warnings, pattern);
    for (const pattern of unsaid) t.notRegex(warnings, pattern);
  });
}

/** As lines over TCP have it. */
const pace = { pingEveryMs: 500, pongWithinMs: 1_000 };

/** A clock that only moves when it is told to; `late` runs timers later than they asked for. */
class HandClock {
  nowAtMs = 0;
  timers: { atMs: number; run: () => void }[] = [];
  readonly clock = {
    nowMs: () => this.nowAtMs,
    after: (delayMs: number, run: () => void) => {
      const timer = { atMs: this.nowAtMs + delayMs, run };
      this.timers.push(timer);
      return { cancel: () => this.#drop(timer) };
    },
  } as Clock;

  #drop(timer: { atMs: number; run: () => void }): void {
    this.timers = this.timers.filter((each) => each !== timer);
  }

  async next(lateMs = 0): Promise<void> {
    const timer = this.timers.toSorted((a, b) => a.atMs - b.atMs)[0];
    if (timer === undefined) return;
    this.nowAtMs = timer.atMs + lateMs;
    this.#drop(timer);
    timer.run();
    await Promise.resolve();
  }
}

test("connection-nats: answered pings go on for ever; silence is told once, after a second and a half", async (t) => {
  const hand = new HandClock();
  let answers = true;
  const silences: number[] = [];
  const ping = () => (answers ? Promise.resolve() : new Promise<void>(() => undefined));
  const onSilence = () => {
    silences.push(hand.nowAtMs);
  };
  startPings(hand.clock, pace, { ping, progress: () => 0, onSilence });
  await Promise.resolve();
  for (let round = 0; round < 20; round += 1) await hand.next();
  t.deepEqual(silences, []);
  answers = false;
  await hand.next();
  const sinceMs = hand.nowAtMs;
  for (let step = 0; step < 5; step += 1) await hand.next();
  t.deepEqual(silences, [sinceMs + 1_500]);
  t.is(hand.timers.length, 0);
});

test("connection-nats: while bytes still come or leave nobody is silent: the answer stands in line with them", async (t) => {
  const hand = new HandClock();
  let bytes = 0;
  let silences = 0;
  startPings(hand.clock, pace, {
    ping: () => new Promise<void>(() => undefined),
    progress: () => bytes,
    onSilence: () => {
      silences += 1;
    },
  });
  for (let round = 0; round < 20; round += 1) {
    bytes += 1;
    await hand.next();
  }
  t.is(silences, 0);
  await hand.next();
  t.is(silences, 1);
});

test("connection-nats: what the kernel takes into its own buffer is no sign of life; what it takes of a backlog is", (t) => {
  const socket = { bytesRead: 0, bytesWritten: 0, writableLength: 0 };
  const progress = progressOf(socket);
  const start = progress();
  socket.bytesWritten = 1_000;
  t.is(progress(), start, "all of it fitted into the buffer");
  socket.bytesWritten = 9_000;
  socket.writableLength = 5_000;
  const full = progress();
  socket.bytesWritten = 12_000;
  socket.writableLength = 8_000;
  t.is(progress(), full, "the buffer takes no more");
  socket.writableLength = 7_000;
  t.not(progress(), full, "the peer made room");
  const last = progress();
  socket.bytesRead = 1;
  t.not(progress(), last);
});

test("connection-nats: a process that was paused measures once more before it judges the broker", async (t) => {
  const hand = new HandClock();
  let answer: () => void = () => undefined;
  let silences = 0;
  const ping = () =>
    new Promise<void>((resolve) => {
      answer = resolve;
    });
  const onSilence = () => {
    silences += 1;
  };
  const pings = startPings(hand.clock, pace, { ping, progress: () => 0, onSilence });
  await hand.next();
  await hand.next(10_000);
  t.is(silences, 0, "it was this process that was late");
  answer();
  await Promise.resolve();
  await hand.next();
  t.is(silences, 0, "the answer was waiting to be read");
  await hand.next();
  await hand.next(10_000);
  await hand.next(10_000);
  t.is(silences, 1, "late again, and no answer: it is the broker");
  pings.cancel();
  t.is(hand.timers.length, 0);
});

for (const Outgoing of [PublishBuffer, PublishParts])
  test(`bus-nats: a subject cannot smuggle a command into ${Outgoing.name}`, (t) => {
    const outgoing = new Outgoing();
    const data = new Uint8Array();
    for (const subject of ["", "a b", "a\r\nPUB b 0\r\n", "a\tb"])
      t.throws(() => outgoing.put(subject, "", "", data), { name: "AssertionError" }, JSON.stringify(subject));
    t.throws(() => outgoing.put("a", "b c", "", data), { name: "AssertionError" });
    t.is(outgoing.length, 0);
  });

test("bus-nats: a browser's buffer holds the same bytes as a server's, and nothing of the caller's", (t) => {
  const [buffer, parts] = [new PublishBuffer(), new PublishParts()];
  const data = new TextEncoder().encode('{"name":"Zoë"}');
  for (const outgoing of [buffer, parts]) {
    outgoing.put("a.b", "_INBOX.x", "NATS/1.0\r\nTwinlog-Name: Zoë\r\n\r\n", data);
    outgoing.put("c", "", "", data.subarray(0, 0));
    t.true(outgoing.isFullFor(1_000_000) && !outgoing.isFullFor(1));
  }
  t.is(parts.length, buffer.length);
  data.fill(0);
  const taken = parts.take();
  t.deepEqual(Buffer.from(taken), buffer.take());
  t.is(taken.buffer.byteLength, taken.length, "a WebSocket is sent the whole of what is behind it");
  t.is(parts.take().length, 0);
});
