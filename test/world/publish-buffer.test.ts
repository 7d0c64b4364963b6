/** The publishes of a turn in one write (publish-buffer.ts): the bytes, and that blocks are used up before there is another. */
import test from "ava";
import { PublishBuffer } from "../../actors/world/publish-buffer.ts";
import { bytesOf, patternBytes } from "../conformance/rig.ts";

const line = (subject: string, body: string) => `PUB ${subject} ${body.length}\r\n${body}\r\n`;

test("what is put in is taken in its order, once, and stays as it is whatever is put in later", (t) => {
  const buffer = new PublishBuffer();
  buffer.put("a", "", "", bytesOf("one"));
  buffer.put("b", "", "", bytesOf("two"));
  const first = buffer.take();
  t.is(buffer.length, 0);
  buffer.put("c", "", "", bytesOf("three"));
  t.is(buffer.length, line("c", "three").length);
  buffer.drop();
  buffer.put("d", "", "", bytesOf("four"));
  const second = buffer.take();
  t.is(first.toString(), line("a", "one") + line("b", "two"));
  t.is(second.toString(), line("d", "four"));
});

test("a block serves many turns, and the next one goes on with what did not fit", (t) => {
  const buffer = new PublishBuffer();
  const blocks = new Set<ArrayBufferLike>();
  const turns = 1_000;
  const taken: Buffer[] = [];
  for (let turn = 0; turn < turns; turn += 1) {
    for (const part of [0, 1]) buffer.put("s", "", "", patternBytes(500, turn * 2 + part));
    const bytes = buffer.take();
    blocks.add(bytes.buffer);
    taken.push(bytes);
  }
  t.true(blocks.size >= 7 && blocks.size <= 9, `${blocks.size} blocks of 128 KiB for 1 MB`);
  const frame = "PUB s 500\r\n".length;
  for (const [turn, bytes] of taken.entries())
    for (const part of [0, 1]) {
      const at = part * (frame + 502) + frame;
      t.is(Buffer.compare(bytes.subarray(at, at + 500), patternBytes(500, turn * 2 + part)), 0);
    }
});

test("a message that is larger than a block is put in whole, behind what waits", (t) => {
  const buffer = new PublishBuffer();
  const large = patternBytes(300_000, 1);
  buffer.put("a", "", "", bytesOf("one"));
  t.true(buffer.isFullFor(large.length));
  buffer.put("b", "", "", large);
  const bytes = buffer.take();
  t.is(bytes.subarray(0, line("a", "one").length).toString(), line("a", "one"));
  t.is(Buffer.compare(bytes.subarray(-300_002, -2), large), 0);
});
