/** The console listens: the view follows what servers say, what happened is told once, and nothing that is made up fills its memory. */
import test from "ava";
import { Rate } from "../../deploy/console/rate.ts";
import type { Mark, Sample } from "../../deploy/console/series.ts";
import { type Entry, maxEntries, Timeline } from "../../deploy/console/timeline.ts";
import type { View } from "../../deploy/console/view.ts";
import { ConsoleWatch } from "../../deploy/console/watch.ts";
import { answerBounds, type ServerEvent, type ServerStatus } from "../../schemas/status.ts";
import { subjects } from "../../schemas/subjects.ts";
import { bytesOf, TestBus, TestClock } from "../helpers/hand-world.ts";
import { statusOf } from "../helpers/status-of.ts";

/** As long as a message takes on the bus in memory. */
const wayMs = 0.1;
const record = (name: string, ...inSync: string[]) => {
  const member = (server: string) => ({ server, incarnation: `${server}-1` });
  return { primary: member(name), inSync: inSync.map(member) };
};
const peers = (name: string) => [{ name, silentMs: 5 }];

/** A process that is held up: time goes on, and its timers come late. */
class StallingClock extends TestClock {
  #stalledMs = 0;
  stall(ms: number): void {
    this.#stalledMs += ms;
  }
  override nowMs(): number {
    return super.nowMs() + this.#stalledMs;
  }
}

function begin() {
  const clock = new StallingClock();
  const bus = new TestBus(clock);
  const views: View[] = [];
  const entries: Entry[] = [];
  const samples: Sample[] = [];
  const marks: Mark[] = [];
  const watch = new ConsoleWatch({
    service: "exchange",
    clock,
    onView: (view) => views.push(view),
    onEntry: (entry) => entries.push(entry),
    onSample: (sample) => samples.push(sample),
    onMark: (mark) => marks.push(mark),
  });
  watch.start(bus);
  const alpha = (more: Partial<ServerStatus> = {}) =>
    statusOf({ incarnation: "alpha-1", record: record("alpha", "alpha", "beta"), peers: peers("beta"), ...more });
  const beta = (more: Partial<ServerStatus> = {}) =>
    alpha({
      name: "beta",
      incarnation: "beta-1",
      role: "backup",
      application: "warm",
      state: "following.warm",
      peers: peers("alpha"),
      ...more,
    });
  const say = (...statuses: ServerStatus[]) => {
    for (const status of statuses) bus.publish(subjects.status("exchange", status.name), bytesOf(status));
  };
  const event = (more: Partial<ServerEvent>) =>
    bus.publish(
      subjects.event("exchange", "beta"),
      bytesOf({
        service: "exchange",
        server: "beta",
        incarnation: "beta-1",
        machine: "lifecycle",
        event: "x",
        from: "a",
        to: "b",
        why: "w",
        epoch: 3,
        sequence: 1,
        atMs: clock.wallMs(),
        ...more,
      }),
    );
  /** Both speak, four times a second. */
  const speak = async (forMs: number, ...statuses: (() => ServerStatus)[]) => {
    for (let ms = 0; ms < forMs; ms += 250) {
      say(...statuses.map((status) => status()));
      await clock.run(250);
    }
  };
  return { clock, bus, watch, views, entries, samples, marks, alpha, beta, say, event, speak };
}
const told = (entries: readonly Entry[]) =>
  entries.map(({ kind, server, what }) => [kind, server, what].join(" ").replace("  ", " "));

test("at first it listens; then it says the registry's record and the verdict, once", async (t) => {
  const { views, entries, alpha, beta, speak } = begin();
  await speak(
    500,
    () => alpha(),
    () => beta(),
  );
  t.is(views.at(-1)?.verdict, "unknown");
  t.deepEqual(entries, []);
  await speak(
    2_000,
    () => alpha(),
    () => beta(),
  );
  t.is(views.at(-1)?.verdict, "ready");
  t.deepEqual(told(entries), [
    "registry epoch 3, normal: primary alpha, in sync alpha, beta",
    "verdict a failover would work now",
  ]);
});

test("once a second there is a sample of what the primary and the processes say, and a mark where the role has moved", async (t) => {
  const { watch, samples, marks, alpha, beta, speak } = begin();
  let results = 0;
  const answered = Array.from({ length: answerBounds.length + 1 }, () => 0);
  const busy = () => {
    results += 25;
    answered[3] = results;
    return { results, load: { residentBytes: 7_000, answered: [...answered] } };
  };
  await speak(
    10_000,
    () => alpha(busy()),
    () => beta({ load: { residentBytes: 4_000, answered: [] } }),
  );
  t.true(samples.length >= 9 && samples.length <= 11, `${samples.length}`);
  const last = samples.at(-1);
  t.is(Math.round(last?.requestsPerSecond ?? 0), 100);
  t.like(last, { medianMs: 3.75, p99Ms: 4.975, residentBytes: { alpha: 7_000, beta: 4_000 } });
  const gaps = samples.slice(1).map(({ atMs }, at) => atMs - (samples[at]?.atMs ?? 0));
  t.true(
    gaps.every((gap) => gap >= 750 && gap <= 1_250),
    gaps.join(" "),
  );
  t.deepEqual(marks, []);
  const one = { record: record("beta", "beta"), epoch: 4 };
  await speak(4_000, () =>
    beta({ ...one, role: "primary", application: "hot", state: "hot.alone", mode: "backup-only" }),
  );
  t.deepEqual(
    marks.map(({ what }) => what),
    ["beta took alpha's place, epoch 4"],
  );
  t.deepEqual(watch.series.told, { samples, marks });
});

