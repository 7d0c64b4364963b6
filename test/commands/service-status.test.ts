/** What many servers say, as one statement: who is silent, who serves, and whether a failover would work, with the reasons. */
import test from "ava";
import { duration, StatusGathering } from "../../deploy/commands/service-status.ts";
import { statusText } from "../../deploy/commands/status-text.ts";
import type { ServerStatus } from "../../schemas/status.ts";
import { statusOf } from "../helpers/status-of.ts";

const record = {
  primary: { server: "alpha", incarnation: "i1" },
  inSync: [
    { server: "alpha", incarnation: "i1" },
    { server: "beta", incarnation: "i2" },
  ],
};
const peersOf = (silentMs: number | null, name = "beta") => [{ name, silentMs }];
const alpha = statusOf({ record, peers: peersOf(80) });
const beta = statusOf({
  name: "beta",
  role: "backup",
  application: "warm",
  state: "following.warm",
  incarnation: "i2",
  record,
  peers: peersOf(90, "alpha"),
});

/** What was heard when, and what follows at `nowMs`. */
function told(words: readonly (readonly [atMs: number, status: ServerStatus])[], nowMs = 800) {
  const gathering = new StatusGathering();
  for (const [atMs, status] of words) gathering.onStatus(status, atMs);
  return gathering.conclude("exchange", nowMs);
}
const now = (...statuses: ServerStatus[]) => told(statuses.map((status) => [700, status] as const));
const codesOf = ({ reasons }: ReturnType<typeof told>) => reasons.map(({ server, code }) => `${server} ${code}`.trim());

test("a pair in sync is ready, and nothing speaks against it", (t) => {
  t.like(now(beta, alpha), { serving: true, failoverReady: true, mode: "normal", epoch: 3 });
  t.deepEqual(now(alpha, beta).reasons, []);
});

test("where nobody serves because the registry lost its record, that is told first", (t) => {
  const waiting = statusOf({
    ...beta,
    role: "none",
    state: "waiting",
    troubles: [{ code: "registry.frozen", message: "the record is gone", sinceMs: 1 }],
  });
  t.deepEqual(codesOf(now(waiting)).slice(0, 2), ["beta registry.frozen", "primary.missing"]);
});

test("a server that says nothing here while others hear it is waited for, and then told as one whose status does not come", (t) => {
  const gathering = new StatusGathering();
  gathering.onStatus(beta, 700);
  t.true(gathering.isAwaiting(800), "beta heard alpha 190 ms before");
  t.regex(
    gathering
      .conclude("exchange", 800)
      .reasons.map(({ message }) => message)
      .join(),
    /its status does not come, though/,
  );
  gathering.onStatus({ ...beta, peers: peersOf(950, "alpha") }, 1_700);
  t.true(gathering.isAwaiting(1_740));
  t.false(gathering.isAwaiting(1_750), "nobody hears it any more");
  t.regex(
    gathering
      .conclude("exchange", 1_750)
      .reasons.map(({ message }) => message)
      .join(),
    /silent for 1\.0 s/,
  );
  gathering.onStatus(alpha, 1_760);
  t.false(gathering.isAwaiting(1_760));
  t.true(gathering.conclude("exchange", 1_770).failoverReady);
});

test("a server that has missed its beats while others hear it is waited for: it is late, and its next word counts", (t) => {
  const gathering = new StatusGathering();
  gathering.onStatus({ ...alpha, statusMs: 25 }, 700);
  gathering.onStatus({ ...beta, peers: peersOf(10, "alpha") }, 790);
  t.false(gathering.conclude("exchange", 800).serving);
  t.true(gathering.isAwaiting(800));
  gathering.onStatus({ ...alpha, statusMs: 25 }, 810);
  t.false(gathering.isAwaiting(815));
  t.true(gathering.conclude("exchange", 815).failoverReady);
  gathering.onStatus({ ...alpha, statusMs: 25, state: "stopped" }, 830);
  t.false(gathering.isAwaiting(900), "it said that it stops");
});

