/**
 * Another program is run to its end or to the end of its time, and nothing of it is left.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import test from "ava";
import { complaint, reasonIn, runCommand } from "../../deploy/nats/command.ts";
import { temporaryDirectory } from "../helpers/temporary-directory.ts";
import { until } from "../helpers/until.ts";

test("what a program wrote and how it ended is told", async (t) => {
  const result = await runCommand("sh", ["-c", "echo out; echo err >&2; exit 7"], { timeoutMs: 5_000 });
  t.deepEqual(result, { status: 7, stdout: "out\n", stderr: "err\n", timedOut: false });
  t.is(complaint(result, "sh"), "sh ended with status 7: err");
});

test("of a Node that died of an exception the error is told, not the version that it prints last", async (t) => {
  const script = "setTimeout(() => { throw new TypeError('no such row'); })";
  const { stderr } = await runCommand(process.execPath, ["-e", script], { timeoutMs: 60_000 });
  t.regex(stderr, /\nNode\.js v[^\n]+\n$/);
  t.is(reasonIn(stderr), "TypeError: no such row");
  t.is(reasonIn("RangeError: first\ntwinlog: last\n"), "twinlog: last");
});

test("a program that is not there has status 127", async (t) => {
  const result = await runCommand("no-such-program-here", [], { timeoutMs: 5_000 });
  t.is(result.status, 127);
  t.regex(result.stderr, /ENOENT|EACCES/);
});

test("a program cannot ask anything: its input is empty", async (t) => {
  const result = await runCommand("cat", [], { timeoutMs: 5_000 });
  t.deepEqual(result, { status: 0, stdout: "", stderr: "", timedOut: false });
});

test("a program that hangs is ended with everything that it has started", async (t) => {
  const folder = await temporaryDirectory(t);
  const script = "sleep 60 & echo $! > child; wait";
  const result = await runCommand("sh", ["-c", script], { timeoutMs: 300, cwd: folder });
  t.true(result.timedOut);
  t.is(complaint(result, "sh"), "sh did not end in time");
  const child = (await readFile(join(folder, "child"), "utf8")).trim();
  const isGone = async () => {
    const state = await readFile(`/proc/${child}/stat`, "utf8").catch(() => "gone");
    return state === "gone" || / [ZX] /.test(state);
  };
  await until(isGone, { withinMs: 5_000, waitedFor: "the program's child to be gone" });
});
