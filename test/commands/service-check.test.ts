/** `twinlog check`: each line by what the servers say, which of them is critical, and that it is never quiet about what it does not know. */
import test from "ava";
import { checkNobody, checkService } from "../../deploy/commands/service-check.ts";
import { StatusGathering } from "../../deploy/commands/service-status.ts";
import { anchorOf } from "../../deploy/runbook.ts";
import { type CheckLevel, type CheckName, checkKinds, checkOf } from "../../schemas/check.ts";
import type { ServerStatus } from "../../schemas/status.ts";
import { subjects } from "../../schemas/subjects.ts";
import type { Surroundings } from "../../schemas/surroundings.ts";
import { type TroubleCode, troubleKinds } from "../../schemas/troubles.ts";
import { bytesOf } from "../helpers/hand-world.ts";
import { statusOf } from "../helpers/status-of.ts";
import { makeRig } from "./rig.ts";

const dayMs = 86_400_000;
const GiB = 1024 ** 3;
const nowMs = 1_000 * dayMs;
const around: Surroundings = {
  disk: { freeBytes: 50 * GiB, sizeBytes: 100 * GiB, storeBytes: GiB },
  broker: { version: "2.11.4", warnings: [{ kind: "untold", says: "cannot be asked" }] },
  certificates: [{ file: "/tls/alpha.crt", untilMs: nowMs + 90 * dayMs }],
  backup: null,
  resultsStream: null,
};
const record = {
  primary: { server: "alpha", incarnation: "i1" },
  inSync: [
    { server: "alpha", incarnation: "i1" },
    { server: "beta", incarnation: "i2" },
  ],
};
const peers = (name: string) => [{ name, silentMs: 80, aheadMs: 12 }];
const alpha = statusOf({ record, peers: peers("beta"), surroundings: around });
const beta = statusOf({
  name: "beta",
  role: "backup",
  application: "warm",
  state: "following.warm",
  incarnation: "i2",
  record,
  peers: peers("alpha"),
  surroundings: around,
});
const waiting = { ...beta, role: "none", state: "waiting", application: "stopped" } as const;

function checked(servers: readonly ServerStatus[], skip: readonly CheckName[] = [], backupWithinMs?: number) {
  const gathering = new StatusGathering();
  for (const server of servers) gathering.onStatus(server, 700);
  const status = gathering.conclude("exchange", 800);
  return checkService({ status, nowMs, skipped: new Set(skip), certificates: [], backupWithinMs });
}
const troubled = (server: ServerStatus, code: string): ServerStatus => ({
  ...server,
  troubles: [{ code, message: `about ${code}`, sinceMs: 0 }],
});
const withAround = (changes: Partial<Surroundings>): ServerStatus => ({
  ...alpha,
  surroundings: { ...around, ...changes },
});
const certificate = (leftMs: number): ServerStatus =>
  withAround({ certificates: [{ file: "/tls/alpha.crt", untilMs: nowMs + leftMs }] });
const room = (freeBytes: number, storeBytes = GiB): ServerStatus =>
  withAround({ disk: { freeBytes, sizeBytes: 100 * GiB, storeBytes } });
const warned = (kind: "unsafe" | "old" | "bucket"): ServerStatus =>
  withAround({ broker: { version: "2.9.10", warnings: [{ kind, says: `about ${kind}` }] } });
const { surroundings: _, ...silentAround } = alpha;
const lone = { ...record, inSync: record.inSync.slice(0, 1) };

test("a pair in sync: every line is ok", (t) => {
  const { level, failoverReady, checks } = checked([alpha, beta]);
  t.deepEqual([level, failoverReady], ["ok", true]);
  t.deepEqual(
    checks.filter((line) => line.level !== "ok" || line.see !== "" || line.codes.length > 0),
    [],
  );
  t.deepEqual(
    checks.map(({ name }) => name),
    (Object.keys(checkKinds) as CheckName[]).filter((name) => name !== "others"),
  );
});

