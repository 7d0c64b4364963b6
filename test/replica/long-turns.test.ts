/** A primary whose turn lasts long: its heartbeats go out in between (rules 9, 15). */

import test from "ava";
import { inside } from "../helpers/inside.ts";
import { Stage } from "./stage.ts";

test("7. a primary that is busy with a burst is heard of by its backup, and takes no silence of its own for the backup's", (t) => {
  const stage = Stage.normal();
  const alpha = stage.replica("alpha");
  const before = inside(alpha).heartbeats.beat;
  for (let n = 1; n <= 40; n += 1) {
    stage.nowMs += 50;
    stage.ask("alpha", String(n));
    alpha.onLongRun(stage.nowMs);
    alpha.endTurn(stage.nowMs, stage.wallMs);
    // Its outbox is performed, and nothing is heard.
    for (const entry of alpha.outbox.splice(0)) stage.perform(stage.server("alpha"), entry);
  }
  t.is(inside(alpha).heartbeats.beat - before >= 40, true);
  stage.run();
  stage.tick();
  t.deepEqual(stage.states(), ["hot.normal", "following.warm"]);
  t.is(alpha.committed, 40);
});
