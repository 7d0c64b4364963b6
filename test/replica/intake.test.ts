/** Requests at a server's door, and what may leave when: duplicates, order, limits, proofs, attempts, resumed requests (rules 5, 11, 12, 15, 16, 17). */

import test from "ava";
import { RecordReader, recordKinds } from "../../machines/codec/record.ts";
import type { OwedReplies } from "../../machines/replica/primary/owed-replies.ts";
import { shippedRules } from "../../machines/replica/rules.ts";
import { inside, primaryOf } from "../helpers/inside.ts";
import { limits, Stage } from "./stage.ts";

/** Alpha hears nothing of beta: nothing is confirmed, nothing proved. */
function unconfirmed(stage: Stage): void {
  stage.cuts.add("beta>alpha");
}

test("a duplicate of a done request gets the same bytes and is not run again (rule 12)", (t) => {
  const stage = Stage.normal();
  stage.do("alpha", "1");
  stage.do("alpha", "1", { resend: true });
  const [first, again] = stage.given;
  t.is(first?.text, again?.text);
  t.deepEqual([first?.duplicate, again?.duplicate], [false, true]);
  t.is(stage.replica("alpha").log.last, 1);
});

test("a duplicate of a request that is done and not committed waits for the commit (rule 5, situation 6)", (t) => {
  const stage = Stage.normal();
  unconfirmed(stage);
  stage.do("alpha", "1");
  stage.do("alpha", "1");
  t.deepEqual(stage.replies(), []);
  stage.cuts.clear();
  stage.tick(6);
  t.deepEqual(stage.replies(), ["1: ok at 1", "1: ok at 1 again"]);
});

test("copies that join a request, or wait for its commit, are in flight: past the limit they are refused (rule 15)", (t) => {
  const stage = Stage.normal({ replica: { limits: { ...limits, maxInFlight: 4 } } });
  const { intake } = primaryOf(stage.replica("alpha"));
  stage.do("alpha", "1", { isSlow: true });
  for (let copy = 0; copy < 9; copy += 1) stage.do("alpha", "1");
  t.is(intake.inFlight, 4);
  stage.tick();
  t.deepEqual(
    stage.replies(),
    Array.from({ length: 6 }, () => "1: BUSY"),
  );
  unconfirmed(stage);
  stage.finish("alpha", "1");
  for (let copy = 0; copy < 9; copy += 1) stage.do("alpha", "1");
  t.is(intake.inFlight, 4, "the same while its record is not committed");
  stage.cuts.clear();
  stage.tick(6);
  t.is(intake.inFlight, 0);
});

test("a duplicate of a running request joins it and is answered with it (rule 12, situation 10)", (t) => {
  const stage = Stage.normal();
  stage.do("alpha", "1", { isSlow: true });
  stage.do("alpha", "1");
  stage.do("alpha", "2");
  t.deepEqual(stage.replies(), ["2: ok at 1"]);
  stage.finish("alpha", "1");
  t.deepEqual(stage.replies(), ["1: ok at 2", "1: ok at 2 again"]);
});

test("a duplicate of a request that waits behind its attempt record joins it (rules 12, 17)", (t) => {
  const stage = Stage.normal();
  unconfirmed(stage);
  stage.do("alpha", "1", { resend: true });
  stage.do("alpha", "1", { resend: true });
  t.is(stage.replica("alpha").log.last, 1, "one attempt record");
  stage.cuts.clear();
  stage.tick(6);
  t.deepEqual(stage.replies(), ["1: ok at 2", "1: ok at 2 again"]);
});

test("another body under a known id is refused, whether that is done, running, queued or begun (rule 12, situation 33)", (t) => {
  const stage = Stage.normal();
  stage.do("alpha", "done");
  stage.do("alpha", "running", { isSlow: true });
  stage.server("alpha").isStuck = true;
  stage.do("alpha", "queued", { resend: true });
  stage.do("alpha", "begun", { isSlow: true });
  stage.transaction("alpha", "begun", "first");
  stage.replies();
  for (const id of ["done", "running", "queued", "begun"]) stage.do("alpha", id, { bodyHash: 2 });
  stage.tick();
  t.deepEqual(
    stage.replies(),
    ["done", "running", "queued", "begun"].map((id) => `${id}: ID_REUSED`),
  );
});

