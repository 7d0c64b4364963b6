/** The time at which requests are taken, on a stage: across takeovers, resumed, from the disk, and what operators hear (rule 20, situation 145). */
import test from "ava";
import { RecordReader } from "../../machines/codec/record.ts";
import { inside } from "../helpers/inside.ts";
import { limits, Stage } from "./stage.ts";

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;

function staged(offsets: Record<string, number> = {}): Stage {
  const stage = new Stage();
  stage.wallMs = 1_764_000_000_000;
  for (const name of ["alpha", "beta"]) {
    stage.start(name);
    stage.tick(3);
  }
  stage.tick(3);
  for (const [name, offsetMs] of Object.entries(offsets)) stage.wallOffsets.set(name, offsetMs);
  stage.tick(2);
  return stage;
}

/** When each request was taken, by its records in this server's log: one time for each. */
function takenBy(stage: Stage, name: string): Map<string, number> {
  const taken = new Map<string, number>();
  const { log } = stage.replica(name);
  for (const batch of log.batches(1, log.last)) {
    const reader = new RecordReader(batch.bytes);
    do {
      if (reader.client === "") continue;
      const before = taken.get(reader.id) ?? reader.takenMs;
      if (before !== reader.takenMs) throw new Error(`${reader.id} was taken at ${before} and at ${reader.takenMs}`);
      taken.set(reader.id, reader.takenMs);
    } while (reader.next());
  }
  return taken;
}

function takeOver(stage: Stage): void {
  stage.kill("alpha");
  stage.tellGone("alpha");
  stage.tick(10);
}

test("requests are told the primary's clock, whatever their stamps say", (t) => {
  const stage = staged();
  stage.do("alpha", "1", { issuedAtMs: 0 });
  t.is(takenBy(stage, "alpha").get("1"), stage.wallMs);
});

test("a successor whose clock is hours behind goes on from the log, and does not stand still (situation 145)", (t) => {
  const stage = staged({ beta: -6 * hourMs });
  stage.do("alpha", "1");
  const first = takenBy(stage, "alpha").get("1") ?? 0;
  takeOver(stage);
  stage.do("beta", "2");
  const second = takenBy(stage, "beta").get("2") ?? 0;
  t.true(second > first);
  t.true(second < stage.wallMs, "at half speed");
  t.regex(
    String(new Map(stage.replica("beta").troubles()).get("time.apart")),
    /6 h behind the time of requests before/,
  );
});

test("a primary whose clock leaps a day ahead does not take the service with it; an operator may (situation 145)", (t) => {
  const stage = staged();
  stage.do("alpha", "1");
  stage.wallOffsets.set("alpha", dayMs);
  stage.tick(5);
  stage.do("alpha", "2");
  t.is(takenBy(stage, "alpha").get("2"), stage.wallMs);
  const alpha = stage.replica("alpha");
  t.regex(String(new Map(alpha.troubles()).get("time.apart")), /24 h ahead.*twinlog accept-time/);
  t.regex(String(stage.replica("beta").onAcceptTime(stage.nowMs, stage.wallOf("beta"))), /is not the primary/);
  t.is(alpha.onAcceptTime(stage.nowMs, stage.wallOf("alpha")), null);
  stage.do("alpha", "3");
  t.is(takenBy(stage, "alpha").get("3"), stage.wallMs + dayMs);
  t.is(new Map(alpha.troubles()).get("time.apart"), null);
  takeOver(stage);
  stage.do("beta", "4");
  t.true((takenBy(stage, "beta").get("4") ?? 0) >= stage.wallMs + dayMs - 10 * limits.heartbeatMs, "the log says so");
});

test("a request that is resumed, or tried again, is told when it was taken first (rules 16 and 17)", (t) => {
  const stage = staged({ beta: hourMs / 2 });
  stage.do("alpha", "begun", { isSlow: true });
  stage.transaction("alpha", "begun", "a");
  stage.server("alpha").isStuck = true;
  stage.do("alpha", "tried", { resend: true });
  const first = takenBy(stage, "alpha");
  stage.tick(3);
  takeOver(stage);
  t.is(stage.replica("beta").nextToStart(), null, "it was resumed by the stage");
  stage.do("beta", "tried", { resend: true });
  stage.tick(3);
  const second = takenBy(stage, "beta");
  t.is(second.get("begun"), first.get("begun"));
  t.is(second.get("tried"), first.get("tried"));
  stage.do("beta", "new");
  t.true((takenBy(stage, "beta").get("new") ?? 0) > stage.wallMs, "and others its clock");
});

test("a server that is started again goes on from its disk", (t) => {
  const stage = new Stage({ servers: ["alpha"] });
  stage.wallMs = 1_764_000_000_000;
  stage.start("alpha");
  stage.tick(5);
  stage.do("alpha", "1");
  stage.tick(2);
  const first = takenBy(stage, "alpha").get("1") ?? 0;
  stage.kill("alpha");
  stage.wallOffsets.set("alpha", -hourMs);
  stage.start("alpha");
  stage.tick(5);
  t.true(inside(stage.replica("alpha")).core.time.standing.nowMs >= first);
  stage.do("alpha", "2");
  t.true((takenBy(stage, "alpha").get("2") ?? 0) >= first);
});

test("after a primary of release 0.1, whose records tell no times, its successor goes by its clock, for what was begun too", (t) => {
  const stage = staged();
  Object.assign(inside(stage.replica("alpha")).core.time, { now: () => 0 });
  stage.do("alpha", "done");
  stage.do("alpha", "begun", { isSlow: true });
  stage.transaction("alpha", "begun", "a");
  stage.tick(1);
  t.deepEqual([...takenBy(stage, "beta").values()], [0, 0]);
  const { last } = stage.replica("beta").log;
  takeOver(stage);
  stage.do("beta", "new");
  const times = new Map<string, number>();
  for (const batch of stage.replica("beta").log.batches(last + 1, stage.replica("beta").log.last)) {
    const reader = new RecordReader(batch.bytes);
    do times.set(reader.id, reader.takenMs);
    while (reader.next());
  }
  const [begun = 0, taken = 0] = [times.get("begun"), times.get("new")];
  t.true(begun > stage.wallMs - 20 * limits.heartbeatMs && begun <= stage.wallMs, `${begun}`);
  t.true(taken >= begun && taken <= stage.wallMs, `${taken}`);
  t.is(new Map(stage.replica("beta").troubles()).get("time.apart"), null);
});
