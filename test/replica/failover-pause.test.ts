/**
 * Rule 21: while an operator's pause of failover stands in the registry's record nobody takes over because a server is lost; it outlives
 * a switch and the primary itself, ends when it is resumed or its time is over, and costs the primary nothing that it does by itself.
 */
import test from "ava";
import { RegistryRecord } from "../../schemas/registry.ts";
import { limits, Stage, type StageOptions } from "./stage.ts";

const polls = Math.ceil(limits.registryPollMs / limits.heartbeatMs) + 1;
const minute = 60_000 / limits.heartbeatMs;

function paused(forMs?: number, options: StageOptions = {}): Stage {
  const stage = Stage.normal(options);
  stage.do("alpha", "1");
  const refusal = stage.replica("alpha").onPauseFailover(true, forMs, stage.nowMs);
  if (refusal !== null) throw new Error(refusal);
  stage.tick(2);
  return stage;
}

function lose(stage: Stage, name: string): void {
  stage.kill(name);
  stage.tellGone(name);
  stage.tick(polls);
}

const trouble = (stage: Stage, name: string) => new Map(stage.replica(name).troubles()).get("failover.paused") ?? "";

test("the pause is written into the record in the same configuration, and requests are taken as ever", (t) => {
  const stage = paused();
  t.truthy(stage.record.failoverPause);
  t.is(stage.record.pause, undefined);
  t.deepEqual(stage.states(), ["hot.normal", "following.warm"]);
  stage.replies();
  stage.do("alpha", "2");
  t.deepEqual(stage.replies(), ["2: ok at 2"]);
  for (const name of ["alpha", "beta"])
    t.regex(trouble(stage, name), /^an operator paused failover: `twinlog resume --failover`$/);
});

test("the primary dies, and is back: nobody takes over until an operator says so (situation 160)", (t) => {
  const stage = paused();
  const { epoch } = stage.record;
  lose(stage, "alpha");
  stage.tick(minute);
  t.is(stage.replica("beta").state, "following.warm");
  t.regex(trouble(stage, "beta"), /; alpha is lost, and nobody takes its place$/);
  stage.start("alpha");
  stage.tick(minute);
  t.deepEqual(stage.states(), ["waiting", "following.warm"]);
  t.is(stage.record.epoch, epoch, "nobody asked for anything");
  t.is(stage.replica("alpha").waitingFor, "waits for beta to take over, which it does when failover goes on");
  t.is(
    stage.replica("beta").onPauseFailover(true, undefined, stage.nowMs),
    "this server is not the primary: ask the primary",
  );
  t.is(stage.replica("beta").onPauseFailover(false, undefined, stage.nowMs), null);
  stage.tick(polls);
  t.is(stage.record.failoverPause, undefined);
  stage.tick(minute);
  t.deepEqual(stage.states(), ["following.warm", "hot.normal"]);
  stage.replies();
  stage.do("beta", "1");
  t.deepEqual(stage.replies(), ["1: ok at 1 again"]);
});

for (const [what, wallMs] of [
  ["its time is over", 0],
  ["its time is over, by the time since it was seen where the wall clock was set back", -86_400_000],
] as const)
  test(`without a primary failover goes on when ${what} (situation 160)`, (t) => {
    const stage = paused(10_000);
    stage.wallMs += wallMs;
    lose(stage, "alpha");
    t.is(stage.replica("beta").state, "following.warm");
    stage.tick(10_000 / limits.heartbeatMs + polls);
    t.is(stage.replica("beta").state, "hot.alone");
    t.is(stage.record.failoverPause, undefined);
  });

test("of the primary's own pause it ends by itself too, and by its operator's word", (t) => {
  const timed = paused(10_000);
  timed.tick(10_000 / limits.heartbeatMs + polls);
  t.is(timed.record.failoverPause, undefined);
  const stage = paused();
  const beta = stage.replica("beta");
  t.is(beta.onPauseFailover(false, undefined, stage.nowMs), "alpha is the primary and serves: say it there");
  t.is(stage.replica("alpha").onPauseFailover(false, undefined, stage.nowMs), null);
  stage.tick(2);
  t.is(stage.record.failoverPause, undefined);
  lose(stage, "alpha");
  t.is(beta.state, "hot.alone", "a failover works again");
});

test("a candidate asks while its primary writes the pause: the record decides, and it follows again (situation 161)", (t) => {
  const stage = Stage.normal();
  const beta = stage.server("beta");
  beta.held.add("compareAndSet");
  stage.tellGone("alpha");
  stage.tick();
  t.is(beta.up.state, "candidate.asking");
  t.is(stage.replica("alpha").onPauseFailover(true, undefined, stage.nowMs), null);
  stage.tick();
  t.truthy(stage.record.failoverPause);
  stage.unhold("beta", "compareAndSet");
  stage.tick(polls);
  t.deepEqual(stage.states(), ["hot.normal", "following.warm"]);
  lose(stage, "alpha");
  t.is(beta.up.state, "following.warm");
});