test("the dead primary beside the new one is listed as silent, and its word counts no more", (t) => {
  const taken = {
    ...beta,
    role: "primary",
    application: "hot",
    epoch: 4,
    mode: "backup-only",
    peers: peersOf(500, "alpha"),
  };
  const status = told([
    [50, alpha],
    [60, beta],
    [300, alpha],
    [420, taken as ServerStatus],
    [780, taken as ServerStatus],
  ]);
  t.deepEqual(
    status.servers.map(({ name, role }) => [name, role]),
    [["beta", "primary"]],
  );
  t.deepEqual(status.silent, [{ name: "alpha", silentMs: 520 }]);
  t.deepEqual(codesOf(status), ["alpha server.silent"]);
  t.notRegex(statusText(status), /up\/up.*\n.*up\/up/);
});

test("a server that missed its beats is silent, even where nobody else has noticed", (t) => {
  const status = told([
    [100, beta],
    [150, alpha],
    [700, alpha],
  ]);
  t.deepEqual(status.silent, [{ name: "beta", silentMs: 180 }], "what alpha heard of it over the links counts");
  t.false(status.failoverReady);
  t.true(status.serving);
});

test("a deposed primary that goes on speaking is no primary, in the table neither", (t) => {
  const successor = { ...beta, role: "primary", application: "hot", epoch: 4, mode: "backup-only" } as const;
  const status = now(alpha, successor);
  t.true(status.serving);
  t.regex(statusText(status), /alpha +primary of 3 /);
});

test("a server that stops says so with its last word, and is silent from then on", (t) => {
  const status = now(alpha, { ...beta, role: "none", state: "stopped" });
  t.deepEqual(
    status.silent.map(({ name }) => name),
    ["beta"],
  );
});

test("a new life of a server replaces the one before; two that both go on speaking under one name are both shown", (t) => {
  const again = { ...beta, incarnation: "i3", role: "none", application: "stopped" } as const;
  const restarted = told([
    [100, beta],
    [400, again],
    [650, again],
    [650, alpha],
  ]);
  t.deepEqual(
    restarted.servers.map(({ incarnation }) => incarnation),
    ["i1", "i3"],
  );
  const doubled = told([
    [300, beta],
    [310, again],
    [550, beta],
    [560, again],
    [560, alpha],
  ]);
  t.deepEqual(doubled.servers.map(({ incarnation }) => incarnation).sort(), ["i1", "i2", "i3"]);
  t.false(doubled.failoverReady);
  t.regex(doubled.reasons[0]?.message ?? "", /two servers speak under this name: i[23] .* i[23] /);
});

test("nobody is primary: neither headline nor mode says that all is well", (t) => {
  const waiting = {
    ...beta,
    role: "none",
    waitingFor: "waits for alpha",
    peers: peersOf(61_000 * 2, "alpha"),
  } as const;
  const troubles = [{ code: "server.waiting", message: "waits for alpha", sinceMs: 0 }];
  const status = now({ ...waiting, troubles });
  t.deepEqual(codesOf(status), ["primary.missing", "beta server.waiting", "alpha server.silent"]);
  const [first, second] = statusText(status).split("\n");
  t.is(first, "exchange: no requests are processed now, no primary speaks");
  t.regex(second ?? "", /^the registry, as it was seen last: mode normal/);
  t.regex(statusText(status), /alpha +silent 2 min/);
});

test("a primary whose mode is normal is not called alone because its backup does not speak", (t) => {
  const status = now(alpha);
  t.deepEqual(codesOf(status), ["beta server.silent"]);
  t.regex(statusText(status), /would not work now\n/);
  t.notRegex(statusText(status), /alone/);
});

test("a trouble of primary or backup that costs the failover is a reason; one that costs nothing is told and is none", (t) => {
  const frozen = { code: "registry.frozen", message: "the registry went back", sinceMs: 0 };
  const lossy = { code: "log.lost", message: "3 lines are lost", sinceMs: 0 };
  const unknown = { code: "of.a.newer.program", message: "news", sinceMs: 0 };
  t.deepEqual(codesOf(now({ ...alpha, troubles: [frozen] }, beta)), ["alpha registry.frozen"]);
  t.deepEqual(codesOf(now(alpha, { ...beta, troubles: [unknown] })), ["beta of.a.newer.program"]);
  const ready = now({ ...alpha, troubles: [lossy] }, beta);
  t.true(ready.failoverReady);
  t.regex(statusText(ready), /3 lines are lost/);
});

