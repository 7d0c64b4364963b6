/** When the checkpoint actor begins a flush of its own accord. */
import test from "ava";
import type { CheckpointActorOptions } from "../../actors/checkpoint/checkpoint-actor.ts";
import { CheckpointActor } from "../../actors/checkpoint/checkpoint-actor.ts";
import { Durations } from "../../actors/operator/durations.ts";
import { Meters } from "../../actors/operator/meters.ts";
import { Limits } from "../../schemas/settings.ts";

const limits = Limits.parse({});

/** An actor with five committed records that no flush has taken; `begun` counts flushes, which never end. */
function waitingActor(): { actor: CheckpointActor; time: { ms: number }; begun: () => number } {
  const time = { ms: 0 };
  let begun = 0;
  const replica = {
    log: { bytesAbove: () => 100 },
    flushable: 5,
    flushPoint: (committed: number) => ({ committed, retainFrom: 1, meta: {} }),
  };
  const checkpoint = {
    state: "idle",
    applied: 0,
    synced: 0,
    flush: () => {
      begun += 1;
      return new Promise(() => undefined);
    },
  };
  const parts = {
    durations: new Durations([1]),
    meters: new Meters(),
    settings: { limits },
    world: { clock: { nowMs: () => time.ms } },
    mailbox: { watch: () => undefined },
    replica,
    checkpoint,
    onFlushed: () => undefined,
  };
  return { actor: new CheckpointActor(parts as unknown as CheckpointActorOptions), time, begun: () => begun };
}

test("a server that goes hot does not flush at once: clients that wait need the disk first", (t) => {
  const { actor, time, begun } = waitingActor();
  time.ms = limits.flushMs;
  actor.onHot();
  actor.consider();
  t.is(begun(), 0);
  time.ms += limits.flushMs;
  actor.consider();
  t.is(begun(), 1, "and then in its usual time");
});