test("a begun request that another server took over is known by its body too (rule 12)", (t) => {
  const stage = Stage.normal();
  stage.do("alpha", "1", { isSlow: true });
  stage.transaction("alpha", "1", "first");
  stage.server("beta").isStuck = true;
  stage.kill("alpha");
  stage.tellGone("alpha");
  stage.do("beta", "1", { bodyHash: 2 });
  t.deepEqual(stage.replies(), ["1: ID_REUSED"]);
});

test("a request that was only attempted is known by its body too (rules 12, 17)", (t) => {
  const stage = Stage.normal();
  stage.server("alpha").isStuck = true;
  stage.do("alpha", "1", { resend: true });
  stage.kill("alpha");
  stage.tellGone("alpha");
  stage.do("beta", "1", { bodyHash: 2 });
  stage.do("beta", "1");
  t.deepEqual(stage.replies(), ["1: ID_REUSED", "1: ok at 3"]);
});

test("a request that was tried keeps the trace context of its first record, whatever a copy says of it", (t) => {
  const stage = Stage.normal();
  const [first, other] = ["b7-01", "b9-00"].map((end) => `00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902${end}`);
  stage.server("alpha").isStuck = true;
  stage.do("alpha", "1", { resend: true, traceparent: first ?? "" });
  stage.kill("alpha");
  stage.tellGone("alpha");
  stage.do("beta", "1", { resend: true, traceparent: other ?? "" });
  stage.do("beta", "2", { traceparent: other ?? "" });
  const { log } = stage.replica("beta");
  const told: string[] = [];
  for (const { bytes } of log.batches(1, log.last)) {
    const reader = new RecordReader(bytes);
    do if (reader.client !== "") told.push(`${reader.id} ${reader.kind} ${reader.traceparent}`);
    while (reader.next());
  }
  const { attempt, final } = recordKinds;
  t.deepEqual([...new Set(told)], [`1 ${attempt} ${first}`, `1 ${final} ${first}`, `2 ${final} ${other}`]);
});

test("clients do not share ids", (t) => {
  const stage = Stage.normal();
  stage.do("alpha", "1", { client: "a" });
  stage.do("alpha", "1", { client: "b", bodyHash: 2 });
  t.deepEqual(stage.replies(), ["1: ok at 1", "1: ok at 2"]);
});

test("a request runs only when the one that it names is done, running or begun here (rule 11)", (t) => {
  const stage = Stage.normal();
  stage.do("alpha", "2", { after: "1" });
  stage.tick();
  t.deepEqual(stage.replies(), ["2: OUT_OF_ORDER"]);
  stage.do("alpha", "1", { isSlow: true });
  stage.transaction("alpha", "1", "part");
  stage.do("alpha", "2", { after: "1" });
  t.deepEqual(stage.replies(), ["2: ok at 2"]);
  stage.do("alpha", "3", { after: "2" });
  t.deepEqual(stage.replies(), ["3: ok at 3"]);
  stage.do("alpha", "4", { after: "3", client: "other" });
  stage.tick();
  t.deepEqual(stage.replies(), ["4: OUT_OF_ORDER"], "another client's request is not meant");
});

test("a request waits until the one that it names is on record, and others do not (rule 11, invariant 9)", (t) => {
  const stage = Stage.normal();
  stage.do("alpha", "1", { isSlow: true });
  stage.do("alpha", "2", { after: "1" });
  stage.do("alpha", "3", { after: "2" });
  stage.do("alpha", "other");
  t.deepEqual(stage.replies(), ["other: ok at 1"]);
  stage.do("alpha", "2", { after: "1" });
  stage.transaction("alpha", "1", "part");
  t.deepEqual(stage.replies(), ["2: ok at 3", "2: ok at 3 again", "3: ok at 4"]);
  stage.do("alpha", "4", { isSlow: true });
  stage.do("alpha", "5", { after: "4" });
  stage.finish("alpha", "4");
  t.deepEqual(stage.replies(), ["4: ok at 5", "5: ok at 6"]);
  // What was held is lost with the role, as all that is in flight.
  stage.do("alpha", "6", { isSlow: true });
  stage.do("alpha", "7", { after: "6" });
  stage.kill("alpha");
  stage.tellGone("alpha");
  stage.do("beta", "7", { after: "6" });
  t.deepEqual(stage.replies(), ["7: OUT_OF_ORDER"]);
});

