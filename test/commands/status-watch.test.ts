/** `twinlog status --watch` asks again and again: each round must leave nothing behind. */
import { getEventListeners } from "node:events";
import test from "ava";
import { openNodeClock } from "../../actors/world/clock-node.ts";
import type { Bus, BusMessage, Clock } from "../../actors/world/ports.ts";
import { ask } from "../../deploy/commands/ask.ts";
import { gatherStatus } from "../../deploy/commands/status.ts";
import type { ServerStatus, ServiceStatus } from "../../schemas/status.ts";
import { subjects } from "../../schemas/subjects.ts";
import { bytesOf, TestBus, TestClock } from "../helpers/hand-world.ts";
import { statusOf } from "../helpers/status-of.ts";
import { makeRig } from "./rig.ts";

test("a server whose status comes seldom is waited for where another hears it, and no longer than that", async (t) => {
  const clock = openNodeClock();
  const bus = new TestBus(clock);
  const { signal } = new AbortController();
  const alpha = statusOf({ statusMs: 2_000, peers: [{ name: "beta", silentMs: 20 }] });
  const beta = statusOf({ name: "beta", incarnation: "i2", peers: [{ name: "alpha", silentMs: 20 }] });
  const say = (status: ServerStatus) => bus.publish(subjects.status("exchange", status.name), bytesOf(status));
  clock.after(5, () => say(alpha));
  clock.after(300, () => say(beta));
  const namesOf = ({ servers }: ServiceStatus) => servers.map(({ name }) => name);
  t.deepEqual(namesOf(await gatherStatus(bus, clock, "exchange", 50, signal)), ["alpha", "beta"]);
  const since = clock.nowMs();
  clock.after(5, () => say(alpha));
  t.deepEqual(namesOf(await gatherStatus(bus, clock, "exchange", 50, signal)), ["alpha"]);
  t.true(clock.nowMs() - since >= 900, "beta was heard lately for so long");
});

/** Timers that are due by then run before what has come is read. */
function heldUp(forMs: number): void {
  const since = performance.now();
  while (performance.now() - since < forMs);
}

test("what came while this process was held up is heard before it is judged: statuses, and answers", async (t) => {
  const clock = openNodeClock();
  const { signal } = new AbortController();
  const listeners: ((message: BusMessage) => void)[] = [];
  const bus = {
    subscribe: (_: string, onMessage: (message: BusMessage) => void) => {
      listeners.push(onMessage);
      return { stop: () => undefined };
    },
    onFault: () => ({ stop: () => undefined }),
    inbox: () => "_INBOX.x",
    publish: () => true,
  } as unknown as Bus;
  const said = { subject: "exchange.status.alpha", reply: "", data: bytesOf(statusOf({ statusMs: 25 })) };
  const say = () => listeners.splice(0).forEach((listener) => void listener(said));
  const holdUp = () =>
    setImmediate(() => {
      heldUp(200);
      setImmediate(say);
    });
  clock.after(20, holdUp);
  const asked = await ask(bus, clock, "anything", {}, 60);
  t.is(asked.outcome, "answered");
  clock.after(20, holdUp);
  const { servers } = await gatherStatus(bus, clock, "exchange", 60, signal);
  t.deepEqual(
    servers.map(({ name }) => name),
    ["alpha"],
  );
});

/** It is later at a second look in the same turn, as on a machine that does something else in between. */
class SlowClock extends TestClock {
  #lastMs = -1;
  #spentMs = 0;
  override nowMs(): number {
    const nowMs = super.nowMs();
    this.#spentMs = nowMs === this.#lastMs ? this.#spentMs + 70 : 0;
    this.#lastMs = nowMs;
    return nowMs + this.#spentMs;
  }
}

test("who speaks often is not silent because the verdict took its time", async (t) => {
  const clock = new SlowClock();
  const bus = new TestBus(clock);
  const peers = (name: string) => [{ name, silentMs: 5 }];
  const both = [
    statusOf({ statusMs: 25, peers: peers("beta") }),
    statusOf({ name: "beta", incarnation: "i2", statusMs: 25, peers: peers("alpha") }),
  ];
  const say = () => {
    for (const status of both) bus.publish(subjects.status("exchange", status.name), bytesOf(status));
    clock.after(25, say);
  };
  say();
  const gathering = gatherStatus(bus, clock, "exchange", 55, new AbortController().signal);
  await clock.run(200);
  t.is((await gathering).servers.length, 2);
});

test("where nobody has spoken yet it is listened for a while longer, and no longer than that", async (t) => {
  const clock = openNodeClock();
  const bus = new TestBus(clock);
  const { signal } = new AbortController();
  const alpha = statusOf({ statusMs: 2_000 });
  clock.after(600, () => bus.publish(subjects.status("exchange", alpha.name), bytesOf(alpha)));
  t.is((await gatherStatus(bus, clock, "exchange", 50, signal)).servers.length, 1);
  const since = clock.nowMs();
  t.is((await gatherStatus(bus, clock, "exchange", 50, signal)).servers.length, 0);
  t.true(clock.nowMs() - since < 4_500, "not the 5 s of one that others hear");
});

test("check ends within its time, whoever is waited for", async (t) => {
  const rig = makeRig();
  const status = statusOf({ peers: [{ name: "beta", silentMs: 20 }] });
  const say = () => {
    rig.bus.publish(subjects.status("exchange", status.name), bytesOf(status));
    timer = rig.clock.after(100, say);
  };
  let timer = rig.clock.after(5, say);
  const since = rig.clock.nowMs();
  const ran = await rig.run(["check", "--timeout", "1500"]);
  timer.cancel();
  t.is(ran.status, 2);
  t.regex(ran.out, /beta: its status does not come, though other servers hear it/);
  t.true(rig.clock.nowMs() - since < 4_500, "and not the 5 s that others wait");
});

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
    soon: (run: () => void) => run(),
  } as unknown as Clock;
  const stop = new AbortController();
  const round = gatherStatus(bus, clock, "s", 10, stop.signal, 0);
  t.is(getEventListeners(stop.signal, "abort").length, 1);
  ends[0]?.();
  t.deepEqual((await round).servers, []);
  t.is(getEventListeners(stop.signal, "abort").length, 0);
  const interrupted = gatherStatus(bus, clock, "s", 10, stop.signal, 0);
  stop.abort();
  await interrupted;
  t.is(getEventListeners(stop.signal, "abort").length, 0);
});
