/**
 * What one message between servers may carry: a turn's records, however many they are, cut to what the link in use takes now
 * (rules 4, 8, 10, 15; situation 56). A frame that does not fit is refused by the stage, as the adapters refuse it.
 */

import { crc32 } from "node:zlib";
import test from "ava";
import { payloadFieldsBytes } from "../../machines/codec/message.ts";
import { recordHeaderBytes } from "../../machines/codec/record.ts";
import { traceSpaceBytes } from "../../machines/codec/traceparent.ts";
import { sliceFrom } from "../../machines/log/batch.ts";
import { mainFrameBytes } from "../../schemas/settings.ts";
import { inside } from "../helpers/inside.ts";
import { fieldsOf } from "../helpers/records.ts";
import { limits, Stage, type StageOptions } from "./stage.ts";

const KiB = 1024;
const narrow = { ...limits, maxRequestBytes: 512, maxRecordBytes: 4 * KiB, maxBatchBytes: 8 * KiB };
/** The main link as real-world.ts makes it. */
const mainBytes = mainFrameBytes(narrow);

function limited(options: StageOptions = {}, failsafeBytes = 1024 * KiB): Stage {
  const stage = Stage.normal({ ...options, replica: { limits: narrow, ...options.replica } });
  for (const from of stage.servers.keys()) limitAll(stage, from, failsafeBytes);
  return stage;
}

function limitAll(stage: Stage, from: string, failsafeBytes: number): void {
  for (const to of stage.servers.keys()) {
    if (to === from) continue;
    stage.limitFrames(from, to, "main", mainBytes);
    stage.limitFrames(from, to, "failsafe", failsafeBytes);
  }
}

function cutMain(stage: Stage): void {
  for (const way of ["alpha>beta main", "beta>alpha main"]) stage.cuts.add(way);
  for (const [from, to] of [
    ["alpha", "beta"],
    ["beta", "alpha"],
  ] as const)
    stage.replica(from).onLink(to, "main", false, stage.nowMs);
  stage.tick();
}

function healMain(stage: Stage): void {
  stage.cuts.clear();
  stage.tick(3);
}

function burst(stage: Stage, count: number): void {
  const { last } = stage.replica("alpha").log;
  for (let n = 1; n <= count; n += 1) stage.ask("alpha", String(last + n));
  stage.run();
}

/** A request whose record has about so many bytes. */
function large(stage: Stage, id: string, bytes: number): void {
  const alpha = stage.replica("alpha");
  stage.ask("alpha", id, { isSlow: true });
  const part = { name: "main", effects: new Uint8Array(bytes), outcome: '"ok":true,"result":1' };
  alpha.onResult(stage.slow("alpha", id), part, stage.nowMs);
  stage.server("alpha").slow.delete(id);
  stage.server("alpha").hasInput = true;
  stage.run();
}

const troubleOf = (stage: Stage, code: string) =>
  stage
    .replica("alpha")
    .troubles()
    .find(([one]) => one === code)?.[1] ?? null;

const patience = Math.ceil((5 * limits.stalledBackupMs + 3 * limits.suspicionMs) / limits.heartbeatMs);

test("7. thousands of requests in one turn reach the backup in messages that fit, and it stays in sync", (t) => {
  const stage = limited();
  burst(stage, 4_000);
  t.deepEqual(stage.refused, []);
  t.is(stage.replica("alpha").committed, 4_000);
  t.is(stage.replica("beta").log.last, 4_000);
  t.deepEqual(stage.states(), ["hot.normal", "following.warm"]);
});

test("7. what is on its way to one that confirms nothing is bounded: two small messages, sixteen of some size, four of the largest", (t) => {
  const mirrors = (perTurn: number, maxBatchBytes: number) => {
    const stage = Stage.normal({ replica: { limits: { ...narrow, maxBatchBytes } } });
    stage.cuts.add("beta>alpha");
    stage.sent.length = 0;
    for (let turn = 0; turn < 40; turn += 1) {
      const { last } = stage.replica("alpha").log;
      for (let n = 1; n <= perTurn; n += 1) stage.ask("alpha", String(last + n));
      stage.run();
    }
    return stage.sent.filter(({ message }) => message.type === "mirror" && message.last >= message.first).length;
  };
  t.is(mirrors(1, 512 * KiB), 2);
  t.is(mirrors(64, 512 * KiB), 16);
  t.is(mirrors(200, 16 * KiB), 5, "none begins past the bound");
});

