/** What troubles a replica, as operators are told: raised where it keeps a user from what was promised, null where all is well. */
import test from "ava";
import { limits, Stage } from "./stage.ts";
import { Server } from "./staged-server.ts";

const polls = Math.ceil(limits.registryPollMs / limits.heartbeatMs) + 1;

function troublesOf(stage: Stage, name: string): Record<string, string> {
  const open = stage.replica(name).troubles();
  return Object.fromEntries(open.flatMap(([code, message]) => (message === null ? [] : [[code, message]])));
}

test("two servers in sync have no trouble", (t) => {
  const stage = Stage.normal();
  t.deepEqual([troublesOf(stage, "alpha"), troublesOf(stage, "beta")], [{}, {}]);
});

test("a primary whose backup is lost says so until another is in sync, and what waits says for what", (t) => {
  const stage = Stage.normal();
  stage.kill("beta");
  stage.tellGone("beta");
  t.deepEqual(troublesOf(stage, "alpha"), {
    "backup.lost": "no backup is in sync (beta): a failover would not work",
    "peer.silent": "not heard any more: beta",
  });
  stage.kill("alpha");
  stage.start("beta");
  stage.tick(polls);
  t.deepEqual(Object.keys(troublesOf(stage, "beta")), ["server.waiting"]);
  t.regex(troublesOf(stage, "beta")["server.waiting"] ?? "", /waits for alpha/);
  stage.start("alpha");
  stage.tick(3 * polls);
  t.deepEqual([troublesOf(stage, "alpha"), troublesOf(stage, "beta")], [{}, {}]);
});

test("of three servers, one that is missing costs nothing while another is in sync", (t) => {
  const stage = Stage.normal({ servers: ["alpha", "beta", "gamma"] });
  stage.kill("gamma");
  stage.tellGone("gamma");
  t.deepEqual(troublesOf(stage, "alpha"), {
    "backup.missing": "not in sync: gamma",
    "peer.silent": "not heard any more: gamma",
  });
});

test("a registry that lost its record troubles every server that reads it", (t) => {
  const stage = Stage.normal();
  stage.registry = null;
  stage.tick(polls);
  t.regex(troublesOf(stage, "alpha")["registry.frozen"] ?? "", /record is gone/);
  t.regex(troublesOf(stage, "beta")["registry.frozen"] ?? "", /record is gone/);
});

test("a paused intake troubles the primary until it goes on", (t) => {
  const stage = Stage.normal();
  stage.replica("alpha").onPause(true, undefined, stage.nowMs);
  t.deepEqual(Object.keys(troublesOf(stage, "alpha")), ["intake.paused"]);
  stage.replica("alpha").onPause(false, undefined, stage.nowMs);
  t.deepEqual(troublesOf(stage, "alpha"), {});
});

test("a server that finds an empty directory where the registry counts on what it had says so; one that is new does not", (t) => {
  const fresh = new Stage();
  fresh.start("alpha");
  fresh.start("beta");
  t.false("disk.empty" in troublesOf(fresh, "alpha"), "a first start");
  t.false("disk.empty" in troublesOf(fresh, "beta"), "a joiner");
  const stage = Stage.normal();
  stage.kill("beta");
  stage.tellGone("beta");
  stage.start("beta");
  stage.tick(3 * polls);
  t.deepEqual(stage.states(), ["hot.normal", "following.warm"]);
  stage.do("alpha", "1");
  stage.kill("alpha");
  stage.kill("beta");
  stage.server("beta").disk = new Server("beta").disk;
  stage.start("beta");
  stage.tick(polls);
  t.regex(
    troublesOf(stage, "beta")["disk.empty"] ?? "",
    /empty at the start, but the registry counts on what beta had/,
  );
  stage.start("alpha");
  stage.tick(5 * polls);
  t.deepEqual(stage.states(), ["waiting", "waiting"], "the disk that was in sync is not there: an operator decides");
  t.is(stage.replica("alpha").onRecover([], stage.nowMs), null);
  stage.server("alpha").hasInput = true;
  stage.tick(5 * polls);
  t.deepEqual(stage.states(), ["hot.normal", "following.warm"]);
  t.deepEqual(troublesOf(stage, "beta"), {});
});

test("a member whose directory was empty at its start has what it was given since: it says nothing of that while it takes over", (t) => {
  const stage = Stage.normal();
  stage.isFull = true;
  stage.kill("alpha");
  stage.tick(polls);
  t.regex(stage.replica("beta").state, /^candidate/);
  t.false("disk.empty" in troublesOf(stage, "beta"));
  stage.isFull = false;
  stage.tick(3 * polls);
  t.is(stage.replica("beta").state, "hot.alone");
  t.false("disk.empty" in troublesOf(stage, "beta"));
});

test("18. a peer that is lost, or heard over NATS alone, and a registry that is silent, are told, and are over when they are back", (t) => {
  const stage = Stage.normal();
  stage.cuts.add("alpha>beta main").add("beta>alpha main");
  for (const [name, peer] of [
    ["alpha", "beta"],
    ["beta", "alpha"],
  ] as const)
    stage.replica(name).onLink(peer, "main", false, stage.nowMs);
  stage.tick(2);
  for (const name of ["alpha", "beta"]) t.deepEqual(Object.keys(troublesOf(stage, name)), ["link.main"]);
  stage.unanswered.add("alpha");
  stage.tick(polls + Math.ceil(limits.registryTimeoutMs / limits.heartbeatMs));
  t.regex(troublesOf(stage, "alpha")["registry.silent"] ?? "", /the registry does not answer: timeout/);
  t.is(troublesOf(stage, "beta")["registry.silent"], undefined);
  stage.replica("alpha").onBus(false, stage.nowMs);
  t.is(troublesOf(stage, "alpha")["registry.silent"], undefined, "it has no NATS, and that is said instead");
  stage.replica("alpha").onBus(true, stage.nowMs);
  stage.unanswered.clear();
  stage.cuts.clear();
  stage.tick(polls);
  t.deepEqual([troublesOf(stage, "alpha"), troublesOf(stage, "beta")], [{}, {}]);
});
