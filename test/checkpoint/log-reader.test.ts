/** Records for joiners from the disk: one pass for each, which goes on where it is asked for what comes next. */
import test from "ava";
import { LogReader } from "../../actors/replication/log-reader.ts";
import type { LogBatch } from "../../machines/log/batch.ts";
import { logOfReplies } from "../helpers/log-of.ts";

/** Thirty records in batches of three; the disk has those through `disk.end`, and counts the passes over it. */
function begun(pieces = 2) {
  const log = logOfReplies(Array.from({ length: 30 }, () => ({ reply: "12345" })));
  const all = [...log.batches(1, 30)];
  const disk = { from: 1, end: 30, begun: [] as number[], ended: 0 };
  const readLog = async function* (from: number): AsyncGenerator<LogBatch> {
    disk.begun.push(from);
    const { end } = disk;
    try {
      yield* log.batches(Math.max(from, disk.from), end);
    } finally {
      disk.ended += 1;
    }
  };
  const largest = Math.max(...all.map(({ bytes }) => bytes.length));
  const reader = new LogReader({ readLog }, pieces * largest);
  const read = async (from: number, session = "s1", peer = "beta") =>
    (await reader.read(peer, session, from)).map(({ first, last }) => `${first}-${last}`);
  return { disk, reader, read };
}

test("pieces follow one another in one pass, wherever in them the next one begins", async (t) => {
  const { disk, read } = begun();
  t.deepEqual(await read(1), ["1-3", "4-6"]);
  t.deepEqual(await read(7), ["7-9", "10-12"]);
  t.deepEqual(await read(8), ["8-9", "10-12"], "the link took one record of it");
  t.deepEqual(await read(12), ["12-12", "13-15"]);
  t.deepEqual(disk.begun, [1]);
});

test("a batch that is larger than a piece comes alone", async (t) => {
  const { read } = begun(0.5);
  t.deepEqual(await read(1), ["1-3"]);
  t.deepEqual(await read(4), ["4-6"]);
});

test("what is behind, ahead, or of another session is read anew; other joiners have passes of their own", async (t) => {
  const { disk, read } = begun();
  await read(1);
  await read(7);
  t.deepEqual(await read(4), ["4-6", "7-9"], "sent again");
  t.deepEqual(await read(20), ["20-21", "22-24"]);
  t.deepEqual(await read(22, "s2"), ["22-24", "25-27"]);
  t.deepEqual(await read(22, "s9", "gamma"), ["22-24", "25-27"]);
  t.deepEqual(disk.begun, [1, 4, 20, 22, 22]);
  t.is(disk.ended, 3);
});

test("where a pass has ended the disk is looked at anew: it may have more by now, or nothing", async (t) => {
  const { disk, read } = begun();
  disk.end = 9;
  await read(1);
  t.deepEqual(await read(7), ["7-9"]);
  t.deepEqual(await read(10), []);
  disk.end = 30;
  t.deepEqual(await read(10), ["10-12", "13-15"]);
  disk.from = 22;
  t.deepEqual(
    await read(5),
    ["22-24", "25-27"],
    "the oldest that there is: whoever asked sees that it is not what he wants",
  );
});

test("a pass that nobody asks for ends, and so do all at the end", async (t) => {
  const { disk, reader, read } = begun();
  await read(1);
  await read(1, "s9", "gamma");
  for (let tick = 0; tick < 10; tick += 1) reader.onTick();
  await read(7);
  reader.onTick();
  await read(13);
  t.deepEqual([disk.begun, disk.ended], [[1, 1], 1]);
  reader.stop();
  await read(19);
  t.deepEqual([disk.begun, disk.ended], [[1, 1, 19], 2]);
});