test("7. over NATS alone a turn's batch is cut again to what the broker takes now", (t) => {
  const stage = limited({}, 3 * KiB);
  cutMain(stage);
  burst(stage, 500);
  stage.tick(2);
  t.deepEqual(stage.refused, []);
  t.is(stage.replica("alpha").committed, 500);
  t.deepEqual(stage.states(), ["hot.normal", "following.warm"]);
  const mirrors = stage.sent.filter(({ message, link }) => message.type === "mirror" && link === "failsafe");
  t.true(mirrors.length > 20, `${mirrors.length} small ones`);
});

test("7. a broker that takes less in the middle of a session gets smaller pieces from then on", (t) => {
  const stage = limited();
  cutMain(stage);
  burst(stage, 100);
  stage.server("alpha").held.add("send");
  burst(stage, 100);
  // What was about to leave is refused by the broker, which is a new one.
  for (const from of ["alpha", "beta"]) limitAll(stage, from, 3 * KiB);
  stage.unhold("alpha", "send");
  t.true(stage.refused.length > 0);
  stage.refused.length = 0;
  burst(stage, 100);
  stage.tick(8);
  t.deepEqual(stage.refused, [], "no second one");
  t.is(stage.replica("alpha").committed, 300);
  t.deepEqual(stage.states(), ["hot.normal", "following.warm"]);
});

test("7. a record that does not fit the link that is left is said, and costs the backup after its time; nothing waits for ever", (t) => {
  const stage = limited({}, 3 * KiB);
  t.is(troubleOf(stage, "link.record"), null);
  t.regex(troubleOf(stage, "link.narrow") ?? "", /^NATS takes 2048 bytes of records to beta, one may have 4096/);
  cutMain(stage);
  large(stage, "l", 3 * KiB);
  stage.tick();
  t.regex(
    troubleOf(stage, "link.record") ?? "",
    /^beta cannot be sent a record of 3\d\d\d bytes: NATS takes 2048 now;/,
  );
  t.is(stage.replica("alpha").committed, 0);
  stage.tick(Math.ceil(limits.stalledBackupMs / limits.heartbeatMs) + 2);
  t.is(stage.replica("alpha").committed, 1, "alone, from its disk");
  t.is(stage.replica("alpha").state, "hot.alone");
  t.deepEqual(stage.refused, []);
});

test("7. it goes on where it was when the main link is back in time", (t) => {
  const stage = limited({}, 3 * KiB);
  cutMain(stage);
  large(stage, "l", 3 * KiB);
  burst(stage, 20);
  stage.tick(3);
  t.is(stage.replica("alpha").committed, 0);
  healMain(stage);
  t.is(stage.replica("alpha").committed, 21);
  t.is(troubleOf(stage, "link.record"), null);
  t.deepEqual(stage.states(), ["hot.normal", "following.warm"]);
});

test("7. it goes on where it was when the broker takes more again", (t) => {
  const stage = limited({}, 3 * KiB);
  cutMain(stage);
  large(stage, "l", 3 * KiB);
  burst(stage, 20);
  stage.tick(3);
  for (const from of ["alpha", "beta"]) limitAll(stage, from, 1024 * KiB);
  stage.tick();
  t.is(stage.replica("alpha").committed, 21);
  t.deepEqual([stage.states(), stage.refused], [["hot.normal", "following.warm"], []]);
});

test("7. limits that change at every turn of a session cost time alone, and nothing is sent that does not fit", (t) => {
  const stage = limited();
  cutMain(stage);
  for (let round = 1; round <= 40; round += 1) {
    for (const from of ["alpha", "beta"]) limitAll(stage, from, (2 + ((round * 7) % 11)) * KiB);
    burst(stage, 1 + ((round * 13) % 60));
    if (round % 5 === 0) stage.tick();
    if (round % 9 === 0) healMain(stage);
    if (round % 9 === 4 && stage.cuts.size === 0) cutMain(stage);
  }
  stage.tick(3);
  t.is(stage.replica("alpha").committed, stage.replica("alpha").log.last);
  t.is(stage.replica("beta").log.last, stage.replica("alpha").log.last);
  t.deepEqual([stage.states(), stage.refused], [["hot.normal", "following.warm"], []]);
});