test("a request at or below the floor is refused as expired and not run; the floor is the highest stamp of its client's that was forgotten (rule 12, situation 32)", (t) => {
  const stage = Stage.normal({ replica: { limits: { ...limits, rememberReplies: 10, rememberMs: 30 * 86_400_000 } } });
  const issuedAtMs = (request: number) => 900_000 + request;
  for (let request = 1; request <= 40; request += 1)
    stage.do("alpha", `${request}`, { issuedAtMs: issuedAtMs(request) });
  stage.replies();
  for (const name of ["alpha", "beta"]) {
    const { done } = inside(stage.replica(name)).core.applied.requests;
    t.true(done.count < 20, name);
    t.true(done.floors.floorFor("c", shippedRules) >= issuedAtMs(20), name);
  }
  stage.tick(2);
  const { floors } = inside(stage.replica("alpha")).core.applied.requests.done;
  t.deepEqual(
    floors.saved,
    inside(stage.replica("beta")).core.applied.requests.done.floors.saved,
    "all forget the same",
  );
  const floorMs = floors.floorFor("c", shippedRules);
  const { last } = stage.replica("alpha").log;
  stage.do("alpha", "1", { issuedAtMs: issuedAtMs(1) });
  stage.do("alpha", "new", { issuedAtMs: floorMs });
  stage.tick();
  t.deepEqual(stage.replies(), ["1: EXPIRED", "new: EXPIRED"]);
  t.is(stage.replica("alpha").log.last, last);
  stage.do("alpha", "newer", { issuedAtMs: floorMs + 1 });
  stage.do("alpha", "unstamped");
  t.deepEqual(
    stage.replies().map((line) => line.split(" ")[1]),
    ["ok", "ok"],
  );
});

test("one client's clock is nine minutes fast: when its request is forgotten, everybody else is served as before, on the next primary too, and nothing is done twice (rule 12, situation 57)", (t) => {
  const stage = Stage.normal({ replica: { limits: { ...limits, rememberReplies: 10, rememberMs: 30 * 86_400_000 } } });
  const fastMs = stage.wallMs + 540_000;
  stage.do("alpha", "1", { client: "fast", issuedAtMs: fastMs });
  const ask = (name: string, from: number, count: number) => {
    for (let request = from; request < from + count; request += 1)
      stage.do(name, `${request}`, { issuedAtMs: stage.wallMs + request });
  };
  ask("alpha", 1, 30);
  stage.tick(2);
  t.true(stage.replies().every((line) => line.includes(": ok")));
  stage.kill("alpha");
  stage.tellGone("alpha");
  ask("beta", 31, 5);
  stage.tick(4);
  t.true(stage.replies().every((line) => line.includes(": ok")));
  stage.do("beta", "1", { client: "fast", issuedAtMs: fastMs, resend: true });
  stage.do("beta", "2", { client: "fast", issuedAtMs: fastMs + 1 });
  stage.tick(4);
  t.deepEqual(
    stage.replies().map((line) => line.split(" at ")[0]),
    ["1: EXPIRED", "2: ok"],
  );
});

