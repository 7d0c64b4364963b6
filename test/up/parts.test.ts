/**
 * The parts of `twinlog up` that decide or print: what is told and when, when the pair is in sync, the screen, delays, last words.
 */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import test from "ava";
import { keepLimits, lastWords, restartDelayMs } from "../../deploy/up/kept-child.ts";
import { screen } from "../../deploy/up/screen.ts";
import { ServiceWatch } from "../../deploy/up/watch.ts";
import type { ServerStatus } from "../../schemas/status.ts";
import { statusOf } from "../helpers/status-of.ts";
import { temporaryDirectory } from "../helpers/temporary-directory.ts";

/** A server that has just started. */
function starting(more: Partial<ServerStatus>): ServerStatus {
  const now = { role: "none", state: "consulting", application: "warm", mode: null, epoch: 1 } as const;
  return statusOf({ ...now, sequence: 0, committed: 0, flushed: 0, synced: 0, why: "", ...more });
}

const primary = starting({ role: "primary", application: "hot", state: "hot.normal", mode: "normal", epoch: 2 });
const backup = starting({ name: "beta", pid: 2, role: "backup", state: "warm", mode: "normal", epoch: 2 });

function watching(): { watch: ServiceWatch; told: string[] } {
  const told: string[] = [];
  const watch = new ServiceWatch(["alpha", "beta"], (line) => told.push(line));
  watch.onPid("alpha", 1);
  watch.onPid("beta", 2);
  return { watch, told };
}

test("a change of role or mode is told once, with its reason; a new epoch or reason alone is not", (t) => {
  const { watch, told } = watching();
  watch.onStatus(starting({ waitingFor: "beta, whose disk has everything" }));
  watch.onStatus(starting({ waitingFor: "beta" }));
  watch.onStatus(primary);
  watch.onStatus({ ...primary, epoch: 3, why: "moves the base forward" });
  watch.onStatus({ ...primary, mode: "primary-only", why: "without beta: silent on both links" });
  t.deepEqual(told, [
    "alpha is no member (consulting): beta, whose disk has everything",
    "alpha is primary (hot), mode normal",
    "alpha is primary (hot), mode primary-only: without beta: silent on both links",
  ]);
});

test("normal is one hot primary and its backup, of one epoch, in mode normal, and nothing less", (t) => {
  const cases: [boolean, ...ServerStatus[]][] = [
    [true, primary, backup],
    [false, primary],
    [false, backup],
    [false, primary, { ...backup, epoch: 1 }],
    [false, primary, { ...backup, mode: "primary-only" }],
    [false, primary, { ...backup, role: "none" }],
    [false, primary, { ...backup, role: "primary", application: "hot" }],
    [false, { ...primary, application: "warm" }, backup],
  ];
  for (const [expected, ...statuses] of cases) {
    const { watch } = watching();
    for (const status of statuses) watch.onStatus(status);
    t.is(watch.isNormal, expected, JSON.stringify(statuses));
  }
});

test("what a process said that is gone counts no more, nor what it says late", async (t) => {
  const { watch } = watching();
  watch.onStatus(primary);
  watch.onStatus(backup);
  await watch.untilNormal();
  watch.onPid("beta", null);
  t.false(watch.isNormal);
  watch.onPid("beta", 3);
  watch.onStatus(backup);
  t.false(watch.isNormal);
  t.deepEqual(watch.waits, ["alpha is hot.normal", "beta has not spoken yet"]);
  const normal = watch.untilNormal();
  watch.onStatus({ ...backup, pid: 3 });
  await normal;
  t.true(watch.isNormal);
});

test("the screen fits a terminal, names every process and gives three commands", (t) => {
  const text = screen({
    console: "http://127.0.0.1:4225/",
    service: "exchange",
    application: "exchange",
    nats: { url: "nats://127.0.0.1:4222", pid: 11, version: "2.10.27", data: ".twinlog/nats", websocketPort: null },
    servers: [
      {
        name: "alpha",
        pid: 12,
        port: 4223,
        http: 4226,
        data: ".twinlog/alpha",
        log: ".twinlog/alpha.log",
        status: primary,
      },
      {
        name: "beta",
        pid: 13,
        port: 4224,
        http: 4227,
        data: ".twinlog/beta",
        log: ".twinlog/beta.log",
        status: backup,
      },
    ],
    twinlog: "node dist/deploy/twinlog.js",
    access: ".twinlog/access",
  });
  const lines = text.split("\n");
  t.true(lines.length <= 24, String(lines.length));
  t.true(lines.every((line) => line.length <= 140));
  t.regex(text, /mode normal, epoch 2/);
  t.regex(text, /nats-server +11 +2\.10\.27 +nats:\/\/127\.0\.0\.1:4222 +\.twinlog\/nats/);
  t.regex(text, /alpha +12 +primary \(hot\) +127\.0\.0\.1:4223 +\.twinlog\/alpha/);
  t.regex(text, /beta +13 +backup \(warm\) +127\.0\.0\.1:4224 +\.twinlog\/beta/);
  t.regex(text, /node dist\/deploy\/twinlog\.js request '\{.*\}'/);
  t.regex(text, /node dist\/deploy\/twinlog\.js results --from 1/);
  t.regex(text, /kill -9 12 /);
  t.regex(text, /Machines ask http:\/\/127\.0\.0\.1:4226 \(alpha\), http:\/\/127\.0\.0\.1:4227 \(beta\): \/health/);
});

test("deaths at once double the delay up to its limit; a steady life starts anew", (t) => {
  const delays = [0, 1, 2, 3, 4, 5, 6, 60].map((deaths) => restartDelayMs(deaths, keepLimits));
  t.deepEqual(delays, [500, 500, 1_000, 2_000, 4_000, 8_000, 10_000, 10_000]);
});

test("last words are the last line, or its message where it is JSON", async (t) => {
  const path = join(await temporaryDirectory(t), "log");
  const cases: [string, string][] = [
    ["", ""],
    ["one\ntwo\n", "two"],
    ['{"level":50,"msg":"the disk is full"}\n', "the disk is full"],
    [`${"x".repeat(10_000)}\nlast\n\n`, "last"],
  ];
  for (const [text, expected] of cases) {
    await writeFile(path, text);
    t.is(lastWords(path), expected);
  }
});
