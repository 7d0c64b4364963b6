/** Which record the simulated registry takes for the newest that anybody may act by, whatever was done to it since. */
import test from "ava";
import { SimRegistryState } from "../../../actors/testing/world/sim-registry.ts";
import { initialRecord } from "../../../machines/replica/registry/initial-record.ts";
import type { RegistryRecord } from "../../../schemas/registry.ts";

const recordOf = (epoch: number, writeId: string, previousWriteId: string, more: Partial<RegistryRecord> = {}) => ({
  ...initialRecord("sim", "alpha", "h1"),
  epoch,
  writeId,
  previousWriteId,
  ...more,
});

/** Epoch 5 was put back as epoch 7, and the registry goes back to epoch 5. */
function restoredAndGoneBack(): SimRegistryState {
  const state = new SimRegistryState();
  state.write(recordOf(5, "five", "four"));
  state.onAnswered(state.current);
  state.onAnswered(state.write(recordOf(7, "seven", "five", { restoredFrom: 5 })));
  state.rollBack(1);
  return state;
}

test("what is won on the record that was put back follows upon both, and is the newest", (t) => {
  const state = restoredAndGoneBack();
  t.deepEqual([state.current?.record.epoch, state.newest?.epoch], [5, 7]);
  state.write(recordOf(6, "six", "five"));
  t.is(state.newest?.epoch, 6);
});

test("what was asked for on another record and lands late, for revisions began anew, is not the newest", (t) => {
  const gone = restoredAndGoneBack();
  gone.write(recordOf(6, "six", "other"));
  t.is(gone.newest?.epoch, 7);
  const over = new SimRegistryState();
  over.onAnswered(over.write(recordOf(7, "seven", "five", { restoredFrom: 5 })));
  over.write(recordOf(4, "four", "three"));
  t.is(over.newest?.epoch, 7);
});
