/** Operator's force (rule 18): it never goes on from an older copy while a newer one is at hand, nor beside a primary that serves. */
import test from "ava";
import { copyName, newestOfOthers, ownCopy } from "../../machines/replica/registry/copies.ts";
import { inside } from "../helpers/inside.ts";
import { limits, Stage } from "./stage.ts";
import { emptyDisk } from "./staged-server.ts";

const polls = Math.ceil(limits.registryPollMs / limits.heartbeatMs) + 1;
const heard = Math.ceil(limits.suspicionMs / limits.heartbeatMs) + 2;

/** Alpha stops, beta serves alone and stops, and its disk is lost: alpha's is older, and the newest that there is. */
function emptyBetaAndAlpha(): Stage {
  const stage = Stage.normal();
  for (const id of ["1", "2"]) stage.do("alpha", id);
  stage.server("alpha").disk.log = stage.replica("alpha").log.clone();
  stage.stop("alpha");
  stage.tick(10);
  for (const id of ["3", "4"]) stage.do("beta", id);
  stage.stop("beta");
  stage.tick(10);
  stage.server("beta").disk = { ...emptyDisk("another"), startCount: 10 };
  for (const name of ["alpha", "beta"]) stage.start(name);
  stage.tick(polls + heard);
  stage.take();
  return stage;
}

function recover(stage: Stage, name: string, despite: readonly string[] = []): string | null {
  const answer = stage.replica(name).onRecover(despite, stage.nowMs);
  stage.server(name).hasInput = true;
  stage.run();
  stage.tick(polls);
  return answer;
}

test("force does not go on from an empty disk while an older server with records is at hand, and names it (rule 18)", (t) => {
  const stage = emptyBetaAndAlpha();
  t.deepEqual(stage.states(), ["waiting", "refusing"]);
  const alpha = copyName(ownCopy(inside(stage.replica("alpha")).core));
  t.is(alpha, "alpha@h1/3/2");
  t.true(recover(stage, "beta")?.includes(`alpha is at hand with a newer copy, ${alpha}`));
  t.is(stage.replica("beta").state, "refusing");
  t.is(recover(stage, "alpha"), null);
  t.true(stage.replica("alpha").hot);
  t.is(stage.replica("alpha").log.last, 3, "its two records, and that of the new history");
});

test("what a server that waits or refuses advises is never to recover an empty or older one where more is known (rule 18)", (t) => {
  const stage = emptyBetaAndAlpha();
  t.regex(stage.replica("beta").waitingFor, /recover by force on alpha \(it has alpha@h1\/3\/2, this server less\)/);
  // Alpha is silent now; what it had is remembered.
  stage.kill("alpha");
  stage.tick(heard + polls);
  t.regex(stage.replica("beta").waitingFor, /recover by force on alpha/);
  stage.kill("beta");
  stage.start("beta");
  stage.tick(heard + polls);
  t.regex(stage.replica("beta").waitingFor, /recover by force on a server that has a log: this one has none/);
});

test("a newer copy that is of no use is set aside by its name, and by no other (rule 18)", (t) => {
  const stage = emptyBetaAndAlpha();
  t.regex(recover(stage, "beta", ["alpha@h1/3/1"]) ?? "", /newer copy, alpha@h1\/3\/2/);
  t.is(recover(stage, "beta", ["alpha@h1/3/2"]), null);
  t.is(stage.record.primary.server, "beta");
  t.not(stage.record.history, "h1");
});

test("a newer copy that turns up between the command and what follows from it ends the recovery (rule 18)", (t) => {
  const stage = emptyBetaAndAlpha();
  stage.kill("alpha");
  stage.tellGone("alpha");
  stage.tick(polls);
  stage.server("beta").held.add("readRegistry");
  const { epoch } = stage.record;
  t.is(stage.replica("beta").onRecover([], stage.nowMs), null, "alpha is not at hand");
  stage.start("alpha");
  stage.unhold("beta", "readRegistry");
  stage.tick(polls);
  t.is(stage.record.epoch, epoch, "nothing was asked for");
  t.deepEqual(stage.states(), ["waiting", "refusing"]);
});

test("force waits until it is known who is there: a server that has just begun says so (rule 18)", (t) => {
  const stage = emptyBetaAndAlpha();
  stage.kill("alpha");
  stage.kill("beta");
  stage.start("beta");
  stage.tick(1);
  t.regex(recover(stage, "beta") ?? "", /not known yet whether alpha is there: ask again/);
  stage.tick(heard + polls);
  t.is(recover(stage, "beta"), null, "alpha is silent: what it has is lost, and that was accepted");
});

test("force is refused while the registry's primary serves, on a server that may not join it (rule 18)", (t) => {
  const stage = Stage.normal();
  stage.do("alpha", "1");
  stage.kill("beta");
  stage.tellGone("beta");
  stage.tick(polls);
  stage.server("beta").disk = { ...emptyDisk("another"), startCount: 10 };
  stage.schemas.set("beta", "another program");
  stage.start("beta");
  stage.tick(heard + polls);
  t.deepEqual(stage.states(), ["hot.alone", "refusing"]);
  t.regex(recover(stage, "beta", ["alpha@h1/3/1"]) ?? "", /alpha is the primary and serves/);
  t.deepEqual(stage.states(), ["hot.alone", "refusing"]);
});

test("a command is obeyed by the incarnation that its asker saw, and by no other of its name (rule 1)", (t) => {
  const stage = Stage.normal();
  const alpha = stage.replica("alpha");
  t.is(alpha.whyNotMeant("alpha.1", true), null);
  t.is(alpha.whyNotMeant(undefined, false), null, "a mild one may name nobody");
  t.regex(alpha.whyNotMeant(undefined, true) ?? "", /Name its incarnation: this is alpha\.1/);
  t.regex(alpha.whyNotMeant("alpha.7", false) ?? "", /alpha\.7 was meant/);
});

test("a server tells its copy, the last result in it, and the newest record that it knew before it began (rule 18)", (t) => {
  const stage = Stage.normal();
  for (const id of ["1", "2"]) stage.do("alpha", id);
  const told = stage.replica("beta").standing();
  t.like(told, {
    server: "beta",
    disk: "disk of beta",
    history: "h1",
    last: 2,
    lastEpoch: 3,
    lastResult: 2,
    hot: false,
  });
  t.true(told.lastStampMs > 0);
  t.is(newestOfOthers(inside(stage.replica("beta")).core, true), null);
  stage.registry = null;
  stage.kill("beta");
  stage.start("beta");
  t.deepEqual(stage.replica("beta").standing().record, stage.replica("alpha").standing().record);
});
