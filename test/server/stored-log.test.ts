/** The committed log for replay while memory lets go of it: whoever reads it slowly goes on from the disk (rule 13). */
import test from "ava";
import type { Checkpoint } from "../../actors/checkpoint/checkpoint.ts";
import { wholeLog } from "../../actors/stored-log.ts";
import { logOfReplies } from "../helpers/log-of.ts";

test("batches that memory lets go of while the log is read are read from the disk, and none is kept for the reader", async (t) => {
  const log = logOfReplies(Array.from({ length: 12 }, (_, at) => ({ reply: String(at + 1) })));
  const onDisk = [...log.batches(1, 12)];
  const readFrom: number[] = [];
  const checkpoint = {
    async *readLog(from: number) {
      readFrom.push(from);
      yield* onDisk.filter(({ first }) => first >= from);
    },
  } as unknown as Checkpoint;
  const got: number[] = [];
  for await (const { first, last } of wholeLog(checkpoint, log, 1, 11)) {
    got.push(first, last);
    if (first === 1) log.trim(6, 0);
  }
  t.deepEqual(got, [1, 3, 4, 6, 7, 9, 10, 11], "dense, and through the commit point");
  t.deepEqual(readFrom, [4]);
});