test("more clients ahead of the clock than floors are kept are refused, and nobody else is; a new primary counts them too (rule 12, situation 57)", (t) => {
  const few = { ...limits, rememberReplies: 10, rememberMs: 30 * 86_400_000, rememberClients: 6, skewMs: 0 };
  const stage = Stage.normal({ replica: { limits: few } });
  const wild = (name: string, from: number) => {
    for (let client = from; client < from + 6; client += 1)
      stage.do(name, "1", { client: `wild${client}`, issuedAtMs: stage.wallMs + 60_000 + client });
    stage.tick(4);
    return stage.replies().map((line) => line.split(" ")[1]);
  };
  t.deepEqual(wild("alpha", 1), ["ok", "ok", "ok", "INVALID_REQUEST", "INVALID_REQUEST", "INVALID_REQUEST"]);
  for (let request = 1; request <= 40; request += 1)
    stage.do("alpha", `${request}`, { client: `right${request % 9}`, issuedAtMs: stage.wallMs - 40 + request });
  stage.tick(2);
  t.true(stage.replies().every((line) => line.includes(": ok")));
  stage.kill("alpha");
  stage.tellGone("alpha");
  t.deepEqual(
    wild("beta", 4),
    Array.from({ length: 6 }, () => "INVALID_REQUEST"),
  );
  stage.do("beta", "right", { issuedAtMs: stage.wallMs });
  stage.tick(4);
  t.is(stage.replies().length, 1);
  stage.wallMs += 60_010;
  t.deepEqual(
    wild("beta", 11),
    ["ok", "ok", "ok", "INVALID_REQUEST", "INVALID_REQUEST", "INVALID_REQUEST"],
    "the clock has passed the first ones",
  );
});

test("a stamp too far in the future is refused, with a proof: another server's clock may say otherwise (rules 5, 12, situation 43)", (t) => {
  const stage = Stage.normal();
  unconfirmed(stage);
  const limit = stage.wallMs + limits.maxFutureMs;
  stage.do("alpha", "1", { issuedAtMs: limit + 1 });
  t.deepEqual(stage.replies(), [], "a deposed server may not say it of what the new primary ran");
  stage.cuts.clear();
  stage.tick(2);
  t.deepEqual(stage.replies(), ["1: INVALID_REQUEST"]);
  stage.do("alpha", "2", { issuedAtMs: limit });
  stage.tick(6);
  t.deepEqual(stage.replies(), ["2: ok at 1"]);
});

test("nobody is answered who gave no subject for it, whatever is said of the request", (t) => {
  const stage = Stage.normal();
  const quiet = { replyTo: "" };
  stage.do("alpha", "1", quiet);
  stage.do("alpha", "1", quiet);
  stage.do("alpha", "1", { ...quiet, bodyHash: 2 });
  stage.do("alpha", "2", { ...quiet, issuedAtMs: stage.wallMs + limits.maxFutureMs + 1_000 });
  stage.do("alpha", "3", { ...quiet, after: "unknown" });
  stage.tick(2);
  t.deepEqual(stage.given, []);
  stage.do("alpha", "1");
  t.deepEqual(stage.replies(), ["1: ok at 1 again"]);
});

test("past its limits a server is busy, and not once it is less (rule 15)", (t) => {
  const stage = Stage.normal({ replica: { limits: { ...limits, maxInFlight: 2 } } });
  for (const id of ["1", "2", "3"]) stage.do("alpha", id, { isSlow: true });
  stage.tick();
  t.deepEqual(stage.replies(), ["3: BUSY"]);
  stage.finish("alpha", "1");
  stage.do("alpha", "3");
  t.deepEqual(
    stage.replies().map((line) => line.split(" ")[0]),
    ["1:", "3:"],
  );
  t.is(stage.replica("alpha").onPause(true, undefined, stage.nowMs), null);
  stage.do("alpha", "4");
  stage.do("alpha", "3");
  stage.tick();
  t.deepEqual(stage.replies(), ["4: BUSY", "3: ok at 2 again"], "what is known is answered");
  stage.replica("alpha").onPause(false, undefined, stage.nowMs);
  stage.do("alpha", "4");
  t.deepEqual(stage.replies(), ["4: ok at 3"]);
});

test("a pause ends with the role: who is the primary again takes requests", (t) => {
  const stage = Stage.normal();
  stage.replica("alpha").onPause(true, undefined, stage.nowMs);
  for (const name of ["alpha", "beta"]) {
    t.is(stage.replica(name).onSwitch(stage.nowMs), null);
    stage.tick(4);
  }
  t.deepEqual(stage.states(), ["hot.normal", "following.warm"]);
  stage.replies();
  stage.do("alpha", "1");
  t.deepEqual(stage.replies(), ["1: ok at 1"]);
});