test("a transition is told at once with its reason, and its moment can be seen again", async (t) => {
  const { clock, watch, views, entries, alpha, beta, say, event, speak } = begin();
  await speak(
    1_500,
    () => alpha(),
    () => beta(),
  );
  const before = views.length;
  event({ event: "primary.lost.alone", from: "following.warm", to: "candidate.syncing", why: "alpha is gone" });
  say(beta({ state: "candidate.asking" }));
  await clock.run(65);
  t.is(views.length, before + 1, "not only with the next beat");
  const entry = entries.at(-1);
  t.like(entry, {
    kind: "transition",
    server: "beta",
    what: "following.warm → candidate.syncing",
    why: "alpha is gone",
  });
  const then = watch.timeline.viewAt(entry?.id ?? 0)?.servers.find(({ name }) => name === "beta");
  t.is(then?.state, "candidate.syncing", "as it was then, although the server has gone on");
  t.is(then?.machines[0]?.last?.event, "primary.lost.alone");
});

test("a takeover is told: silence, the registry's change, the verdict; and the one that comes back speaks again", async (t) => {
  const { entries, alpha, beta, speak } = begin();
  await speak(
    1_500,
    () => alpha(),
    () => beta(),
  );
  entries.length = 0;
  const alone = { role: "primary", application: "hot", state: "hot.alone", epoch: 4, mode: "backup-only" } as const;
  const taken = () => beta({ ...alone, record: record("beta", "beta"), peers: [{ name: "alpha", silentMs: 2_000 }] });
  await speak(1_500, taken);
  const words = told(entries);
  t.true(words.includes("silence alpha is silent"));
  t.true(words.includes("registry epoch 4, backup-only: primary beta, in sync beta"));
  t.true(words.some((word) => word.startsWith("verdict a failover would not work now: beta is alone")));
  t.is(new Set(words).size, words.length, "each once");
  await speak(500, taken, () => alpha({ role: "none", incarnation: "alpha-2", pid: 77, state: "waiting", epoch: 4 }));
  t.true(told(entries).includes("silence alpha speaks again (process 77)"));
});

test("what machines without events do is seen from one status to the next; a flush is no news", async (t) => {
  const { watch, entries, alpha, beta, speak } = begin();
  const machines = (link: string, checkpoint: string) => ({
    machines: { application: "hot", checkpoint, links: [{ peer: "beta", state: link }], mirrors: [] },
  });
  await speak(
    1_500,
    () => alpha(machines("peer.main", "idle")),
    () => beta(),
  );
  entries.length = 0;
  await speak(
    250,
    () => alpha(machines("peer.failsafe", "flushing")),
    () => beta(),
  );
  t.deepEqual(told(entries), ["transition alpha link to beta: peer.main → peer.failsafe"]);
  const shown = watch.view.servers[0]?.machines ?? [];
  t.like(shown.find(({ machine }) => machine === "checkpoint")?.last, { from: "idle", to: "flushing", event: "" });
});

test("NATS lost: the last view stays and says since when it is old; nobody is taken for silent afterwards", async (t) => {
  const { clock, watch, views, entries, alpha, beta, speak } = begin();
  await speak(
    1_500,
    () => alpha(),
    () => beta(),
  );
  const lastMs = clock.wallMs() - 250 + wayMs;
  watch.onNats(false);
  await clock.run(5_000);
  t.like(views.at(-1), { natsConnected: false, staleSinceMs: lastMs, verdict: "unknown", mode: "normal" });
  t.is(views.at(-1)?.servers.length, 2);
  watch.onNats(true);
  await speak(
    2_000,
    () => alpha(),
    () => beta(),
  );
  t.like(views.at(-1), { natsConnected: true, staleSinceMs: null, verdict: "ready" });
  t.deepEqual(told(entries).slice(2), ["nats NATS is lost", "nats NATS is back"]);
});

test("whoever is held up himself takes nobody for silent: what was said meanwhile is heard first", async (t) => {
  const { clock, views, entries, alpha, beta, speak } = begin();
  await speak(
    1_500,
    () => alpha(),
    () => beta(),
  );
  const shown = entries.length;
  clock.stall(3_000);
  // Its timers come before what waits to be read.
  await clock.run(250);
  await speak(
    1_500,
    () => alpha(),
    () => beta(),
  );
  t.is(views.at(-1)?.verdict, "ready");
  t.true(views.every(({ servers }) => servers.every(({ heat }) => heat !== "silent")));
  t.is(entries.length, shown);
});

