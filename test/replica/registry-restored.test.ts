/** A registry that went back and was restored by its operator: everybody goes on (situations 7, 8; invariant 10). */
import test from "ava";
import { Stage } from "./stage.ts";

for (const more of [0, -1, 3]) {
  test(`the record comes back ${more} revisions on, while a compare-and-set is lost`, (t) => {
    const stage = Stage.normal();
    const { record, revision } = { record: stage.record, revision: stage.registry?.revision ?? 0 };
    stage.registry = { record: { ...record, epoch: record.epoch - 1, writeId: "older" }, revision: revision - 2 };
    stage.kill("beta");
    stage.server("alpha").held.add("readRegistry");
    stage.tellGone("beta");
    t.is(stage.replica("alpha").state, "hot.fencing.asking");
    stage.registry = { record, revision: revision + more };
    stage.unhold("alpha", "readRegistry");
    stage.tick(10);
    t.is(stage.replica("alpha").state, "hot.alone");
    stage.do("alpha", "r1");
    t.deepEqual(stage.replies(), ["r1: ok at 1"]);
  });
}

test("the record that is known, put once more, deposes nobody", (t) => {
  const stage = Stage.normal();
  stage.registry = { record: stage.record, revision: (stage.registry?.revision ?? 0) + 3 };
  stage.tick(10);
  t.deepEqual(stage.states(), ["hot.normal", "following.warm"]);
  stage.kill("beta");
  stage.tellGone("beta");
  stage.tick(10);
  t.deepEqual(stage.states(), ["hot.alone", "down"]);
});