test("too much unconfirmed is busy too (rule 10)", (t) => {
  const stage = Stage.normal({ replica: { limits: { ...limits, maxUnconfirmedBytes: 200 } } });
  unconfirmed(stage);
  for (const id of ["1", "2", "3"]) stage.do("alpha", id);
  t.true(stage.replica("alpha").log.last < 3);
  stage.cuts.clear();
  stage.tick(6);
  t.true(stage.replies().includes("3: BUSY"));
  stage.do("alpha", "3");
  t.deepEqual(
    stage.replies().map((line) => line.slice(0, 5)),
    ["3: ok"],
  );
});

test("records of one turn are counted whole, however many pieces the log made of them (rules 10, 15)", (t) => {
  const stage = Stage.normal();
  unconfirmed(stage);
  const alpha = stage.replica("alpha");
  const ids = ["1", "2", "3"];
  for (const id of ids) stage.ask("alpha", id, { isSlow: true });
  const effects = new Uint8Array(600 * 1024);
  for (const id of ids)
    alpha.onResult(stage.slow("alpha", id), { name: "main", effects, outcome: '"ok":true,"result":1' }, stage.nowMs);
  stage.run();
  t.true(primaryOf(alpha).commitment.openBytes > 3 * effects.length, `${primaryOf(alpha).commitment.openBytes}`);
  stage.cuts.clear();
  stage.tick(12);
  t.is(alpha.committed, 3);
  t.is(primaryOf(alpha).commitment.openBytes, 0);
});

test("a log that waits for the disk, or for NATS to get its results, is busy when it is full (rule 15, situation 41)", (t) => {
  const stage = Stage.normal({ replica: { limits: { ...limits, maxRetainedBytes: 0, maxUnflushedBytes: 200 } } });
  const alpha = stage.replica("alpha");
  for (const id of ["1", "2", "3"]) stage.do("alpha", id);
  const { committed } = alpha;
  stage.tick();
  t.deepEqual(stage.replies().at(-1), "3: BUSY");
  for (const name of ["alpha", "beta"]) stage.replica(name).onFlushed(committed, 1, stage.nowMs);
  stage.do("alpha", "3");
  stage.tick();
  t.deepEqual(stage.replies(), ["3: BUSY"], "NATS has not got the results");
  alpha.onPublished(committed, stage.nowMs);
  stage.do("alpha", "3");
  t.deepEqual(stage.replies(), [`3: ok at ${committed + 1}`]);
});

test("a server that starts with a full log and all its tables takes requests once NATS has the results (rule 15)", (t) => {
  const stage = new Stage({
    servers: ["alpha"],
    replica: { limits: { ...limits, maxRetainedBytes: 0, maxUnflushedBytes: 200 } },
  });
  stage.start("alpha");
  stage.tick(3);
  for (const id of ["1", "2", "3"]) stage.do("alpha", id);
  const { disk } = stage.server("alpha");
  const { last } = disk.log;
  stage.kill("alpha");
  disk.flushed = last;
  stage.start("alpha");
  stage.tick(3);
  stage.replies();
  stage.do("alpha", "4");
  t.deepEqual(stage.replies(), ["4: BUSY"]);
  stage.replica("alpha").onPublished(last, stage.nowMs);
  stage.do("alpha", "4");
  t.deepEqual(stage.replies(), [`4: ok at ${last + 1}`]);
});

test("a refusal waits for an echo of something sent after it arrived; what was in flight proves nothing (rule 5, situation 45)", (t) => {
  const stage = Stage.normal();
  stage.do("alpha", "1");
  stage.replies();
  unconfirmed(stage);
  const old = stage.lastSent("beta", "confirm");
  stage.do("alpha", "3", { after: "2" });
  stage.forge("beta", "alpha", old);
  t.deepEqual(stage.replies(), [], "an old confirm in flight");
  const { probe } = stage.lastSent("alpha", "mirror");
  t.true(probe > old.probe, "an empty probe when idle");
  stage.forge("beta", "alpha", { ...old, probe: probe - 1 });
  t.deepEqual(stage.replies(), []);
  stage.forge("beta", "alpha", { ...old, probe });
  t.deepEqual(stage.replies(), ["3: OUT_OF_ORDER"]);
});