test("what an operator did is told, as its server says it and as it ended, and is no step of any machine", async (t) => {
  const { clock, watch, entries, alpha, beta, event, speak } = begin();
  const all = [() => alpha(), () => beta()];
  await speak(1_500, ...all);
  event({
    server: "beta",
    machine: "operator",
    event: "pause",
    from: "x",
    to: "x",
    why: "pause by olga: intake is paused",
  });
  watch.onAction({ id: 1, verb: "pause", label: "Pause", by: "olga", atMs: 1, state: "going on", lines: [] });
  watch.onAction({
    id: 1,
    verb: "pause",
    label: "Pause",
    by: "olga",
    atMs: 1,
    state: "failed",
    lines: ["a", "it has not"],
  });
  await clock.run(100);
  const done = entries.filter(({ kind }) => kind === "action");
  t.deepEqual(told(done), ["action beta pause", "action pause by olga: failed"]);
  t.deepEqual(
    done.map(({ why }) => why),
    ["pause by olga: intake is paused", "it has not"],
  );
  const shown = watch.timeline.viewAt(done[0]?.id ?? 0)?.servers.find(({ name }) => name === "beta");
  t.is(shown?.state, "following.warm");
  t.is(shown?.machines[0]?.last, null);
});

test("when all have fallen silent it says so, and since when, with what was known last", async (t) => {
  const { clock, views, alpha, beta, speak } = begin();
  await speak(
    1_500,
    () => alpha(),
    () => beta(),
  );
  await clock.run(4_000);
  t.like(views.at(-1), { verdict: "down", sentence: "no server of exchange speaks", mode: "normal", epoch: 3 });
  t.is(views.at(-1)?.staleSinceMs, clock.wallMs() - 4_250 + wayMs);
});

test("requests per second are those of one primary's count; another's is not set against it", (t) => {
  const rate = new Rate();
  t.is(rate.perSecond(0), null);
  for (let ms = 0; ms <= 2_000; ms += 250) rate.note("a", ms / 5, ms);
  t.is(rate.perSecond(2_000), 200);
  rate.note("b", 9_000, 2_100);
  t.is(rate.perSecond(2_100), null);
  t.is(rate.perSecond(9_999), null, "old counts say nothing of now");
});

test("junk, other services, made-up names and floods of events change nothing, and fill no memory", async (t) => {
  const { clock, bus, watch, views, entries, alpha, beta, say, event, speak } = begin();
  await speak(
    1_500,
    () => alpha(),
    () => beta(),
  );
  const shown = entries.length;
  for (const data of ["", "{", '{"service":"exchange"}', `"${"x".repeat(70_000)}"`])
    bus.publish(subjects.status("exchange", "alpha"), Buffer.from(data));
  say(alpha({ service: "other", epoch: 99 }), alpha({ why: "x".repeat(70_000), epoch: 99 }));
  await clock.run(100);
  t.deepEqual([views.at(-1)?.epoch, entries.length], [3, shown]);
  for (let at = 0; at < 500; at += 1)
    say(alpha({ name: `s${at}`, incarnation: `i${at}`, role: "none", epoch: 1, record: null }));
  for (let at = 0; at < 2 * maxEntries; at += 1) event({ why: "y".repeat(5_000) });
  await clock.run(100);
  t.true((views.at(-1)?.servers.length ?? 0) <= 66);
  t.is(watch.timeline.entries.length, maxEntries);
  t.true(watch.timeline.entries.every(({ why }) => why.length <= 400));
});

test("the timeline keeps the newest, and a moment that is gone is gone", (t) => {
  const timeline = new Timeline();
  const view = { mode: "normal" } as View;
  for (let at = 0; at < maxEntries + 5; at += 1)
    timeline.add({ kind: "nats", server: "", what: String(at), why: "", atMs: at }, view);
  t.is(timeline.entries[0]?.what, "5");
  t.is(timeline.viewAt(5), undefined);
  t.is(timeline.viewAt(6), view);
});

test("for how long a failover left clients without answers is an entry of its own, and no step of a machine", async (t) => {
  const { clock, watch, entries, alpha, beta, event, speak } = begin();
  await speak(
    1_500,
    () => alpha(),
    () => beta(),
  );
  event({ from: "candidate.asking", to: "hot.alone", why: "won epoch 4" });
  const why = "clients were without answers for some 214 ms: from alpha's last word";
  event({ machine: "failover", event: "failover.done", from: "hot.alone", to: "hot.alone", why, gapMs: 214 });
  await clock.run(65);
  const entry = entries.at(-1);
  t.like(entry, {
    kind: "failover",
    server: "beta",
    what: "took over: clients without answers for some 214 ms",
    why,
  });
  const shown = watch.timeline.viewAt(entry?.id ?? 0)?.servers.find(({ name }) => name === "beta");
  t.is(shown?.machines.find(({ machine }) => machine === "lifecycle")?.last?.why, "won epoch 4");
});
