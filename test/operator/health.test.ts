/** What a server says it is good for, by its state: when each is a no, and why. */
import test from "ava";
import { type Health, healthOf, hungAfterMs, type LifeFacts, whyBehind } from "../../actors/operator/health.ts";
import type { ServerStatus } from "../../schemas/status.ts";
import type { TroubleCode } from "../../schemas/troubles.ts";
import { statusOf } from "../helpers/status-of.ts";

const trouble = (code: TroubleCode) => ({ troubles: [{ code, message: "alice's", sinceMs: 0 }] });

function asked(status: Partial<ServerStatus>, more: Partial<LifeFacts> = {}): Health {
  return healthOf({
    status: statusOf(status),
    beatAgeMs: 10,
    takesRequests: true,
    isConnected: true,
    lag: null,
    ...more,
  });
}

/** What is answered with yes. */
const yes = (health: Health) => Object.entries(health).flatMap(([name, why]) => (why === "" ? [name] : []));

const backup = { role: "backup", state: "following.warm", application: "warm" } as const;
const none = { role: "none", state: "waiting", application: "warm" } as const;

test("a primary that serves and a backup that could take over are ready, each in its place", (t) => {
  t.deepEqual(yes(asked({})), ["live", "up", "ready", "primary"]);
  t.deepEqual(yes(asked({ state: "hot.alone", mode: "primary-only" })), ["live", "up", "ready", "primary"]);
  t.deepEqual(yes(asked(backup)), ["live", "up", "ready", "backup"]);
  t.is(asked({}).backup, "it is the primary");
  t.is(asked(backup).primary, "it is a backup");
});

test("a primary that processes nothing is neither ready nor the primary, and says why", (t) => {
  const cases: [RegExp, Partial<ServerStatus>, Partial<LifeFacts>?][] = [
    [/not hot yet/, { application: "stopped" }],
    [/no connection to NATS/, {}, { isConnected: false }],
    [/leaves out a backup/, { state: "hot.fencing.asking" }],
    [/leaves out a backup/, { state: "hot.removing" }],
    [/handed over/, { state: "hot.switching" }, { takesRequests: false }],
    [/forbids this server to answer clients/, trouble("forbidden.replies")],
  ];
  for (const [why, status, more] of cases) {
    const health = asked(status, more);
    t.deepEqual(yes(health), ["live", "up"], String(why));
    t.regex(health.ready, why);
    t.regex(health.primary, why);
  }
  t.deepEqual(yes(asked(trouble("backup.lost"))), ["live", "up", "ready", "primary"], "it serves all the same");
});

test("a paused intake is the operator's wish: the server does its part, and processes nothing", (t) => {
  const paused = asked(trouble("intake.paused"));
  t.deepEqual(yes(paused), ["live", "up", "ready"]);
  t.regex(paused.primary, /operator paused the intake/);
  t.deepEqual(yes(asked({ ...backup, ...trouble("intake.paused") })), ["live", "up", "ready", "backup"]);
});

test("a backup that could not take over is not ready, and says why", (t) => {
  const cases: [RegExp, Partial<ServerStatus>, Partial<LifeFacts>?][] = [
    [/not warm yet/, { application: "stopped" }],
    [/changes its role/, { state: "following.unsettled" }],
    [/no connection to NATS/, {}, { isConnected: false }],
    [/registry does not answer/, trouble("registry.silent")],
    [/forbids this server to hear requests/, trouble("forbidden.requests")],
  ];
  for (const [why, status, more] of cases) {
    const health = asked({ ...backup, ...status }, more);
    t.deepEqual(yes(health), ["live", "up"], String(why));
    t.regex(health.ready, why);
  }
  t.deepEqual(yes(asked({ ...backup, ...trouble("link.main") })), ["live", "up", "ready", "backup"]);
});

test("a server that waits, for an operator or for another, is live and not ready, and says for what", (t) => {
  const waits = asked({ ...none, waitingFor: "an operator decides which server to go on with" });
  t.deepEqual(yes(waits), ["live", "up"]);
  t.is(waits.ready, "it is no member and waits: an operator decides which server to go on with");
  t.is(asked({ ...none, why: "the disk was read" }).ready, "it is no member (waiting): the disk was read");
});

test("a store that is being read is live alone; a life that ended is not up; one that does nothing is not live", (t) => {
  t.deepEqual(yes(healthOf(null)), ["live"]);
  t.deepEqual(yes(asked({ ...none, state: "failed" })), ["live"]);
  t.deepEqual(yes(asked({}, { beatAgeMs: hungAfterMs })), ["live", "up", "ready", "primary"]);
  const hung = asked({}, { beatAgeMs: hungAfterMs + 1 });
  t.deepEqual(yes(hung), []);
  t.regex(hung.live, /hangs: nothing was done for 30 s/);
});

test("no reason has the message of a trouble: it may name a client", (t) => {
  for (const code of ["forbidden.replies", "intake.paused", "registry.silent", "stamps.refused"] as const)
    for (const status of [trouble(code), { ...backup, ...trouble(code) }])
      t.notRegex(JSON.stringify(asked(status)), /alice/);
});

test("how far it may be behind is counted in records; what is not known is behind", (t) => {
  t.is(whyBehind(0, 0), "");
  t.is(whyBehind(5, 5), "");
  t.is(whyBehind(6, 5), "it is 6 records behind");
  t.regex(whyBehind(null, 1_000), /has not said/);
});
