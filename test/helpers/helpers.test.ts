/**
 * The helpers on which every other test leans.
 */
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import process from "node:process";
import { promisify } from "node:util";
import test from "ava";
import { connect } from "nats";
import { sharedNatsServer } from "./nats.ts";
import { TapReport } from "./tap-report.ts";
import { makeTemporaryDirectory } from "./temporary-directory.ts";
import { until } from "./until.ts";

const nats = sharedNatsServer(test);

for (const reader of ["one", "another"]) {
  test(`tests of a file share a nats-server: ${reader}`, async (t) => {
    const connection = await connect({ servers: nats.current.url });
    t.true(connection.info?.jetstream);
    await connection.close();
  });
}

test("until returns what its condition became", async (t) => {
  let asked = 0;
  t.is(await until(() => (++asked === 3 ? "third" : undefined), { withinMs: 5_000 }), "third");
});

test("until waits over errors and, in the end, names what it waited for and the last error", async (t) => {
  const fail = () => {
    throw new Error("not yet");
  };
  const error = await t.throwsAsync(until(fail, { withinMs: 30, waitedFor: "the sun" }));
  t.is(error.message, "waited 30 ms in vain for: the sun (not yet)");
  t.is((error.cause as Error).message, "not yet");
});

test("a temporary directory is there, and gone when it is removed", async (t) => {
  const { path, remove } = await makeTemporaryDirectory();
  t.true(existsSync(path));
  await remove();
  t.false(existsSync(path));
});

for (const ends of ['process.kill(process.pid, "SIGTERM")', "process.exit()"])
  test(`nothing that a test process made outlives it: ${ends}`, async (t) => {
    const helper = (name: string) => JSON.stringify(new URL(`./${name}.js`, import.meta.url).href);
    const script = `
      import { makeTemporaryDirectory } from ${helper("temporary-directory")};
      import { TestNats } from ${helper("nats")};
      const { path } = await makeTemporaryDirectory();
      const nats = await TestNats.start(path, {});
      console.log(JSON.stringify([path, nats.pid]));
      ${ends};
      await new Promise(() => setInterval(() => undefined, 1_000));`;
    const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "-e", script]).catch(
      (error: { stdout: string }) => error,
    );
    const [path, pid] = JSON.parse(stdout) as [string, number];
    await until(() => !existsSync(path) && !isAlive(pid), { withinMs: 20_000, waitedFor: "nothing to be left" });
    t.pass();
  });

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

function reportOf(...lines: string[]): { report: TapReport; told: string } {
  const report = new TapReport();
  const told = lines.flatMap((line) => report.read(line) ?? []).join("\n");
  return { report, told };
}

test("a report counts what passed and what failed, and ends with the line that says so", (t) => {
  const { report, told } = reportOf(
    "TAP version 13",
    "ok 1 - a",
    "not ok 2 - b",
    "  ---",
    "    message: why",
    "  ...",
    "    no part of it",
    "1..2",
  );
  t.is(told, "  ✔ a\n  ✘ b\n  ---\n    message: why\n  ...\n    no part of it");
  t.is(report.ending(1), "\nFailed:\n  ✘ b\n    message: why\n\n1 passed, 1 failed");
});

test("the end says of a failure what was wrong first, and where, however much there is of it", (t) => {
  const many = Array.from({ length: 100 }, (_, at) => `      ${at} ${"x".repeat(1_000)}`);
  const { report } = reportOf("not ok 1 - a", "  ---", ...many, "    at: 'a.js:1'", "  ...", "not ok 2 - b");
  const lines = report.ending(1).split("\n");
  t.true(lines.length < 30);
  t.true(lines.every((line) => line.length <= 300));
  t.regex(lines[3] ?? "", /^ {6}0 x+$/);
  t.deepEqual(lines.slice(-4), ["    at: 'a.js:1'", "  ✘ b", "", "0 passed, 2 failed"]);
});

test("what a test logs is shown, what AVA says about a hook or the counts is not", (t) => {
  const { told } = reportOf(
    "# deploy › start the file's nats-server",
    "ok 1 - a",
    "#   took 3 › 2 ms",
    "# tests 1",
    "# pass 1",
    "",
  );
  t.is(told, "  ✔ a\n    took 3 › 2 ms");
});

test("a report of a clean run is one line", (t) => {
  t.is(reportOf("ok 1 - a", "ok 2 - b").report.ending(0), "\n2 passed, 0 failed");
});

test("a runner that breaks is a failure even if no test failed", (t) => {
  const ending = reportOf("ok 1 - a").report.ending(1);
  t.true(ending.endsWith("1 passed, 1 failed"));
  t.regex(ending, /the test runner itself ended with status 1/);
});

test("a test that was not run is not one that passed, and the end says why", (t) => {
  const { report, told } = reportOf("ok 1 - a", "#   NOT RUN: no moon", "ok 2 - b", "#   took 3 ms");
  t.is(told, "  ✔ a\n    NOT RUN: no moon\n  ✔ b\n    took 3 ms");
  t.is(report.ending(0), "\nNot run here:\n  - a: no moon\n\n1 passed, 0 failed");
});

test("a skipped test counts as neither", (t) => {
  t.true(reportOf("ok 1 - a # SKIP", "ok 2 - b").report.ending(0).endsWith("1 passed, 0 failed"));
});
