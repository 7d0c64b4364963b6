/** Replay by pages: each page goes on where the one before ended, and what was forgotten meanwhile is said (rule 13). */
import test from "ava";
import { answerReplay, ReplayPlaces, type ReplaySource } from "../../actors/application/replay.ts";
import type { Bus, BusMessage } from "../../actors/world/ports.ts";
import { recordKinds } from "../../machines/codec/record.ts";
import type { LogBatch } from "../../machines/log/batch.ts";
import { MemoryLog } from "../../machines/log/memory-log.ts";
import { ReplayEnd, replayHeaders } from "../../schemas/replay.ts";

function logOf(results: number): MemoryLog {
  const log = new MemoryLog();
  const empty = new Uint8Array(0);
  for (let sequence = 1; sequence <= results; sequence += 1) {
    const fixed = {
      ordinal: 0,
      epoch: 1,
      stampMs: 0,
      forgottenThrough: 0,
      bodyHash: 0,
      client: "c",
      key: "k",
      name: "",
    };
    const id = String(sequence);
    log.append({
      kind: recordKinds.final,
      ...fixed,
      sequence,
      resultNumber: sequence,
      id,
      effects: empty,
      reply: id,
      body: "",
    });
    if (sequence % 3 === 0) log.close();
  }
  log.close();
  return log;
}

async function page(from: number, limit: number, places: ReplayPlaces, log: MemoryLog, asked: number[], oldest = 1) {
  const results: string[] = [];
  let end: ReplayEnd | null = null;
  const bus = {
    publish: (_subject: string, data: Uint8Array, headers: Record<string, string>) => {
      const text = Buffer.from(data).toString();
      if (headers[replayHeaders.end] === undefined) results.push(text);
      else end = ReplayEnd.parse(JSON.parse(text));
      return true;
    },
  } as unknown as Bus;
  async function* batches(start: number): AsyncGenerator<LogBatch> {
    asked.push(start);
    yield* log.batches(Math.max(start, oldest), log.last);
  }
  const source: ReplaySource = {
    service: "s",
    history: "h",
    committed: log.last,
    start: 1,
    lastResult: () => log.last,
    batches,
  };
  const data = Buffer.from(JSON.stringify({ from, limit }));
  await answerReplay({ subject: "s.replay", data, reply: "inbox" } as BusMessage, bus, source, places);
  return { results, end: end as ReplayEnd | null };
}

test("pages follow each other without reading the log from its start again", async (t) => {
  const log = logOf(20);
  const places = new ReplayPlaces();
  const asked: number[] = [];
  const all: string[] = [];
  for (let from = 1; from <= 20; ) {
    const { results, end } = await page(from, 7, places, log, asked);
    all.push(...results);
    from = end?.next ?? 99;
  }
  t.deepEqual(
    all,
    Array.from({ length: 20 }, (_, index) => String(index + 1)),
  );
  t.deepEqual(asked, [1, 8, 15]);
});

test("a place whose records were dropped since is FORGOTTEN, not silence", async (t) => {
  const log = logOf(20);
  const places = new ReplayPlaces();
  await page(1, 7, places, log, []);
  const { results, end } = await page(8, 7, places, log, [], 12);
  t.deepEqual(results, []);
  t.is(end?.error?.code, "FORGOTTEN");
  t.is(end?.oldest, 12);
});

test("the places of another history are not used", async (t) => {
  const places = new ReplayPlaces();
  places.note(8, { history: "other", sequence: 500, oldest: 1 });
  const { results } = await page(8, 3, places, logOf(20), []);
  t.deepEqual(results, ["8", "9", "10"]);
});