test("one line says where the runbook has what to do, for every reason that it knows", (t) => {
  const troubles = [{ code: "of.a.newer.program", message: "news", sinceMs: 0 }];
  const text = statusText(now({ ...alpha, troubles, peers: [...alpha.peers, { name: "gamma", silentMs: null }] }));
  t.regex(text, /^what to do: deploy\/RUNBOOK\.md#server-silent$/m);
  const frozen = { code: "registry.frozen", message: "the registry went back", sinceMs: 0 };
  t.regex(
    statusText(now({ ...alpha, troubles: [frozen] })),
    /^what to do: deploy\/RUNBOOK\.md#registry-frozen, #server-silent$/m,
  );
  t.notRegex(statusText(now(alpha, beta)), /RUNBOOK/);
});

test("a paused intake is no service, although a failover would work", (t) => {
  const troubles = [{ code: "intake.paused", message: "an operator paused the intake", sinceMs: 0 }];
  const status = now({ ...alpha, troubles }, beta);
  t.like(status, { serving: false, failoverReady: true });
  t.regex(
    statusText(status),
    /no requests are processed now, although a primary speaks\n(.*\n)- alpha: an operator paused/,
  );
});

test("a primary that is alone by its mode has no backup, whoever speaks as one", (t) => {
  const status = now({ ...alpha, mode: "primary-only", record: null }, beta);
  t.false(status.failoverReady);
  t.deepEqual(codesOf(status), ["alpha backup.lost"]);
});

test("a backup that the record does not count on makes nobody ready", (t) => {
  const alone = { ...record, inSync: record.inSync.slice(0, 1) };
  t.deepEqual(codesOf(now({ ...alpha, record: alone }, beta)), ["alpha backup.lost"]);
});

test("of three servers, one that is silent costs nothing while another could take over", (t) => {
  const status = now({ ...alpha, peers: [...alpha.peers, { name: "gamma", silentMs: null }] }, beta);
  t.true(status.failoverReady);
  t.deepEqual(status.reasons, []);
  t.deepEqual(status.silent, [{ name: "gamma", silentMs: null }]);
});

test("on a terminal no line is wider than it, and the names stay", (t) => {
  const waiting = { ...beta, role: "none", waitingFor: "word ".repeat(60).trim(), sequence: 123_456_789_012 } as const;
  const text = statusText(now({ ...alpha, peers: peersOf(3_000) }, waiting), 80);
  for (const line of text.split("\n")) t.true(line.length <= 80, line);
  t.regex(text, /^alpha +primary /m);
  t.regex(text, /^beta +none /m);
});

test("durations are said in one unit", (t) => {
  const said = [80, 1_500, 12_345, 125_000, 7_300_000, 200_000_000].map(duration);
  t.deepEqual(said, ["0.1 s", "1.5 s", "12 s", "2 min", "2 h", "2 d"]);
});

test("how many timers are set is told, and when the next one is due by the log's time", (t) => {
  const lineOf = (timers: ServerStatus["timers"], nowMs = 1_000_000) =>
    statusText(now({ ...alpha, timers, time: { nowMs, apartMs: 0 } }, beta)).split("\n")[2];
  t.is(lineOf({ count: 2, nextMs: 1_012_000 }), "2 timers are set, the next one in 12 s");
  t.is(lineOf({ count: 1, nextMs: 940_000 }), "1 timer is set, the next one due for 60 s");
  t.is(lineOf({ count: 3, nextMs: null }), "3 timers are set", "when is not known here");
  t.is(lineOf({ count: 0, nextMs: null }), "");
  const ofBackup = statusText(now(alpha, { ...beta, timers: { count: 2, nextMs: 1 } }));
  t.notRegex(ofBackup, /timer/, "of the primary alone");
});