test("the last backup is the newest that a server tells of; it is too old only where somebody says what is", (t) => {
  const hourMs = dayMs / 24;
  const backup = (agoMs: number) => ({ atMs: nowMs - agoMs, sequence: 7 });
  const taken = { ...beta, surroundings: { ...around, backup: backup(3 * hourMs) } };
  const older = withAround({ backup: backup(9 * hourMs) });
  const line = (servers: ServerStatus[], withinMs?: number) => {
    const { level = "ok", says = "" } =
      checked(servers, [], withinMs).checks.find(({ name }) => name === "last-backup") ?? {};
    return [level, says];
  };
  const three = "the last was taken 3 h ago, as of record 7";
  t.deepEqual(line([older, taken]), ["ok", three]);
  t.deepEqual(line([older, taken], 3 * hourMs), ["ok", three]);
  t.deepEqual(line([older, taken], 3 * hourMs - 1), [
    "warning",
    `${three}, and one within 2 h is wanted: \`twinlog backup FILE\``,
  ]);
  t.is(line([alpha, beta])[0], "ok");
  t.deepEqual(line([alpha, beta], hourMs), [
    "warning",
    "no server knows of one, and one within 60 min is wanted: `twinlog backup FILE`",
  ]);
  const { backup: __, ...untold } = around;
  t.is(line([{ ...alpha, surroundings: untold }], hourMs)[0], "unknown", "a program from before");
});

const gamma = { name: "gamma", silentMs: null };
/** What is said, which line tells it, how grave it is, and what is in its words. */
const table: readonly (readonly [what: string, ServerStatus[], CheckName, CheckLevel, RegExp])[] = [
  [
    "the backup is silent",
    [{ ...alpha, peers: [{ name: "beta", silentMs: 3_000 }] }],
    "servers",
    "critical",
    /^beta: silent for/,
  ],
  [
    "the backup's status does not come",
    [alpha],
    "servers",
    "critical",
    /^beta: its status does not come, though other/,
  ],
  ["the backup is silent, and nobody has told more", [alpha], "backup", "critical", /no backup that is in sync/],
  ["the primary is silent", [beta], "service", "critical", /no primary speaks/],
  ["the record does not count on the backup", [{ ...alpha, record: lone }, beta], "backup", "critical", /in sync/],
  [
    "a server waits",
    [alpha, troubled(waiting, "server.waiting")],
    "servers",
    "critical",
    /^beta: about server.waiting/,
  ],
  ["the intake is paused", [troubled(alpha, "intake.paused"), beta], "service", "critical", /about intake/],
  ["NATS forbids replies", [troubled(alpha, "forbidden.replies"), beta], "permissions", "critical", /about forbidden/],
  ["results are forbidden", [troubled(alpha, "forbidden.results"), beta], "permissions", "critical", /about/],
  ["operators are forbidden", [troubled(alpha, "forbidden.operators"), beta], "permissions", "warning", /about/],
  ["the main link is down", [troubled(alpha, "link.main"), beta], "links", "warning", /about link.main/],
  [
    "the failsafe link is down",
    [{ ...alpha, links: { main: "up", failsafe: "down" } }, beta],
    "links",
    "warning",
    /failsafe link is down/,
  ],
  ["the registry went back", [troubled(alpha, "registry.frozen"), beta], "registry", "critical", /about/],
  ["clocks are apart", [alpha, troubled(beta, "clock.apart")], "clocks", "warning", /about/],
  ["a store is set aside", [alpha, troubled(beta, "store.aside")], "aside", "warning", /about/],
  ["there is no room for another store", [alpha, troubled(waiting, "store.asideFull")], "aside", "critical", /about/],
  ["the log is lost", [alpha, troubled(beta, "log.lost")], "log", "warning", /about/],
  ["a third server is silent", [{ ...alpha, peers: [...alpha.peers, gamma] }, beta], "servers", "warning", /^gamma/],
  [
    "a third server waits",
    [alpha, beta, troubled({ ...waiting, name: "gamma", incarnation: "i3" }, "server.waiting")],
    "servers",
    "warning",
    /^gamma: about/,
  ],
  ["a code of a newer program", [troubled(alpha, "news.of.it"), beta], "others", "critical", /about news/],
  ["another program", [alpha, { ...beta, version: "0.2.0" }], "versions", "warning", /alpha 0.0.0, beta 0.2.0/],
  ["a server that knows of less", [alpha, { ...beta, peers: [] }], "settings", "warning", /beta knows beta/],
  ["a broker that is unsafe", [warned("unsafe"), beta], "registry-version", "critical", /about unsafe/],
  ["an old broker", [warned("old"), beta], "registry-version", "warning", /about old/],
  ["a bucket of other settings", [warned("bucket"), beta], "registry-settings", "warning", /about bucket/],
  ["no connection to the broker", [withAround({ broker: null }), beta], "registry-version", "ok", /2\.11\.4/],
  ["a tenth is free", [room(10 * GiB), beta], "disk", "ok", /alpha: 10 GiB free of 100 GiB/],
  ["less than a tenth", [room(9 * GiB), beta], "disk", "warning", /alpha: 9\.0 GiB free/],
  ["less than the store", [room(20 * GiB, 21 * GiB), beta], "disk", "warning", /store takes 21 GiB/],
  ["less than a fiftieth", [room(1.9 * GiB), beta], "disk", "critical", /1\.9 GiB free/],
  ["a disk that cannot be looked at", [withAround({ disk: null }), beta], "disk", "unknown", /no server tells/],
  ["certificates for 22 days", [certificate(22 * dayMs), beta], "certificates", "ok", /in 22 d/],
  ["certificates for 20 days", [certificate(20 * dayMs), beta], "certificates", "warning", /alpha.crt is over in 20 d/],
  ["certificates for 2 days", [certificate(2 * dayMs), beta], "certificates", "critical", /over in 2 d: renew/],
  ["certificates that are over", [certificate(-1), beta], "certificates", "critical", /alpha.crt is over: renew/],
  [
    "certificates that cannot be read",
    [withAround({ certificates: [{ file: "/tls/a", untilMs: null }] }), beta],
    "certificates",
    "warning",
    /cannot be read/,
  ],
  ["an older program tells no disk", [silentAround, beta], "disk", "unknown", /no server tells/],
];