test("a refusal needs the echo of every other member (rule 5)", (t) => {
  const stage = Stage.normal({ servers: ["alpha", "beta", "gamma"] });
  stage.cuts.add("gamma>alpha");
  stage.do("alpha", "3", { after: "2" });
  t.deepEqual(stage.replies(), []);
  stage.cuts.clear();
  stage.tick(2);
  t.deepEqual(stage.replies(), ["3: OUT_OF_ORDER"]);
});

test("a query's answer and a refusal wait for the inherited log (rule 5, situation 50)", (t) => {
  const stage = Stage.normal();
  unconfirmed(stage);
  stage.do("alpha", "1");
  const alpha = stage.replica("alpha");
  alpha.onAnswer(
    { client: "c", id: "query", replyTo: "q" },
    Buffer.from('{"id":"query","ok":true,"sequence":1}'),
    1,
    stage.nowMs,
  );
  stage.server("alpha").hasInput = true;
  stage.run();
  const confirm = {
    ...stage.lastSent("beta", "confirm"),
    sequence: 0,
    hash: 0,
    probe: stage.lastSent("alpha", "mirror").probe,
  };
  stage.forge("beta", "alpha", confirm);
  t.deepEqual(stage.replies(), [], "echoed, and record 1 not committed");
  stage.cuts.clear();
  stage.tick(6);
  t.deepEqual(stage.replies(), ["1: ok at 1", "query: ok at 1"]);
});

test("alone no proof is needed (rule 5)", (t) => {
  const stage = new Stage();
  stage.start("alpha");
  stage.tick(2);
  stage.do("alpha", "2", { after: "1" });
  t.deepEqual(stage.replies(), ["2: OUT_OF_ORDER"]);
});

test("refusals that wait are bounded; beyond that they are dropped (rule 5)", (t) => {
  const stage = Stage.normal({ replica: { limits: { ...limits, maxWaitingRefusals: 2 } } });
  unconfirmed(stage);
  for (const id of ["a", "b", "c"]) stage.do("alpha", id, { after: "unknown" });
  stage.cuts.clear();
  stage.tick(2);
  t.deepEqual(stage.replies(), ["a: OUT_OF_ORDER", "b: OUT_OF_ORDER"]);
});

/** As the application's process does: asks, and answers where it may. */
function query(stage: Stage, id: string, answerBytes: number): boolean {
  const alpha = stage.replica("alpha");
  const sender = { client: "c", id, replyTo: id };
  const sequence = alpha.onQuery(sender, 1, stage.nowMs);
  if (sequence === null) return false;
  const answer = JSON.stringify({ id, ok: true, sequence });
  alpha.onAnswer(sender, Buffer.from(answer.padEnd(answerBytes)), sequence, stage.nowMs);
  return true;
}

test("answers that wait are bounded in bytes: past it BUSY, which waits too, and then nothing, until they left (rules 5, 15)", (t) => {
  const maxWaitingAnswerBytes = 100_000;
  const stage = Stage.normal({ replica: { limits: { ...limits, maxWaitingAnswerBytes } } });
  const { replies } = primaryOf(stage.replica("alpha")).intake as unknown as { replies: OwedReplies };
  unconfirmed(stage);
  t.true(query(stage, "a", 60_000));
  t.true(query(stage, "b", 39_800));
  t.is(replies.bytesWaitingForProof, 99_800);
  for (const id of ["c", "d", "e"]) t.true(query(stage, id, 50_000));
  t.true(replies.bytesWaitingForProof < maxWaitingAnswerBytes);
  t.true(query(stage, "f", 20), "what is small has room");
  stage.do("alpha", "refused", { after: "unknown" });
  t.true(replies.bytesWaitingForProof < maxWaitingAnswerBytes);
  t.deepEqual(stage.replies(), []);
  stage.cuts.clear();
  stage.tick(2);
  t.deepEqual(stage.replies(), ["a: ok at 0", "b: ok at 0", "c: BUSY", "f: ok at 0"]);
  t.is(replies.bytesWaitingForProof, 0);
  t.true(query(stage, "c", 50_000));
  stage.tick(2);
  t.deepEqual(stage.replies(), ["c: ok at 0"], "and again there is room");
});

