/** An adding whose answer is unknown, and a joiner that is gone meanwhile (rules 3 and 8, situation 130). */
import test from "ava";
import { InvariantError } from "../../machines/replica/invariant-error.ts";
import type { Rules } from "../../machines/replica/rules.ts";
import type { RegistryRecord } from "../../schemas/registry.ts";
import { Stage } from "./stage.ts";

/** Alpha, alone with one record, has asked for beta; what became of that is unknown. `isGone`: beta has died since. */
function adding({ isGone, rules = {} }: { isGone: boolean; rules?: Partial<Rules> }) {
  const stage = new Stage({ rules });
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

/** As an operator puts it back who finds that it is the newest record. */
const putBack = (record: RegistryRecord): RegistryRecord => ({
  ...record,
  epoch: record.epoch + 3,
  writeId: "operator",
  previousWriteId: record.writeId,
  restoredFrom: record.epoch,
});

test("what there was, written again and put back before its writer saw that it landed, is no win of the adding (rule 3, situation 142)", (t) => {
  const { stage, second, alpha } = adding({ isGone: true });
  t.is(stage.compareAndSet(second).outcome, "won");
  stage.registry = { record: putBack(stage.record), revision: 1 };
  stage.server("alpha").held.clear();
  stage.tick(10);
  t.is(alpha.state, "hot.alone");
  t.deepEqual(stage.replies(), ["2: ok at 2"]);
  stage.start("beta");
  stage.tick(10);
  t.deepEqual(stage.states(), ["hot.normal", "following.warm"], "and takes the next one in");
});

test("a server that would ask for ever, with nothing open, ends: another one can go on (invariant 10)", (t) => {
  const { stage, second } = adding({
    isGone: true,
    rules: { isWhatWasAskedFor: (writeId, tries) => tries.includes(writeId) },
  });
  stage.compareAndSet(second);
  stage.registry = { record: putBack(stage.record), revision: 1 };
  t.throws(() => stage.tick(10), { instanceOf: InvariantError, message: /hot\.adding, and nothing is open$/ });
});

test("an adding that is put back after its primary took it back counts on one that is gone: it is removed (situation 142)", (t) => {
  const { stage, first, second, alpha } = adding({ isGone: true });
  stage.answerCas("alpha", second.record.writeId, stage.compareAndSet(second));
  t.is(alpha.state, "hot.alone");
  // It had landed all the same, and beta had read it, before the registry went back.
  stage.registry = { record: putBack(first.record), revision: 1 };
  stage.do("alpha", "3");
  stage.replies();
  stage.server("alpha").held.clear();
  stage.tick(10);
  t.is(alpha.state, "hot.alone");
  t.deepEqual(
    stage.record.inSync.map(({ incarnation }) => incarnation),
    ["alpha.1"],
  );
  stage.do("alpha", "4");
  t.deepEqual(stage.replies(), ["4: ok at 4"]);
});

test("who is alone in what is put back is alone, though it knows of another member (situation 142)", (t) => {
  const stage = Stage.normal();
  const alone = stage.record.inSync.filter(({ server }) => server === "alpha");
  const base = stage.replica("alpha").standing();
  stage.registry = {
    record: {
      ...putBack(stage.record),
      inSync: alone,
      durability: "disk",
      base: { sequence: base.last, hash: base.hash },
    },
    revision: 1,
  };
  stage.server("alpha").held.add("compareAndSet");
  stage.cuts.add("beta>alpha").add("alpha>beta");
  stage.tick(10);
  t.is(stage.replica("alpha").state, "hot.alone");
  stage.do("alpha", "1");
  stage.stop("alpha");
  stage.tick(2);
  t.is(stage.server("alpha").replica, null, "and may exit: its disk has everything");
  t.deepEqual(stage.replies(), ["1: ok at 1"]);
});

test("a question that an operator answered with a new history is lost, though the record names it (rule 18, situation 142)", (t) => {
  const { stage, first, alpha } = adding({ isGone: false });
  t.is(stage.compareAndSet(first).outcome, "won");
  const inSync = [{ server: "alpha", incarnation: "none", disk: "disk of alpha" }];
  const primary = { server: "alpha", incarnation: "none" };
  const { restoredFrom = 0 } = { restoredFrom: alpha.standing().memberEpoch };
  stage.registry = {
    record: {
      ...putBack(stage.record),
      history: "h9",
      primary,
      inSync,
      durability: "disk",
      restoredFrom,
      base: { sequence: 2, hash: alpha.log.closed.hash },
    },
    revision: 1,
  };
  stage.server("alpha").held.clear();
  stage.take();
  stage.tick(10);
  t.true(stage.take().includes("alpha: deposed.unnamed -> deposed"));
  stage.start("alpha");
  stage.tick(10);
  t.is(stage.record.history, "h9");
  t.is(stage.replica("alpha").state.startsWith("hot"), true);
});