for (const [what, servers, name, level, says] of table) {
  test(`${what}: ${name} is ${level}`, (t) => {
    const check = checked(servers);
    const line = check.checks.find((each) => each.name === name);
    t.is(line?.level, level);
    t.regex(line?.says ?? "", says);
    if (level !== "ok") t.regex(line?.see ?? "", /^deploy\/RUNBOOK\.md#[a-z-]+$/);
    if (level === "critical") t.is(check.level, "critical");
    t.is(check.checks[0]?.level, check.level, "the gravest line is the first");
  });
}

test("what status takes for a reason is critical, whatever the code, and nothing else of what servers tell is", (t) => {
  for (const code of Object.keys(troubleKinds) as TroubleCode[]) {
    const { checks, level } = checked([troubled(alpha, code), beta]);
    const line = checks.find(({ name }) => name === checkOf[code]);
    const expected = troubleKinds[code].costs === "nothing" ? "warning" : "critical";
    t.is(level, expected, code);
    t.is(line?.level, expected, code);
    t.deepEqual(line?.codes, [code]);
    t.is(line?.see, `deploy/RUNBOOK.md#${anchorOf(code)}`);
  }
});

test("a grave finding is told before a light one of the same line, and one that all servers tell once", (t) => {
  const both = checked([warned("old"), { ...beta, surroundings: warned("unsafe").surroundings }]);
  t.like(both.checks[0], { name: "registry-version", level: "critical", says: "about unsafe" });
  const same = checked([warned("old"), { ...beta, surroundings: warned("old").surroundings }]);
  t.is(same.checks[0]?.says, "about old");
});

test("a check that is skipped is neither told nor counted", (t) => {
  const { level, checks } = checked([warned("unsafe"), beta], ["registry-version"]);
  t.is(level, "ok");
  t.false(checks.some(({ name }) => name === "registry-version"));
});

test("where nobody speaks one line is critical and no other claims to know anything", (t) => {
  const { checks } = checkNobody("exchange", "service", "nobody", new Set());
  t.deepEqual([...new Set(checks.slice(1).map(({ level }) => level))], ["unknown"]);
  t.like(checks[0], { name: "service", level: "critical", see: "deploy/RUNBOOK.md#primary-missing" });
});

/** What the command does where these servers speak. */
async function ran(servers: readonly ServerStatus[], ...words: string[]) {
  const { bus, clock, run } = makeRig();
  const say = () => {
    for (const server of servers) bus.publish(subjects.status("exchange", server.name), bytesOf(server));
    timer = clock.after(50, say);
  };
  let timer = clock.after(20, say);
  const result = await run(["check", ...words]);
  timer.cancel();
  return result;
}

const quick = { statusMs: 1_000 };
test("the exit status is that of Nagios and Icinga, and the first line the gravest", async (t) => {
  const good = await ran(
    [
      { ...alpha, ...quick },
      { ...beta, ...quick },
    ],
    "--skip",
    "certificates",
  );
  t.is(good.status, 0, good.out);
  const warning = await ran(
    [
      { ...warned("old"), ...quick },
      { ...beta, ...quick },
    ],
    "--skip",
    "certificates",
  );
  t.is(warning.status, 1);
  t.regex(
    warning.out,
    /^warning {2}registry-version {3}about old; see deploy\/RUNBOOK\.md#check-registry-version\nok /,
  );
  const alone = await ran([{ ...alpha, ...quick }], "--json");
  t.is(alone.status, 2);
  t.like(JSON.parse(alone.out), { service: "exchange", level: "critical", failoverReady: false });
  const unknown = await ran(
    [
      { ...silentAround, ...quick },
      { ...beta, ...quick },
    ],
    "--skip",
    "certificates",
  );
  t.is(unknown.status, 3);
});

test("nobody speaks until the time is over: critical; and what cannot be asked is unknown, never a warning", async (t) => {
  const startedMs = performance.now();
  const nobody = await ran([], "--timeout", "300");
  t.is(nobody.status, 2);
  t.regex(nobody.out, /^critical {2}service .*no server of exchange speaks/);
  t.true(performance.now() - startedMs >= 280, "until the end it was waited for one that speaks seldom");
  for (const words of [["--wrong"], ["--skip", "nonsense"], ["--settings", "/nowhere.json"]]) {
    const failed = await ran([], ...words);
    t.is(failed.status, 3, words.join(" "));
    t.not(failed.err, "");
  }
});

test("the stream over results: wanted and missing, over other subjects, full, or not keeping up", (t) => {
  const kept = {
    name: "RESULTS_exchange",
    subjects: ["exchange.result.>"],
    maxBytes: 100 * GiB,
    maxAgeMs: 7 * dayMs,
    duplicateMs: 600_000,
    messages: 12,
    bytes: GiB,
    stored: 12,
    lacks: 0,
  };
  const line = (resultsStream: Surroundings["resultsStream"], wantsResultsStream = true) => {
    const gathering = new StatusGathering();
    gathering.onStatus(withAround(resultsStream === undefined ? {} : { resultsStream }), 700);
    const status = gathering.conclude("exchange", 800);
    const { checks } = checkService({ status, nowMs, skipped: new Set(), certificates: [], wantsResultsStream });
    const { level, says } = checks.find(({ name }) => name === "results-stream") ?? {};
    return `${level}: ${says}`;
  };
  t.is(line(kept), "ok: RESULTS_exchange keeps 12 results, 1.0 GiB of 100 GiB");
  t.regex(line(null), /^warning: there is none: `twinlog init --config FILE --results-stream` makes it$/);
  t.regex(line(null, false), /^ok: there is none; --results-stream says that one is wanted$/);
  t.regex(
    line({ ...kept, subjects: ["exchange.>"] }),
    /^warning: .*stands over exchange\.>; wanted is exchange\.result\.> alone$/,
  );
  t.regex(line({ ...kept, bytes: 96 * GiB }), /^warning: RESULTS_exchange is full \(96 GiB of 100 GiB\)/);
  t.is(line({ ...kept, bytes: 200 * GiB, maxBytes: -1 }), "ok: RESULTS_exchange keeps 12 results, 200 GiB");
  t.regex(
    line({ ...kept, lacks: 3 }),
    /^warning: RESULTS_exchange has not stored 3 of the latest results: `replay` has them$/,
  );
});