test("a backup dies: the primary goes on alone, takes it in again, and the pause stays (situation 162)", (t) => {
  const stage = paused();
  lose(stage, "beta");
  t.is(stage.replica("alpha").state, "hot.alone");
  stage.replies();
  stage.do("alpha", "2");
  stage.tick();
  t.deepEqual(stage.replies(), ["2: ok at 2"]);
  stage.start("beta");
  stage.tick(minute);
  t.deepEqual(stage.states(), ["hot.normal", "following.warm"]);
  t.truthy(stage.record.failoverPause);
});

test("the primary loses NATS, its backup has not: it keeps its role, and hands it over when failover goes on (situation 162)", (t) => {
  const stage = paused();
  const alpha = stage.replica("alpha");
  alpha.onBus(false, stage.nowMs);
  stage.tick(minute);
  t.deepEqual(stage.states(), ["hot.normal", "following.warm"]);
  alpha.onPauseFailover(false, undefined, stage.nowMs);
  stage.tick(minute);
  t.is(stage.record.primary.server, "beta");
});

test("a switch and a clean stop are an operator's own: the role goes over, and the pause with it (situation 163)", (t) => {
  const stage = paused();
  stage.replica("alpha").onSwitch(stage.nowMs);
  stage.tick(3);
  t.is(stage.record.primary.server, "beta");
  t.truthy(stage.record.failoverPause);
  stage.stop("beta");
  stage.tick(minute);
  t.is(stage.replica("alpha").state, "hot.alone");
  t.is(stage.server("beta").replica, null, "it has exited");
  t.truthy(stage.record.failoverPause);
});

test("all die and come back: no new history begins before an operator says so (situation 163)", (t) => {
  const stage = paused();
  const { history } = stage.record;
  for (const name of ["alpha", "beta"]) stage.kill(name);
  for (const name of ["alpha", "beta"]) stage.start(name);
  stage.tick(minute);
  t.deepEqual(stage.states(), ["waiting", "waiting"]);
  t.is(stage.record.history, history);
  t.regex(
    stage.replica("alpha").waitingFor,
    /died together, and an operator has paused failover: `twinlog resume --failover/,
  );
  for (const name of ["alpha", "beta"]) t.is(stage.replica(name).onPauseFailover(false, undefined, stage.nowMs), null);
  stage.tick(minute);
  t.is(stage.states().filter((state) => state.startsWith("hot.")).length, 1);
  t.not(stage.record.history, history);
  t.is(stage.record.failoverPause, undefined);
});

test("one that was alone on its disk serves again by itself: it takes nobody's place (situation 163)", (t) => {
  const stage = paused();
  lose(stage, "beta");
  stage.kill("alpha");
  stage.start("alpha");
  stage.tick(minute);
  t.is(stage.replica("alpha").state, "hot.alone");
  t.truthy(stage.record.failoverPause);
});

test("one that stops, and is the last that has everything, takes the role to leave it on its disk (situation 163)", (t) => {
  const stage = paused();
  lose(stage, "alpha");
  stage.stop("beta");
  stage.tick(minute);
  t.is(stage.server("beta").replica, null, "it has exited");
  t.deepEqual([stage.record.primary.server, stage.record.durability], ["beta", "disk"]);
  t.is(stage.record.failoverPause, undefined);
});

test("of three the others stay backups of the one that is lost", (t) => {
  const stage = paused(undefined, { servers: ["alpha", "beta", "gamma"] });
  lose(stage, "alpha");
  stage.tick(minute);
  t.deepEqual(
    ["beta", "gamma"].map((name) => stage.replica(name).state),
    ["following.warm", "following.warm"],
  );
  stage.replica("beta").onPauseFailover(false, undefined, stage.nowMs);
  stage.tick(minute);
  t.deepEqual([stage.record.primary.server, stage.record.failoverPause], ["beta", undefined]);
});

test("it is not paused beside an older program, which would take over all the same; a record from before has no pause", (t) => {
  const stage = Stage.normal();
  const { heedsPause: _, ...older } = stage.lastSent("beta", "heartbeat");
  stage.forge("beta", "alpha", { ...older, beat: older.beat + 1_000 });
  t.regex(
    stage.replica("alpha").onPauseFailover(true, undefined, stage.nowMs) ?? "",
    /^the program of beta is older and would take over all the same/,
  );
  stage.tick(2);
  const { failoverPause, ...record } = stage.record;
  t.is(failoverPause, undefined);
  t.is(RegistryRecord.parse(record).failoverPause, undefined);
});
