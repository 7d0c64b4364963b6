/** What strangers can make the failsafe link say in the log: a line a minute of each kind, and no byte of theirs. */

import { crc32 } from "node:zlib";
import test from "ava";
import type { NatsLine } from "../../actors/world/connection-nats.ts";
import { NatsLink } from "../../actors/world/link-nats.ts";
import { subjects } from "../../schemas/subjects.ts";
import { TestBus, TestClock } from "../helpers/hand-world.ts";
import { keptLog } from "../helpers/kept-log.ts";

function framed(name: string, version = 1): Buffer {
  const message = Buffer.concat([Buffer.alloc(6), Buffer.from(name), Buffer.from("frame")]);
  message[4] = version;
  message[5] = Buffer.byteLength(name);
  message.writeUInt32LE(crc32(message.subarray(4)), 0);
  return message;
}

async function setup() {
  const clock = new TestClock(1);
  const log = keptLog();
  const bus = new TestBus(clock);
  const line = Object.assign(bus, {
    onState: () => ({ stop: () => undefined }),
    acquire: () => undefined,
    ready: async () => undefined,
  }) as unknown as NatsLine;
  const link = new NatsLink({
    service: "s",
    server: "alpha",
    servers: ["alpha", "beta"],
    line,
    onDeath: (_peer, life) => life === "known",
    maxBufferedBytes: 1_000,
    clock,
    log,
  });
  const frames: string[] = [];
  await link.start({ onUp: () => {}, onDown: () => {}, onFrame: (_, frame) => frames.push(String(frame)) });
  return { clock, log, bus, frames };
}

test("messages in strangers' names are told once a minute, and not by those names", async (t) => {
  const { clock, log, bus, frames } = await setup();
  const to = subjects.actor("s", "alpha", "replication");
  for (let nth = 0; nth < 100; nth += 1) bus.publish(to, framed(`stranger-${nth}`));
  bus.publish(to, framed("beta"));
  await clock.run(100);
  t.is(frames.length, 1);
  t.is(log.lines.length, 1);
  t.false(log.lines[0]?.includes("stranger"));
  await clock.run(60_000);
  bus.publish(to, framed("beta", 9));
  await clock.run(100);
  t.regex(log.lines[1] ?? "", /"peer":"beta","version":9,"leftOut":99/);
});

test("the same notice of a death, again and again, is told once a minute", async (t) => {
  const { clock, log, bus } = await setup();
  const notice = Buffer.from(JSON.stringify({ server: "beta", life: "known" }));
  for (let nth = 0; nth < 100; nth += 1) bus.publish(subjects.deaths("s", "alpha"), notice);
  await clock.run(100);
  t.is(log.lines.length, 1);
  await clock.run(60_000);
  bus.publish(subjects.deaths("s", "alpha"), notice);
  await clock.run(100);
  t.regex(log.lines[1] ?? "", /"leftOut":99/);
});
