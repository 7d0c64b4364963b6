/** An adding whose answer is unknown, and a joiner that is gone meanwhile (rules 3 and 8, situation 130). */
import test from "ava";
import type { RegistryRecord } from "../../schemas/registry.ts";
import { Stage } from "./stage.ts";

/** Alpha, alone with one record, has asked for beta; what became of that is unknown. `isGone`: beta has died since. */
function adding({ isGone }: { isGone: boolean }) {
  const stage = new Stage();
  stage.start("alpha");
  stage.tick(2);
  stage.do("alpha", "1");
  stage.server("alpha").held.add("compareAndSet");
  stage.start("beta");
  stage.tick(3);
  const first = stage.heldCas("alpha");
  stage.replies();
  if (isGone) {
    stage.kill("beta");
    stage.tellGone("beta");
  }
  stage.do("alpha", "2");
  stage.answerCas("alpha", first.record.writeId, { outcome: "unknown", reason: "timeout" });
  const second = stage.heldCas("alpha");
  return { stage, first, second, alpha: stage.replica("alpha"), before: stage.record };
}

const configurationOf = ({ epoch, inSync, durability, base }: RegistryRecord) => ({ epoch, inSync, durability, base });

test("it is forced by what there is, written again, and the primary is alone as it was", (t) => {
  const { stage, first, second, alpha, before } = adding({ isGone: true });
  t.deepEqual(configurationOf(second.record), configurationOf(before));
  t.is(second.expectedRevision, first.expectedRevision);
  t.deepEqual(stage.replies(), [], "until it is settled both configurations count");
  stage.answerCas("alpha", second.record.writeId, stage.compareAndSet(second));
  t.is(alpha.state, "hot.alone");
  t.deepEqual(stage.replies(), ["2: ok at 2"]);
  t.is(stage.compareAndSet(first).outcome, "lost", "what was asked for can not land any more");
  t.deepEqual(configurationOf(stage.record), configurationOf(before));
});

test("where the joiner lives the same is asked for again", (t) => {
  const { stage, first, second, alpha } = adding({ isGone: false });
  t.deepEqual(configurationOf(second.record), configurationOf(first.record));
  stage.answerCas("alpha", second.record.writeId, stage.compareAndSet(second));
  t.is(alpha.state, "hot.normal");
});

test("the adding that lands late all the same is won, and the joiner removed again", (t) => {
  for (const isHeard of [true, false]) {
    const { stage, first, second, alpha } = adding({ isGone: true });
    const answer = stage.compareAndSet(first);
    t.is(answer.outcome, "won");
    if (isHeard) stage.answerCas("alpha", first.record.writeId, answer);
    else stage.answerCas("alpha", second.record.writeId, stage.compareAndSet(second));
    stage.tick(2);
    t.deepEqual(stage.record.inSync.length, 2);
    t.deepEqual(stage.replies(), [], "the registry counts on one that is dead");
    t.is(alpha.state, "hot.fencing.asking", isHeard ? "the late answer says so" : "the registry says so");
    stage.unhold("alpha", "compareAndSet");
    t.is(alpha.state, "hot.alone");
    t.deepEqual(stage.replies(), ["2: ok at 2"]);
  }
});
