/** The last epoch that a record can have (rule 15): who has seen it asks for nothing more, says so, and ends of nothing. */
import test from "ava";
import { restoration } from "../../machines/replica/registry/restoration.ts";
import { shippedRules } from "../../machines/replica/rules.ts";
import { maxEpoch } from "../../schemas/ranges.ts";
import { maxLeft } from "../../schemas/registry.ts";
import { Stage } from "./stage.ts";

/** The registry's record is of the last epoch, as alpha, the primary, finds it. */
function atTheEnd(): Stage {
  const stage = Stage.normal();
  const record = { ...stage.record, epoch: maxEpoch, writeId: "last", previousWriteId: stage.record.writeId };
  stage.registry = { record, revision: 1_000 };
  stage.tick(20);
  return stage;
}

test("a record of the last epoch is accepted, and nobody asks for another one", (t) => {
  const stage = atTheEnd();
  t.is(stage.replica("beta").epochSeen, maxEpoch);
  stage.kill("alpha");
  stage.tellGone("alpha");
  stage.tick(30);
  t.is(stage.record.epoch, maxEpoch);
  t.is(stage.record.writeId, "last");
  t.false(stage.replica("beta").hot);
  const told = new Map(stage.replica("beta").troubles());
  t.regex(told.get("registry.frozen") ?? "", /epoch 4294967295 was seen, the last that a record can have/);
});

test("force begins nothing above it, and no registry is put back above it", (t) => {
  const stage = atTheEnd();
  stage.kill("beta");
  stage.kill("alpha");
  stage.start("beta");
  stage.tick(20);
  t.regex(stage.replica("beta").onRecover([], stage.nowMs) ?? "", /the last that a record can have/);
  stage.tick(5);
  t.is(stage.replica("beta").state, "refusing");
  const facts = {
    service: "stage",
    standings: [stage.replica("beta").standing()],
    silent: ["alpha"],
    present: null,
    acceptsLoss: true,
    writeId: "w",
    history: "h9",
    rules: shippedRules,
  };
  t.is(restoration(facts).outcome, "refused");
});

test("so many let themselves go in one epoch, and the next one waits for its primary (clean stop)", (t) => {
  const outcomes = [maxLeft - 1, maxLeft].map((count) => {
    const stage = new Stage();
    stage.start("alpha");
    stage.tick(2);
    stage.do("alpha", "1");
    stage.do("alpha", "2", { isSlow: true });
    stage.stop("alpha");
    const left = Array.from({ length: count }, (_, at) => `gone.${at}`);
    stage.registry = { record: { ...stage.record, left, writeId: "more" }, revision: 1_000 };
    stage.tick(10);
    stage.start("beta");
    stage.tick(4);
    stage.cuts.add("beta>alpha");
    stage.stop("beta");
    stage.tick();
    stage.kill("alpha");
    stage.tellGone("alpha");
    stage.tick(5);
    return [stage.server("beta").replica === null, stage.record.left?.length];
  });
  t.deepEqual(outcomes, [
    [true, maxLeft],
    [false, maxLeft],
  ]);
});
