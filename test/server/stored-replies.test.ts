/** Replies that memory has let go of, read from a store's log (rule 12). */
import test from "ava";
import { readReplies } from "../../actors/stored-replies.ts";
import { logOfReplies } from "../helpers/log-of.ts";

/** Twelve records in batches of three, of which the disk has dropped the first. */
function stored() {
  const log = logOfReplies(Array.from({ length: 12 }, (_, at) => ({ reply: `reply ${at + 1}` })));
  const onDisk = [...log.batches(4, 12)];
  const readFrom: number[] = [];
  const checkpoint = {
    readBatch(sequence: number) {
      readFrom.push(sequence);
      return Promise.resolve(onDisk.find(({ first, last }) => first <= sequence && sequence <= last) ?? null);
    },
  };
  return { checkpoint, readFrom };
}

test("replies are read as they were given, each batch once", async (t) => {
  const { checkpoint, readFrom } = stored();
  const replies = await readReplies(checkpoint, [4, 6, 11]);
  t.deepEqual(
    [...replies].map(([sequence, bytes]) => [sequence, Buffer.from(bytes).toString()]),
    [4, 6, 11].map((sequence) => [sequence, `reply ${sequence}`]),
  );
  t.deepEqual(readFrom, [4, 11]);
});

test("what the disk has dropped, or never had, is not among them", async (t) => {
  const { checkpoint } = stored();
  const replies = await readReplies(checkpoint, [2, 5, 40]);
  t.deepEqual([...replies.keys()], [5]);
});
