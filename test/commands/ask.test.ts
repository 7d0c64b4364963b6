/** One question to many: how long is waited for whom. */
import test from "ava";
import { openNodeClock } from "../../actors/world/clock-node.ts";
import { askAll } from "../../deploy/commands/ask.ts";
import { bytesOf, TestBus } from "../helpers/hand-world.ts";

test("where nobody listens nothing is waited for beyond the time that all have", async (t) => {
  const clock = openNodeClock();
  const bus = new TestBus(clock);
  bus.subscribe("there", ({ reply }) => bus.publish(reply, bytesOf(1)));
  const since = clock.nowMs();
  t.deepEqual(await askAll(bus, clock, ["there", "nobody"], 20), { answers: [1], unanswered: [], nobody: ["nobody"] });
  t.true(clock.nowMs() - since < 4_500);
});
