/** What the primary decides to forget is forgotten by all servers at the same record (rule 12, invariant 5). */

import test from "ava";
import { shippedRules } from "../../machines/replica/rules.ts";
import { inside } from "../helpers/inside.ts";
import { limits, Stage } from "./stage.ts";

test("a turn that is confirmed in pieces: both servers have forgotten the same at each of them", (t) => {
  const stage = Stage.normal({ replica: { limits: { ...limits, rememberReplies: 2 } } });
  for (const id of ["1", "2", "3", "4"]) stage.do("alpha", id);
  stage.tick(3);
  const { alpha, beta } = { alpha: stage.replica("alpha"), beta: stage.replica("beta") };
  t.is(inside(alpha).core.applied.requests.forgotten, inside(beta).core.applied.requests.forgotten);
  const before = inside(alpha).core.applied.requests.forgotten;
  // One turn of several records; the follower's word of the last ones is late.
  stage.cuts.add("beta>alpha");
  for (const id of ["5", "6", "7"]) stage.ask("alpha", id);
  stage.run();
  const whole = stage.lastSent("beta", "confirm");
  t.is(whole.sequence, 7);
  t.is(alpha.committed, 4);
  stage.forge("beta", "alpha", { ...whole, sequence: 5, hash: alpha.log.hashAt(5) ?? 0 });
  t.is(alpha.committed, 5);
  stage.tick(3);
  t.is(beta.committed, 5, "the next mirror says how far it is committed");
  t.true(inside(alpha).core.applied.requests.forgotten > before);
  t.is(inside(alpha).core.applied.requests.forgotten, inside(beta).core.applied.requests.forgotten);
});

test("what a server chose to forget as an earlier primary, and no record carried, hides nothing that it inherits when it is one again", (t) => {
  const stage = Stage.normal({ replica: { limits: { ...limits, rememberReplies: 2 } } });
  for (const id of ["1", "2", "3", "4"]) stage.do("alpha", id);
  const { requests } = inside(stage.replica("alpha")).core.applied;
  const chosen = requests.forgetThrough;
  t.true(chosen > requests.forgotten, "chosen, and carried by no record yet");
  // The next primary chose the same, in a record that this one inherits uncommitted.
  requests.expectForget(5, chosen);
  t.true(requests.forgotten < chosen);
  requests.onCommitted(5, shippedRules);
  t.is(requests.forgotten, chosen);
});
