/** Many clients at one primary (rule 15, situation 138): one takes all that it can get, and nobody else is refused for it. */
import test from "ava";
import * as fc from "fast-check";
import type { OwedReplies } from "../../machines/replica/primary/owed-replies.ts";
import type { Holding } from "../../machines/replica/primary/shares.ts";
import { primaryOf } from "../helpers/inside.ts";
import { runs } from "../helpers/property-runs.ts";
import { limits, Stage } from "./stage.ts";

const polite = Array.from({ length: 10 }, (_, at) => `polite${at}`);

function unconfirmed(stage: Stage): void {
  stage.cuts.add("beta>alpha");
}

function confirmed(stage: Stage): string[] {
  stage.cuts.clear();
  stage.tick(6);
  return stage.replies();
}

function insideOf(stage: Stage, primary = "alpha") {
  const { intake, commitment } = primaryOf(stage.replica(primary));
  const { replies, shares } = intake as unknown as {
    replies: OwedReplies;
    shares: { holdings: Map<string, Holding> };
  };
  return { intake, replies, commitment, holdings: shares.holdings };
}

/** As the application's process does: asks, and answers where it may. */
function query(stage: Stage, client: string, id: string, answerBytes: number): void {
  const alpha = stage.replica("alpha");
  const sender = { client, id, replyTo: id };
  const sequence = alpha.onQuery(sender, 1, stage.nowMs);
  if (sequence === null) return;
  const answer = JSON.stringify({ id, ok: true, sequence });
  alpha.onAnswer(sender, Buffer.from(answer.padEnd(answerBytes)), sequence, stage.nowMs);
}

const codes = (lines: string[]) => lines.map((line) => line.replace(/:? at .*/, ""));

test("one client has all that may be in flight, and ten others with two each are taken; it alone is busy", (t) => {
  const stage = Stage.normal({ replica: { limits: { ...limits, maxInFlight: 256 } } });
  unconfirmed(stage);
  for (let at = 0; at < 400; at += 1) stage.ask("alpha", `f${at}`, { client: "flood", isSlow: at % 2 === 0 });
  const { intake, holdings } = insideOf(stage);
  t.is(intake.inFlight, 256, "alone it has the whole limit");
  for (const client of polite) for (const id of [1, 2]) stage.ask("alpha", `${client}.${id}`, { client });
  t.is(intake.inFlight, 276);
  stage.ask("alpha", "more", { client: "flood" });
  t.is(holdings.get("flood")?.inFlight, 256);
  for (let at = 0; at < 256; at += 2) stage.finish("alpha", `f${at}`);
  const replies = confirmed(stage);
  const busy = replies.filter((line) => line.endsWith("BUSY"));
  t.is(busy.length, 145);
  t.true(busy.every((line) => line.startsWith("f") || line.startsWith("more")));
  t.is(replies.filter((line) => line.startsWith("polite") && line.includes("ok")).length, 20);
  t.is(holdings.size, 0, "who holds nothing is forgotten");
});

test("one client has all the bytes that may be unconfirmed, and others are taken", (t) => {
  const stage = Stage.normal({ replica: { limits: { ...limits, maxUnconfirmedBytes: 64 * 1024 } } });
  unconfirmed(stage);
  for (let at = 0; at < 600; at += 1) stage.ask("alpha", `f${at}`, { client: "flood" });
  stage.run();
  const { commitment, holdings } = insideOf(stage);
  const floodBytes = holdings.get("flood")?.openBytes ?? 0;
  t.is(floodBytes, commitment.openBytes);
  t.true(floodBytes >= 64 * 1024 && floodBytes < 66 * 1024, `${floodBytes}`);
  for (const client of polite) stage.do("alpha", client, { client });
  stage.do("alpha", "more", { client: "flood" });
  const replies = confirmed(stage);
  t.true(replies.includes("more: BUSY"));
  for (const client of polite)
    t.true(
      replies.some((line) => line.startsWith(`${client}: ok`)),
      client,
    );
  t.is(commitment.openBytes, 0);
  t.is(holdings.size, 0);
});

