/** Copies of requests whose replies memory has let go of: they are read from the disk again (rules 12 and 15; situation 147). */
import test from "ava";
import type { Shares } from "../../machines/replica/primary/shares.ts";
import { inside, primaryOf } from "../helpers/inside.ts";
import { limits, Stage } from "./stage.ts";

const forgetful = { ...limits, maxRetainedBytes: 0, maxRememberedBytes: 0 };

/** Alpha has run these, and only its disk has their replies, by the sequences of their records. */
function letGo(ids: readonly string[], changed: Partial<typeof limits> = {}) {
  const stage = Stage.normal({ replica: { limits: { ...forgetful, ...changed } } });
  stage.server("alpha").held.add("recall");
  for (const id of ids) stage.do("alpha", id);
  stage.tick();
  const stored = new Map(stage.given.map(({ text }, index) => [index + 1, Buffer.from(text)]));
  const alpha = stage.replica("alpha");
  alpha.onPublished(alpha.committed, stage.nowMs);
  alpha.onFlushed(alpha.committed, 1, stage.nowMs);
  stage.run();
  stage.given.length = 0;
  return { stage, alpha, stored };
}

/** What is to be read, once. */
function asked(stage: Stage): readonly number[] | null {
  const { waiting } = stage.server("alpha");
  const at = waiting.findIndex(({ type }) => type === "recall");
  const [entry] = at < 0 ? [] : waiting.splice(at, 1);
  return entry?.type === "recall" ? entry.sequences : null;
}

function read(stage: Stage, replies: ReadonlyMap<number, Uint8Array>): void {
  stage.replica("alpha").onRecalled(replies, stage.nowMs);
  stage.server("alpha").hasInput = true;
  stage.run();
}

test("situation 147: copies get the same bytes, nothing is run again, and they are in flight until then", (t) => {
  const { stage, alpha, stored } = letGo(["1", "2", "3"]);
  t.is(alpha.memory.replyBytes, 0);
  stage.do("alpha", "3");
  stage.do("alpha", "1");
  stage.do("alpha", "3", { resend: true });
  t.deepEqual(stage.given, []);
  t.deepEqual(asked(stage), [3]);
  t.is(asked(stage), null, "one reading at a time");
  t.is(primaryOf(alpha).intake.inFlight, 3);
  read(stage, stored);
  t.deepEqual(
    stage.given.map(({ text, duplicate }) => [text, duplicate]),
    [3, 3].map((sequence) => [stored.get(sequence)?.toString(), true]),
  );
  t.deepEqual(asked(stage), [1], "the next one follows by itself");
  read(stage, stored);
  t.is(stage.given.at(-1)?.text, stored.get(1)?.toString());
  t.is(primaryOf(alpha).intake.inFlight, 0);
  t.is((Reflect.get(primaryOf(alpha).intake, "shares") as Shares).count, 0);
  t.is(alpha.log.last, 3);
  t.is(inside(alpha).core.tally.recalled, 3);
  t.is(asked(stage), null);
});

test("situation 147: with another body it is refused, and nothing is read", (t) => {
  const { stage } = letGo(["1"]);
  stage.do("alpha", "1", { bodyHash: 2 });
  stage.tick(2);
  t.deepEqual(stage.replies(), ["1: ID_REUSED"]);
  t.is(asked(stage), null);
});

test("situation 147: what was forgotten while it was read is BUSY, and is not run", (t) => {
  const { stage, alpha } = letGo(["1", "2"]);
  stage.do("alpha", "1");
  t.deepEqual(asked(stage), [1]);
  read(stage, new Map());
  stage.tick(2);
  t.deepEqual(stage.replies(), ["1: BUSY"]);
  t.is(alpha.log.last, 2, "it is not run");
});

test("situation 147: the role is gone while it is read: nobody is told anything", (t) => {
  const { stage, stored } = letGo(["1"]);
  stage.do("alpha", "1");
  stage.do("alpha", "2", { isSlow: true });
  t.deepEqual(asked(stage), [1]);
  stage.kill("alpha");
  stage.tellGone("alpha");
  stage.tick(6);
  stage.start("alpha");
  stage.tick(6);
  t.is(stage.replica("alpha").role, "backup");
  read(stage, stored);
  t.deepEqual(stage.given, []);
});

test("so many bytes are read at once, and one reply at least (rule 15)", (t) => {
  const ids = ["1", "2", "3", "4", "5"];
  const { stage, stored } = letGo(ids);
  const bytes = stored.get(1)?.length ?? 0;
  Object.assign(inside(stage.replica("alpha")).core, { limits: { ...forgetful, maxBatchBytes: 2 * bytes + 1 } });
  for (const id of ["5", "4", "3", "2", "1"]) stage.ask("alpha", id);
  stage.run();
  const readings: (readonly number[])[] = [];
  for (let reading = asked(stage); reading !== null; reading = asked(stage)) {
    readings.push(reading);
    read(stage, stored);
  }
  t.deepEqual(readings, [[4, 5], [2, 3], [1]]);
  t.is(stage.given.length, 5);
});

test("nothing more is read while what was read may not leave (rule 15)", (t) => {
  const { stage, alpha, stored } = letGo(["1", "2"]);
  stage.do("alpha", "1");
  t.deepEqual(asked(stage), [1]);
  stage.do("alpha", "2");
  const { membership } = inside(alpha).core;
  Object.defineProperty(membership, "isEpochSaved", { value: false, configurable: true });
  read(stage, stored);
  t.deepEqual([stage.given.length, asked(stage)], [0, null]);
  Reflect.deleteProperty(membership, "isEpochSaved");
  stage.tick();
  t.is(stage.given.length, 1);
  t.deepEqual(asked(stage), [2]);
});

test("past the limit a copy is BUSY (rule 15)", (t) => {
  const { stage } = letGo(["1"], { maxInFlight: 4 });
  for (let copy = 0; copy < 9; copy += 1) stage.do("alpha", "1");
  stage.tick(2);
  t.true(stage.replies().every((reply) => reply === "1: BUSY"));
});
