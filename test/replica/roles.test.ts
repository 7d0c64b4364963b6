/** Each role is made with what calls for it, and gone with all that it had when it ends. */
import test from "ava";
import { inside } from "../helpers/inside.ts";
import { Stage } from "./stage.ts";

function rolesOf(stage: Stage, name: string): string[] {
  const { primary, follower, candidacy } = inside(stage.replica(name));
  const roles = { primary, follower, candidacy };
  return Object.entries(roles).flatMap(([role, one]) => (one === null ? [] : [role]));
}

test("a takeover: the follower is dropped, a candidacy says whom it leaves out and what must be synced, and a primary is made", (t) => {
  const stage = Stage.normal();
  stage.do("alpha", "1");
  t.deepEqual([rolesOf(stage, "alpha"), rolesOf(stage, "beta")], [["primary"], ["follower"]]);
  stage.server("beta").held.add("compareAndSet");
  stage.kill("alpha");
  stage.tellGone("alpha");
  t.deepEqual(rolesOf(stage, "beta"), ["candidacy"]);
  const { candidacy } = inside(stage.replica("beta"));
  t.deepEqual(
    candidacy?.leavingOut.map(({ server }) => server),
    ["alpha"],
  );
  t.is(candidacy?.fence?.sequence, 1);
  stage.unhold("beta", "compareAndSet");
  stage.tick(2);
  t.deepEqual(rolesOf(stage, "beta"), ["primary"]);
});

test("a backup that is back lifts the candidacy of its primary, which goes on as the one that it was", (t) => {
  const stage = Stage.normal();
  const alpha = stage.replica("alpha");
  const { primary } = inside(alpha);
  stage.server("alpha").held.add("sync");
  stage.do("alpha", "1");
  stage.cuts.add("beta>alpha");
  stage.tick(6);
  t.is(alpha.state, "hot.fencing.syncing");
  t.deepEqual(rolesOf(stage, "alpha"), ["primary", "candidacy"]);
  stage.cuts.clear();
  stage.tick(2);
  t.is(alpha.state, "hot.normal");
  t.deepEqual(rolesOf(stage, "alpha"), ["primary"]);
  t.is(inside(alpha).primary, primary);
});

test("a switch leaves nothing of the role behind: who has it again begins anew", (t) => {
  const stage = Stage.normal();
  const first = inside(stage.replica("alpha")).primary;
  for (const name of ["alpha", "beta"]) {
    stage.replica(name).onSwitch(stage.nowMs);
    stage.server(name).hasInput = true;
    stage.run();
    stage.tick(3);
  }
  t.deepEqual([rolesOf(stage, "alpha"), rolesOf(stage, "beta")], [["primary"], ["follower"]]);
  const { primary } = inside(stage.replica("alpha"));
  t.not(primary, first);
  t.is(primary?.handover.why, "");
});