test("7. a backup that takes the role over while records are cut sends on as its own link takes them", (t) => {
  const stage = limited({ servers: ["alpha", "beta", "gamma"] }, 3 * KiB);
  for (const [from, to] of [
    ["beta", "gamma"],
    ["gamma", "beta"],
  ] as const) {
    stage.cuts.add(`${from}>${to} main`);
    stage.replica(from).onLink(to, "main", false, stage.nowMs);
  }
  burst(stage, 300);
  stage.kill("alpha");
  stage.tellGone("alpha");
  stage.tick(10);
  const hot = ["beta", "gamma"].find((name) => stage.replica(name).hot) ?? "";
  t.not(hot, "");
  const before = stage.replica(hot).log.last;
  for (let n = 1; n <= 300; n += 1) stage.ask(hot, `late ${n}`);
  stage.run();
  stage.tick(3);
  t.is(stage.replica(hot).committed, before + 300);
  t.is(stage.replica(hot === "beta" ? "gamma" : "beta").log.last, before + 300);
  t.deepEqual(stage.refused, []);
});

test("7. a broker that takes not even a message without records is a link that is lost, and says so in whole numbers", (t) => {
  const stage = limited();
  cutMain(stage);
  for (const from of ["alpha", "beta"]) limitAll(stage, from, 380);
  burst(stage, 5);
  stage.tick(2);
  t.regex(troubleOf(stage, "link.record") ?? "", /NATS takes 0 now/);
  stage.tick(Math.ceil((limits.stalledBackupMs + limits.suspicionMs) / limits.heartbeatMs) + 3);
  t.is(stage.replica("alpha").state, "hot.alone");
  t.is(stage.replica("alpha").committed, 5);
});

test("7. one that is to be added and cannot be sent a record is sent a snapshot, and no sooner than it must", (t) => {
  const stage = limited({}, 3 * KiB);
  cutMain(stage);
  large(stage, "l", 3 * KiB);
  stage.tick(Math.ceil(limits.stalledBackupMs / limits.heartbeatMs) + 2);
  stage.take();
  stage.tick(10);
  t.false(stage.take().includes("alpha: sendSnapshot"), "the main link may be back in a moment");
  stage.tick(patience);
  t.true(stage.take().includes("alpha: sendSnapshot"));
});

test("7. a session that is sent records and confirms none of them begins anew, and the next such one ends in a snapshot", (t) => {
  const stage = limited();
  stage.kill("beta");
  stage.tellGone("beta");
  burst(stage, 5);
  stage.start("beta");
  // Whatever the reason may be: mirrors with records do not come through.
  stage.replica("beta").onMessage = ((original) => (from, link, message, payload, nowMs) => {
    if (message.type === "mirror" && payload.length > 0) return null;
    return original.call(stage.replica("beta"), from, link, message, payload, nowMs);
  })(stage.replica("beta").onMessage);
  stage.tick(3 * patience);
  const told = stage.take();
  t.true(told.filter((line) => line === "beta says follow to alpha").length >= 2, told.join("\n"));
  t.true(told.includes("alpha: sendSnapshot"), told.join("\n"));
});

test("7. records that only the disk has, in larger pieces than a message takes, are cut for a joiner", (t) => {
  const stage = limited({}, 3 * KiB);
  stage.kill("beta");
  stage.tellGone("beta");
  burst(stage, 200);
  const alpha = stage.replica("alpha");
  // One segment with all of it, as an earlier program wrote it.
  const [first] = [...alpha.log.clone().batches(1, 200)];
  const all = [...alpha.log.batches(1, 200)];
  const segment = {
    ...(first as (typeof all)[0]),
    last: 200,
    lastHash: alpha.log.closed.hash,
    bytes: Buffer.concat(all.map(({ bytes }) => bytes)),
  };
  alpha.onPublished(200, stage.nowMs);
  inside(alpha).core.own.log.trim(200, 0);
  t.is(alpha.log.base.sequence, 200);
  stage.start("beta");
  stage.server("alpha").held.add("readLog");
  for (let times = 0; times < 60 && stage.replica("beta").log.last < 200; times += 1) {
    stage.tick();
    const { waiting } = stage.server("alpha");
    for (const entry of waiting.splice(0)) {
      if (entry.type === "readLog")
        alpha.onLogRead(entry.peer, entry.session, [sliceFrom(segment, entry.from)], stage.nowMs);
    }
  }
  t.deepEqual(stage.refused, []);
  t.is(stage.replica("beta").log.last, 200);
  stage.tick(5);
  t.deepEqual(stage.states(), ["hot.normal", "following.warm"]);
});

test("7. what one turn makes counts as unconfirmed at once: past the bound it is BUSY, not memory (rule 15)", (t) => {
  const maxUnconfirmedBytes = 64 * KiB;
  const stage = limited({ replica: { limits: { ...narrow, maxUnconfirmedBytes } } });
  for (let n = 1; n <= 4_000; n += 1) stage.ask("alpha", String(n));
  t.true(
    stage.replica("alpha").log.turnBytes <= maxUnconfirmedBytes + 4 * KiB,
    `${stage.replica("alpha").log.turnBytes}`,
  );
  stage.run();
  t.is(stage.replica("alpha").committed, stage.replica("alpha").log.last);
  t.true(stage.replies().some((line) => line.endsWith("BUSY")));
});