test("an answer larger than all that may wait waits alone; meanwhile no query is run (rules 5, 15)", (t) => {
  const stage = Stage.normal({ replica: { limits: { ...limits, maxWaitingAnswerBytes: 1_000 } } });
  unconfirmed(stage);
  t.true(query(stage, "large", 5_000));
  t.false(query(stage, "next", 10));
  stage.cuts.clear();
  stage.tick(2);
  t.deepEqual(stage.replies(), ["large: ok at 0"]);
  t.true(query(stage, "next", 10));
});

test("past the number of answers that may wait no query is run (rules 5, 15)", (t) => {
  const stage = Stage.normal({ replica: { limits: { ...limits, maxWaitingRefusals: 2 } } });
  unconfirmed(stage);
  t.deepEqual(
    ["a", "b", "c"].map((id) => query(stage, id, 10)),
    [true, true, false],
  );
  stage.cuts.clear();
  stage.tick(2);
  t.deepEqual(stage.replies(), ["a: ok at 0", "b: ok at 0"]);
});

test("replies leave in the order of the log, not of the arrival", (t) => {
  const stage = Stage.normal();
  unconfirmed(stage);
  stage.do("alpha", "slow", { isSlow: true });
  stage.do("alpha", "1");
  stage.finish("alpha", "slow");
  stage.do("alpha", "2");
  stage.cuts.clear();
  stage.tick(6);
  t.deepEqual(stage.replies(), ["1: ok at 1", "slow: ok at 2", "2: ok at 3"]);
});

test("nothing is said once the role is gone (rule 7, situation 13)", (t) => {
  const stage = Stage.normal();
  unconfirmed(stage);
  stage.do("alpha", "1");
  stage.do("alpha", "2", { after: "unknown" });
  stage.do("alpha", "3", { isSlow: true });
  stage.replica("alpha").onSwitch(stage.nowMs);
  const { record } = stage;
  stage.registry = {
    record: { ...record, epoch: 4, writeId: "x", primary: { server: "beta", incarnation: "beta.1" } },
    revision: (stage.registry?.revision ?? 0) + 1,
  };
  stage.cuts.add("alpha>beta");
  stage.tick(5);
  t.false(stage.replica("alpha").hot);
  t.is(stage.replica("alpha").inFlight, 0);
  stage.cuts.clear();
  stage.tick(1);
  t.deepEqual(stage.replies(), []);
});

test("a request that may kill gets an attempt record, committed before it is run (rule 17)", (t) => {
  const stage = Stage.normal();
  unconfirmed(stage);
  stage.do("alpha", "1", { resend: true });
  stage.do("alpha", "2");
  t.is(stage.replica("alpha").log.last, 1, "and those behind it wait too: order is kept");
  stage.cuts.clear();
  stage.tick(6);
  t.deepEqual(stage.replies(), ["1: ok at 2", "2: ok at 3"]);
});

test("soon after going hot every request is suspect (rule 17)", (t) => {
  const stage = Stage.normal({ replica: { limits: { ...limits, cautionMs: 1_000 } } });
  stage.tick(10);
  stage.kill("alpha");
  stage.tellGone("alpha");
  stage.do("beta", "1");
  t.deepEqual(stage.replies(), ["1: ok at 2"]);
  stage.tick(10);
  stage.do("beta", "2");
  t.deepEqual(stage.replies(), ["2: ok at 3"]);
});

test("with two attempts on record and no result a request is poisoned, and a duplicate hears the same (rule 17, situation 34)", (t) => {
  const stage = Stage.normal();
  let hot = "alpha";
  for (const name of ["alpha", "beta"]) stage.server(name).isStuck = true;
  for (let death = 1; death <= 2; death += 1) {
    stage.do(hot, "1", { resend: true });
    t.truthy(stage.slow(hot, "1"));
    stage.kill(hot);
    stage.tellGone(hot);
    stage.start(hot);
    stage.tick(6);
    hot = hot === "alpha" ? "beta" : "alpha";
    t.is(stage.record.primary.server, hot);
  }
  stage.do(hot, "1", { resend: true });
  t.deepEqual(stage.replies(), ["1: POISONED"]);
  stage.do(hot, "1", { resend: true });
  t.deepEqual(stage.replies(), ["1: POISONED again"]);
});

