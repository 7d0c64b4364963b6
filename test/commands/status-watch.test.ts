/** `twinlog status --watch` asks again and again: each round must leave nothing behind. */
import { getEventListeners } from "node:events";
import test from "ava";
import type { Bus, Clock } from "../../actors/world/ports.ts";
import { gatherStatus } from "../../deploy/commands/status.ts";

test("after a round nobody listens on the signal any more, whether time or Ctrl-C ended it", async (t) => {
  const held = () => ({ stop: () => undefined });
  const bus = { subscribe: held, onFault: held } as unknown as Bus;
  const ends: (() => void)[] = [];
  const clock = {
    nowMs: () => 0,
    after: (_: number, run: () => void) => {
      ends.push(run);
      return { cancel: () => undefined };
    },
  } as unknown as Clock;
  const stop = new AbortController();
  const round = gatherStatus(bus, clock, "s", 10, stop.signal);
  t.is(getEventListeners(stop.signal, "abort").length, 1);
  ends[0]?.();
  t.deepEqual((await round).servers, []);
  t.is(getEventListeners(stop.signal, "abort").length, 0);
  const interrupted = gatherStatus(bus, clock, "s", 10, stop.signal);
  stop.abort();
  await interrupted;
  t.is(getEventListeners(stop.signal, "abort").length, 0);
});
