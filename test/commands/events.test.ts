/** `twinlog events`: what servers remember and what they say meanwhile, each once and in its order. */
import test from "ava";
import type { ServerEvent } from "../../schemas/status.ts";
import { subjects } from "../../schemas/subjects.ts";
import { bytesOf } from "../helpers/hand-world.ts";
import { statusOf } from "../helpers/status-of.ts";
import { makeRig, type RigOptions } from "./rig.ts";

const nowMs = Date.now();
const eventOf = (server: string, agoMs: number, to: string): ServerEvent => ({
  service: "exchange",
  server,
  incarnation: "i1",
  machine: "lifecycle",
  event: "cas.won.normal",
  from: "hot.adding",
  to,
  why: `why ${to}`,
  epoch: 3,
  sequence: 10,
  atMs: nowMs - agoMs,
});

/** Two servers that speak and remember. */
function rigOf(remembered: Readonly<Record<string, readonly ServerEvent[]>>) {
  const rig = makeRig();
  const { bus, clock } = rig;
  const say = () => {
    for (const name of Object.keys(remembered))
      bus.publish(subjects.status("exchange", name), bytesOf(statusOf({ name, statusMs: 1_000 })));
    timer = clock.after(50, say);
  };
  let timer = clock.after(10, say);
  for (const [name, events] of Object.entries(remembered))
    bus.subscribe(subjects.actor("exchange", name, "failover"), ({ reply }) => {
      bus.publish(reply, bytesOf({ actor: "failover", events }));
    });
  const run = async (words: readonly string[], options?: RigOptions) => {
    const ran = await rig.run(["events", ...words], options);
    timer.cancel();
    return ran;
  };
  return { bus, clock, run };
}

test("a server that is slow to answer is waited for; of one that runs and does not, it is said that its words are missing", async (t) => {
  const slow = rigOf({ alpha: [eventOf("alpha", 9_000, "hot.alone")], gamma: [] });
  slow.bus.subscribe(subjects.actor("exchange", "beta", "failover"), ({ reply }) => {
    slow.clock.after(1_200, () =>
      slow.bus.publish(reply, bytesOf({ actor: "failover", events: [eventOf("beta", 6_000, "following.warm")] })),
    );
  });
  const say = (bus: typeof slow.bus) => () =>
    bus.publish(subjects.status("exchange", "beta"), bytesOf(statusOf({ name: "beta", statusMs: 60_000 })));
  slow.clock.after(5, say(slow.bus));
  const ran = await slow.run([]);
  t.is(ran.err, "");
  t.regex(ran.out, /alpha .*\n.*beta /);
  const still = rigOf({ alpha: [eventOf("alpha", 9_000, "hot.alone")] });
  still.bus.subscribe(subjects.actor("exchange", "beta", "failover"), () => undefined);
  still.clock.after(5, say(still.bus));
  const stop = new AbortController();
  still.clock.after(1_700, () => stop.abort());
  const since = still.clock.nowMs();
  await still.run([], { stopped: stop.signal });
  t.true(still.clock.nowMs() - since < 4_500, "Ctrl-C ends the wait");
  const again = rigOf({ alpha: [eventOf("alpha", 9_000, "hot.alone")] });
  again.bus.subscribe(subjects.actor("exchange", "beta", "failover"), () => undefined);
  again.clock.after(5, say(again.bus));
  const told = await again.run([]);
  t.is(told.status, 0);
  t.regex(
    told.err,
    /^twinlog: warning: beta does not answer, though NATS knows it: what it remembers is missing here\n$/,
  );
});

test("what servers remember is told in the order of its time, with the reason", async (t) => {
  const { run } = rigOf({
    alpha: [eventOf("alpha", 9_000, "hot.alone"), eventOf("alpha", 3_000, "hot.normal")],
    beta: [eventOf("beta", 6_000, "following.warm")],
  });
  const { out, status } = await run([]);
  t.is(status, 0);
  t.deepEqual(
    out.split("\n").map((line) => line.split("  ").slice(1).join("  ")),
    [
      "alpha  epoch 3  hot.adding → hot.alone: why hot.alone",
      "beta  epoch 3  hot.adding → following.warm: why following.warm",
      "alpha  epoch 3  hot.adding → hot.normal: why hot.normal",
      "",
    ],
  );
});

test("--since leaves out what is older, and --json says each as it was said", async (t) => {
  const young = eventOf("alpha", 1_000, "hot.normal");
  const { run } = rigOf({ alpha: [eventOf("alpha", 3_600_000, "hot.alone"), young] });
  const { out } = await run(["--since", "10m", "--json"]);
  t.deepEqual(
    out
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line)),
    [young],
  );
});

test("what happens meanwhile is told once; with --follow it goes on until it is stopped", async (t) => {
  const meanwhile = eventOf("alpha", 0, "hot.switching");
  const { bus, clock, run } = rigOf({ alpha: [eventOf("alpha", 1_000, "hot.normal"), meanwhile] });
  const stop = new AbortController();
  clock.after(100, () => bus.publish(subjects.event("exchange", "alpha"), bytesOf(meanwhile)));
  let isLate = false;
  const { out, status } = await run(["--follow"], {
    stopped: stop.signal,
    onOut: (text) => {
      if (text.includes("following.warm")) stop.abort();
      if (!text.includes("hot.switching") || isLate) return;
      isLate = true;
      bus.publish(subjects.event("exchange", "beta"), bytesOf(eventOf("beta", -500, "following.warm")));
    },
  });
  t.is(status, 0);
  t.deepEqual(
    [...out.matchAll(/→ (\S+):/g)].map(([, to]) => to),
    ["hot.normal", "hot.switching", "following.warm"],
  );
});

test("nobody answers: an error that says where it stands", async (t) => {
  const { run } = rigOf({});
  const { status, err } = await run([]);
  t.is(status, 1);
  t.regex(err, /no server of exchange answers: .*their logs/);
});