test("one client has all the refusals that may wait, and others are refused and answered all the same", (t) => {
  const stage = Stage.normal({
    replica: { limits: { ...limits, maxWaitingRefusals: 64, maxWaitingAnswerBytes: 100_000 } },
  });
  unconfirmed(stage);
  for (let at = 0; at < 200; at += 1) stage.ask("alpha", `f${at}`, { client: "flood", after: "unknown" });
  const { replies, holdings } = insideOf(stage);
  t.is(replies.waitingForProof, 64);
  for (const client of polite.slice(0, 3)) stage.ask("alpha", client, { client, after: "unknown" });
  for (const client of polite.slice(3, 6)) query(stage, client, client, 100);
  t.is(replies.waitingForProof, 70);
  t.deepEqual(codes(confirmed(stage)).slice(64), [
    ...polite.slice(0, 3).map((client) => `${client}: OUT_OF_ORDER`),
    ...polite.slice(3, 6).map((client) => `${client}: ok`),
  ]);
  unconfirmed(stage);
  for (let at = 0; at < 10; at += 1) query(stage, "flood", `q${at}`, 20_000);
  t.true(replies.bytesWaitingForProof < 100_000);
  for (const client of polite) query(stage, client, client, 1_000);
  t.deepEqual(
    codes(confirmed(stage)).filter((line) => line.startsWith("polite")),
    polite.map((client) => `${client}: ok`),
  );
  t.is(holdings.size, 0);
});

test("of one client that is turned away at the door a few are told so, with a proof, and others all the same", (t) => {
  const stage = Stage.normal({ replica: { limits: { ...limits, maxWaitingRefusals: 64 } } });
  const alpha = stage.replica("alpha");
  unconfirmed(stage);
  const turnAway = (client: string) => {
    if (alpha.tellsTurnedAway(client)) alpha.onTurnedAway({ client, id: client, replyTo: "r" }, stage.nowMs);
  };
  for (let at = 0; at < 100; at += 1) turnAway("flood");
  turnAway("a");
  t.deepEqual(stage.replies(), []);
  t.deepEqual(confirmed(stage), [...Array.from({ length: 8 }, () => "flood: BUSY"), "a: BUSY"]);
});

test("two that want all share it, whoever came first, once what is in flight has gone", (t) => {
  const stage = Stage.normal({ replica: { limits: { ...limits, maxInFlight: 170 } } });
  const { intake, holdings } = insideOf(stage);
  unconfirmed(stage);
  for (let at = 0; at < 200; at += 1) stage.ask("alpha", `a${at}`, { client: "a" });
  for (let at = 0; at < 200; at += 1) stage.ask("alpha", `b${at}`, { client: "b" });
  t.is(holdings.get("a")?.inFlight, 170);
  t.is(holdings.get("b")?.inFlight, 19, "eight times what is left of the eighth");
  confirmed(stage);
  unconfirmed(stage);
  for (let at = 0; at < 200; at += 1)
    for (const client of ["a", "b"]) stage.ask("alpha", `${client}+${at}`, { client });
  t.deepEqual([holdings.get("a")?.inFlight, holdings.get("b")?.inFlight], [90, 90], "9/17 of the limit");
  t.is(intake.inFlight, 180);
});