const ofHandler = { server: "alpha", code: "handler", client: "c", id: "1", bodyHash: 0, busyMs: 5_000 } as const;

test("a run that ended a server without an attempt on record counts once it is told: two deaths are enough (rule 17, situation 64)", (t) => {
  const stage = Stage.normal();
  for (const name of ["alpha", "beta"]) stage.server(name).isStuck = true;
  stage.do("alpha", "1");
  const beta = stage.replica("beta");
  const words = { ...ofHandler, client: "c", life: "alpha-1", isRecorded: false };
  beta.onLastWords(words, stage.nowMs);
  beta.onLastWords(words, stage.nowMs);
  stage.kill("alpha");
  stage.tellGone("alpha");
  stage.start("alpha");
  stage.tick(6);
  t.is(stage.record.primary.server, "beta");
  stage.do("beta", "1", { resend: true });
  t.is(beta.log.last, 2, "alpha's attempt and its own, each once");
  stage.kill("beta");
  stage.tellGone("beta");
  stage.start("beta");
  stage.tick(6);
  stage.do("alpha", "1", { resend: true });
  t.deepEqual(stage.replies(), ["1: POISONED"]);
});

test("a run that had its attempt on record does not count twice, and another request not at all (rule 17)", (t) => {
  const stage = Stage.normal();
  const alpha = stage.replica("alpha");
  const words = ofHandler;
  alpha.onLastWords({ ...words, life: "beta-1", isRecorded: true }, stage.nowMs);
  alpha.onLastWords({ ...words, life: "beta-2", isRecorded: false, id: "other" }, stage.nowMs);
  alpha.onLastWords({ ...words, life: "beta-3", isRecorded: false, code: "body" }, stage.nowMs);
  stage.do("alpha", "1");
  t.deepEqual(stage.replies(), ["1: ok at 1"]);
  t.true(alpha.endedByBody("c", "1"));
  t.false(alpha.endedByBody("c", "other"));
});

test("what was begun is tried once the state is the program's: what was not run has no attempt on record (rules 17 and 19)", (t) => {
  const program = { application: "a", version: 2, catalog: "2:c" };
  const stage = Stage.normal({ programs: { beta: program } });
  stage.do("alpha", "1", { isSlow: true });
  stage.transaction("alpha", "1", "reserved");
  stage.kill("alpha");
  stage.tellGone("alpha");
  const beta = stage.replica("beta");
  t.deepEqual([beta.state, beta.log.last, beta.inFlight], ["hot.alone", 1, 0]);
  const effects = new Uint8Array(0);
  beta.onCatalog({ name: program.catalog, effects, catalog: "{}" }, stage.nowMs, stage.wallMs);
  stage.server("beta").hasInput = true;
  stage.run();
  stage.do("beta", "1");
  t.deepEqual(stage.replies(), ["1: ok at 4 again"], "reserved, catalog, attempt, result");
});

test("a request in several transactions is resumed by the next hot server, from its last completed one (rule 16, situation 14)", (t) => {
  const stage = Stage.normal();
  stage.do("alpha", "1", { isSlow: true });
  stage.transaction("alpha", "1", "reserved");
  stage.do("alpha", "never begun", { isSlow: true });
  stage.kill("alpha");
  stage.tellGone("alpha");
  stage.do("beta", "1");
  const [reply] = stage.given;
  t.is((JSON.parse(reply?.text ?? "{}") as { result: string }).result, '"reserved" and result of 1');
  t.deepEqual(stage.replies(), ["1: ok at 3 again"], "reserved, attempt, result");
  stage.do("beta", "after it", { after: "1" });
  stage.do("beta", "other", { after: "never begun" });
  t.deepEqual(stage.replies(), ["after it: ok at 4", "other: OUT_OF_ORDER"]);
});
