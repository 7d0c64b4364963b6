/** What is larger than the broker takes: a stand-in and pieces for whoever asked; and what comes of the pieces (rule 13, 15). */
import test from "ava";
import * as fc from "fast-check";
import { publishInPieces, publishReply } from "../../actors/application/pieces.ts";
import { answerReplay, ReplayPlaces, type ReplaySource } from "../../actors/application/replay.ts";
import { ReplayPace } from "../../actors/application/replay-pace.ts";
import { PieceCollector } from "../../actors/client/pieces.ts";
import type { BusHeaders, BusMessage } from "../../actors/world/ports.ts";
import { headers, Reply } from "../../schemas/envelope.ts";
import { pieceHeaders } from "../../schemas/pieces.ts";
import { replayHeaders } from "../../schemas/replay.ts";
import { TestBus, TestClock } from "../helpers/hand-world.ts";
import { logOfReplies, replyOf } from "../helpers/log-of.ts";

function smallBus(payloadBytes: number): TestBus {
  const bus = new TestBus(new TestClock());
  bus.limits = { payloadBytes, lineBytes: 4_096 };
  return bus;
}

/** As whoever collects them has it. */
function collected(messages: readonly { data: Uint8Array; headers?: BusHeaders | undefined }[]): string[] {
  const collector = new PieceCollector();
  return messages.flatMap(({ data, headers: given }) => {
    const piece = given?.[pieceHeaders.piece];
    const whole = piece === undefined ? data : collector.take(given?.[pieceHeaders.of] ?? "", piece, data);
    return whole === null ? [] : [Buffer.from(whole).toString()];
  });
}

test("a reply that the broker takes goes whole, with nothing beside it", (t) => {
  const bus = smallBus(10_000);
  t.is(publishReply(bus, "inbox", Buffer.from(replyOf("1", 5_000))), "whole");
  t.is(bus.published.length, 1);
  t.is(bus.published[0]?.headers, undefined);
});

test("a reply larger than the broker takes: a stand-in that is no final answer, then the stored bytes in pieces (situation 58)", (t) => {
  const bus = smallBus(1_000);
  const reply = replyOf("1", 5_000);
  t.is(publishReply(bus, "inbox", Buffer.from(reply), { [headers.duplicate]: "1" }), "omitted");
  const [standIn, ...pieces] = bus.published;
  t.is(standIn?.headers?.[headers.omitted], "1");
  const told = Reply.parse(JSON.parse(Buffer.from(standIn?.data ?? "").toString()));
  t.like(told, { client: "c", id: "1", ok: false, error: { code: "REPLY_OMITTED", executed: true } });
  t.true(pieces.length > 1);
  for (const { subject, headers: given } of pieces) {
    t.is(subject, "inbox");
    t.is(given?.[headers.duplicate], "1");
    t.is(given?.[headers.result], undefined);
  }
  t.deepEqual(collected(pieces), [reply]);
});

test("a reply to a subject that the broker does not take is not sent, in pieces neither (situation 58)", (t) => {
  const bus = smallBus(100_000);
  t.is(publishReply(bus, `inbox.${"x".repeat(5_000)}`, Buffer.from(replyOf("1"))), "lost");
  t.deepEqual(bus.published, []);
});

test("pieces of any message, for any limit of the broker, are its bytes", (t) => {
  const property = fc.property(
    fc.uint8Array({ maxLength: 3_000 }),
    fc.integer({ min: 200, max: 4_000 }),
    (bytes, limit) => {
      const bus = smallBus(limit);
      if (!publishInPieces(bus, "inbox", bytes)) return bytes.length === 0 || limit < 100;
      const wholes = collected(bus.published);
      return bytes.length === 0
        ? wholes.length === 0
        : wholes[0] === Buffer.from(bytes).toString() && wholes.length === 1;
    },
  );
  t.notThrows(() => fc.assert(property, { numRuns: 200 }));
});

test("a piece that is missing, doubled or of another message: nothing comes out that is not whole", (t) => {
  const at = (text: string) => Buffer.from(text);
  const collector = new PieceCollector();
  t.is(collector.take("1", "1/3", at("a")), null);
  t.is(collector.take("1", "3/3", at("c")), null, "one is missing");
  t.is(collector.take("1", "2/3", at("b")), null, "it has begun anew");
  t.is(collector.take("2", "1/2", at("x")), null);
  t.is(collector.take("1", "2/2", at("y")), null, "of another message");
  for (const name of ["0/1", "2/1", "1", "", "1/0", "a/b", "1/2/3"])
    t.is(collector.take("3", name, at("z")), null, name);
  t.is(collector.take("4", "1/2", at("p")), null);
  t.is(Buffer.from(collector.take("4", "2/2", at("q")) ?? "").toString(), "pq");
});

test("a replay gives a result that the broker does not take whole in pieces, in its place (situation 58)", async (t) => {
  const replies = [replyOf("1"), replyOf("2", 9_000), replyOf("3")];
  const log = logOfReplies(replies.map((reply) => ({ reply })));
  const bus = smallBus(1_000);
  const source: ReplaySource = {
    service: "s",
    history: "h",
    committed: 3,
    start: 0,
    ancestors: [],
    lastResult: () => 3,
    async *batches(from) {
      yield* log.batches(from, log.last);
    },
  };
  const message = { subject: "s.replay", data: Buffer.from('{"from":1}'), reply: "inbox" } as BusMessage;
  const clock = new TestClock();
  const means = { places: new ReplayPlaces(), pace: new ReplayPace(clock, 1_000_000), goesOn: () => true };
  const answered = answerReplay(message, bus, source, means);
  await clock.run(0);
  await answered;
  const results = bus.published.filter(({ headers: given }) => given?.[replayHeaders.end] === undefined);
  t.deepEqual(collected(results), replies);
  const pieces = results.filter(({ headers: given }) => given?.[pieceHeaders.piece] !== undefined);
  for (const { headers: given } of pieces) {
    t.is(given?.[pieceHeaders.of], "2");
    t.is(given?.[headers.result], undefined, "a piece is not the result");
    t.is(given?.[headers.history], "h");
    t.is(given?.[replayHeaders.subject], "s.result.k.c");
  }
  t.is(bus.published.at(-1)?.headers?.[replayHeaders.end], "4");
});