test("a resumed request, a copy that joins and one that waits for the commit are their client's", (t) => {
  const stage = Stage.normal({ replica: { limits: { ...limits, maxInFlight: 8 } } });
  stage.do("alpha", "1", { client: "a", isSlow: true });
  stage.transaction("alpha", "1", "part");
  stage.kill("alpha");
  stage.tellGone("alpha");
  stage.start("alpha");
  stage.tick(6);
  const { intake, holdings } = insideOf(stage, "beta");
  t.is(intake.inFlight, 0, "it was resumed, and is done");
  t.is(holdings.size, 0);
  stage.cuts.add("alpha>beta");
  stage.do("beta", "2", { client: "a", isSlow: true });
  for (let copy = 0; copy < 3; copy += 1) stage.do("beta", "2", { client: "a" });
  t.is(holdings.get("a")?.inFlight, 4);
  stage.finish("beta", "2");
  stage.do("beta", "2", { client: "a" });
  t.is(holdings.get("a")?.inFlight, 5);
});

const clients = ["flood", "a", "b", "c"];
const bound = {
  maxInFlight: 12,
  maxWaitingRefusals: 9,
  maxUnconfirmedBytes: 64 * 1024,
  maxWaitingAnswerBytes: 64 * 1024,
};
const step = fc.record({
  kind: fc.constantFrom("ask", "ask", "ask", "slow", "copy", "refuse", "query", "finish", "hear", "tick"),
  client: fc.constantFrom("flood", "flood", ...clients),
  bytes: fc.integer({ min: 10, max: 30_000 }),
});

test("whatever comes: holdings add up, an eighth above each limit is never passed, and who holds nothing is taken below that", (t) => {
  t.timeout(120_000);
  const property = fc.property(fc.array(step, { minLength: 40, maxLength: 200 }), (steps) => {
    const stage = Stage.normal({ replica: { limits: { ...limits, ...bound } } });
    const { intake, replies, commitment, holdings } = insideOf(stage);
    unconfirmed(stage);
    let made = 0;
    for (const { kind, client, bytes } of steps) {
      const [before, held] = [intake.inFlight, holdings.get(client)?.inFlight ?? 0];
      const openBytes = commitment.openBytes;
      if (kind === "ask" || kind === "slow") {
        made += 1;
        const { last } = stage.replica("alpha").log;
        stage.ask("alpha", `${made}`, { client, isSlow: kind === "slow", replyTo: bytes % 9 === 0 ? "" : "r" });
        const isTaken = stage.replica("alpha").log.last > last || intake.inFlight > before;
        const isFree = before < (bound.maxInFlight * 9) / 8 && openBytes < bound.maxUnconfirmedBytes;
        if (held === 0 && isFree && !isTaken) return false;
        if (before < bound.maxInFlight && isFree && !isTaken) return false;
      } else if (kind === "copy") stage.ask("alpha", `${made}`, { client });
      else if (kind === "refuse") stage.ask("alpha", `x${made}`, { client, after: "unknown" });
      else if (kind === "query") query(stage, client, "q", bytes);
      else if (kind === "tick") stage.tick();
      else if (kind === "hear") {
        stage.cuts.clear();
        stage.tick(3);
        unconfirmed(stage);
      } else {
        const [id] = stage.server("alpha").slow.keys();
        if (id !== undefined) stage.finish("alpha", id);
      }
      const sum = (of: (holding: Holding) => number) => [...holdings.values()].reduce((all, one) => all + of(one), 0);
      t.is(
        sum(({ inFlight }) => inFlight),
        intake.inFlight,
      );
      t.is(
        sum(({ answers }) => answers),
        replies.waitingForProof,
      );
      t.is(
        sum(({ answerBytes }) => answerBytes),
        replies.bytesWaitingForProof,
      );
      t.is(
        sum((one) => one.openBytes - one.turnBytes),
        commitment.openBytes,
      );
      t.true(intake.inFlight < (bound.maxInFlight * 9) / 8 + 1);
      t.true(replies.waitingForProof < (bound.maxWaitingRefusals * 9) / 8 + 1);
    }
    for (const id of stage.server("alpha").slow.keys()) stage.finish("alpha", id);
    confirmed(stage);
    return holdings.size === 0 && intake.inFlight === 0;
  });
  t.notThrows(() => fc.assert(property, { numRuns: runs(60) }));
});
