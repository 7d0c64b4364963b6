/** What an operator begins at the console: it is what the command line does, told while it goes on, one thing at a time. */
import test from "ava";
import { Actions, type ActionView } from "../../deploy/console/actions.ts";
import { offeredActions } from "../../deploy/console/offered.ts";
import type { View } from "../../deploy/console/view.ts";
import type { ServiceStatus } from "../../schemas/status.ts";
import { parseControlSubject, subjects } from "../../schemas/subjects.ts";
import { bytesOf, TestBus, TestClock } from "../helpers/hand-world.ts";
import { statusOf } from "../helpers/status-of.ts";

function begin(status: Partial<ServiceStatus> = {}) {
  const clock = new TestClock();
  const bus = new TestBus(clock);
  const told: ActionView[] = [];
  const service: ServiceStatus = {
    service: "exchange",
    mode: "normal",
    epoch: 3,
    history: "h",
    serving: true,
    failoverReady: true,
    reasons: [],
    servers: [
      statusOf({ incarnation: "alpha-1" }),
      statusOf({ name: "beta", incarnation: "beta-1", role: "backup", application: "warm" }),
    ],
    silent: [],
    ...status,
  };
  const view = {
    hot: "alpha",
    servers: service.servers.map(({ name, incarnation }) => ({ name, incarnation, heat: "hot" })),
    actions: offeredActions(service, true),
  } as unknown as View;
  const actions = new Actions({ service: "exchange", clock, bus, view: () => view, onAction: (one) => told.push(one) });
  const asked: [string, unknown][] = [];
  const answers = new Map<string, object>();
  for (const name of ["alpha", "beta"])
    bus.subscribe(subjects.controls("exchange", name), ({ subject, data, reply }) => {
      asked.push([subject, JSON.parse(Buffer.from(data).toString())]);
      bus.publish(
        reply,
        bytesOf(answers.get(parseControlSubject(subject)?.verb ?? "") ?? { ok: true, message: "it is done" }),
      );
    });
  return { clock, bus, actions, told, asked, answers };
}

const offered = (status: Partial<ServiceStatus>, isKnown = true) =>
  Object.fromEntries(
    offeredActions({ service: "exchange", epoch: 3, servers: [], ...status } as unknown as ServiceStatus, isKnown).map(
      ({ verb, why }) => [verb, why],
    ),
  );

test("what is offered follows what servers say, and says why not", (t) => {
  const alpha = statusOf({ incarnation: "alpha-1" });
  const beta = statusOf({ name: "beta", incarnation: "beta-1", role: "backup", application: "warm" });
  const can = {
    switch: "",
    pause: "",
    resume: "the intake is not paused",
    "pause-failover": "",
    "resume-failover": "failover is not paused",
    flush: "",
  };
  t.deepEqual(offered({ servers: [alpha, beta] }), can);
  t.is(offered({ servers: [alpha] }).switch, "no backup is in sync");
  const paused = { ...alpha, troubles: [{ code: "intake.paused", message: "paused", sinceMs: 1 }] };
  t.like(offered({ servers: [paused, beta] }), { pause: "the intake is paused", resume: "" });
  const held = { ...beta, troubles: [{ code: "failover.paused", message: "paused", sinceMs: 1 }] };
  t.like(offered({ servers: [held] }), { "pause-failover": "nobody processes requests", "resume-failover": "" });
  t.like(offered({ servers: [alpha, held] }), { "pause-failover": "failover is paused", "resume-failover": "" });
  t.like(offered({ servers: [beta] }), { switch: "nobody processes requests", flush: "" });
  t.is(offered({}).flush, "no server speaks");
  for (const why of Object.values(offered({ servers: [alpha, beta] }, false)))
    t.is(why, "what the servers do now is not known");
});

test("a switch asks the primary that was shown, in its operator's name, and is told until another is hot and how long clients waited", async (t) => {
  const { clock, bus, actions, told, asked } = begin();
  t.is(actions.begin({ verb: "switch" }, "olga"), null);
  t.like(told.at(-1), { verb: "switch", label: "Switch", by: "olga", state: "going on", lines: [] });
  await clock.run(10);
  t.deepEqual(asked, [["exchange.control.alpha.switch.olga", { incarnation: "alpha-1", by: "olga" }]]);
  t.deepEqual(told.at(-1)?.lines, ["alpha: it is done"]);
  t.is(actions.begin({ verb: "flush" }, "ivan"), "olga's switch goes on: wait for its end");
  const event = { service: "exchange", server: "alpha", incarnation: "alpha-1", machine: "lifecycle", event: "e" };
  const step = { ...event, from: "hot.normal", to: "hot.switching", why: "", epoch: 3, sequence: 1, atMs: 1 };
  bus.publish(subjects.event("exchange", "alpha"), bytesOf(step));
  await clock.run(42);
  const ready = { signal: "ready", service: "exchange", server: "beta", incarnation: "beta-1", epoch: 4 };
  bus.publish(subjects.signal("exchange"), bytesOf({ ...ready, history: "h", sequence: 9 }));
  await clock.run(1);
  t.like(told.at(-1), { state: "done" });
  t.is(told.at(-1)?.lines.at(-1), "beta is hot, epoch 4; clients were without answers for 42 ms");
  t.is(actions.begin({ verb: "flush" }, "ivan"), null, "the next one may begin");
});

test("a pause carries its time, a flush asks every server, and a refusal is the end of it", async (t) => {
  const { clock, actions, told, asked, answers } = begin();
  t.is(actions.begin({ verb: "pause", forMs: 60_000 }, "olga"), null);
  await clock.run(10);
  t.deepEqual(asked.at(-1), [
    "exchange.control.alpha.pause.olga",
    { incarnation: "alpha-1", by: "olga", forMs: 60_000 },
  ]);
  t.is(told.at(-1)?.state, "done");
  actions.begin({ verb: "flush" }, "olga");
  await clock.run(10);
  t.deepEqual(told.at(-1)?.lines, ["alpha: it is done", "beta: it is done"]);
  answers.set("switch", { ok: false, message: "no backup is ready to take the role" });
  actions.begin({ verb: "switch" }, "olga");
  await clock.run(10);
  t.like(told.at(-1), { state: "failed", lines: ["alpha: no backup is ready to take the role"] });
});