test("7. a body that is larger in a record than on the wire costs its sender an answer, and not the backup its place", (t) => {
  const stage = limited();
  // 4 bytes each on the wire, 21 in a record.
  const body = { numbers: Array.from({ length: 1_000 }, () => 1e20) };
  stage.do("alpha", "n", { body, resend: true });
  stage.tick();
  t.deepEqual(stage.replies(), ["n: TOO_LARGE"]);
  t.is(stage.replica("alpha").log.last, 0);
  stage.do("alpha", "n", { body });
  t.deepEqual(stage.replies(), ["n: ok at 1"], "whose handler needs no attempt on record");
  stage.do("alpha", "n", { body, resend: true });
  t.deepEqual(stage.replies(), ["n: ok at 1 again"]);
});

test("7. a trace context has its place in a record that has to fit", (t) => {
  const maxRecordBytes = 2 * KiB;
  const stage = limited({ replica: { limits: { ...narrow, maxRecordBytes } } });
  const traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
  // Of client, id and key a byte each, and quotes: with the last byte it fits.
  const body = "x".repeat(maxRecordBytes - recordHeaderBytes - 5);
  stage.do("alpha", "1", { body, resend: true });
  stage.do("alpha", "2", { body, resend: true, traceparent });
  stage.do("alpha", "3", { body: body.slice(traceSpaceBytes), resend: true, traceparent });
  stage.tick();
  t.deepEqual(stage.replies(), ["1: ok at 2", "2: TOO_LARGE", "3: ok at 4"]);
});

test("a question to follow fits the link too: older epochs are left out of it, and the newest are told", (t) => {
  const stage = new Stage();
  for (const { disk } of stage.servers.values()) {
    for (let epoch = 1; epoch <= 100; epoch += 1) disk.log.append(fieldsOf({ sequence: epoch, epoch }));
    disk.log.close();
    Object.assign(disk, { history: "h1", epochSeen: 200, memberEpoch: 200, committed: 100, flushed: 100 });
  }
  stage.registry = { record: { ...stage.record, epoch: 200 }, revision: 1 };
  stage.start("alpha");
  stage.tick(3);
  stage.start("beta");
  stage.limitFrames("beta", "alpha", "main", payloadFieldsBytes + 640);
  stage.limitFrames("beta", "alpha", "failsafe", payloadFieldsBytes + 640);
  stage.tick(10);
  const { epochEnds } = stage.lastSent("beta", "follow");
  t.is(epochEnds.length, 10);
  t.deepEqual(epochEnds.at(-1), { epoch: 100, last: 100 });
  t.deepEqual(stage.states(), ["hot.normal", "following.warm"]);
});

test("4. a mirror whose bytes are not the records that it names changes nothing, and they are asked for again", (t) => {
  const stage = Stage.normal();
  stage.do("alpha", "1");
  stage.tick(3);
  const beta = stage.replica("beta");
  const { follower, core } = inside(beta);
  const { log } = beta;
  const [last, hash] = [log.last, log.closed.hash];
  const heard = (first: number, to: number, payload: Buffer, lastHash = crc32(payload, hash)) =>
    beta.onMessage(
      "alpha",
      "main",
      {
        type: "mirror",
        session: follower?.session.id ?? "",
        epoch: beta.epoch,
        from: stage.record.primary.incarnation,
        to: core.self,
        first,
        last: to,
        previousHash: hash,
        lastHash,
        committed: to,
        published: 0,
        probe: 0,
      },
      payload,
      stage.nowMs,
    );
  const none = Buffer.alloc(0);
  t.is(heard(last + 1, last + 1, none), "a batch without bytes");
  t.is(heard(last + 1, last + 1, Buffer.alloc(90, 7)), "a record of version 7; this program knows 1");
  t.is(heard(last + 1, last + 1, Buffer.alloc(90, 7), 1), "a record of version 7; this program knows 1");
  t.is(heard(1, Number.MAX_SAFE_INTEGER, none), "a batch without bytes");
  t.is(heard(1, last + 1, Buffer.alloc(40)), "a record is cut off");
  t.deepEqual([log.last, log.closed.hash, beta.committed], [last, hash, last]);
  stage.do("alpha", "2");
  stage.tick(10);
  t.is(beta.log.last, last + 1);
  t.is(beta.committed, last + 1);
});
