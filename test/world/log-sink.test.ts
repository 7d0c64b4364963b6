/** Where a log's lines go when the place takes none: nothing is thrown, nothing waits, and what is lost is told later. */
import { spawn, spawnSync } from "node:child_process";
import { existsSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import test, { type ExecutionContext } from "ava";
import { openPinoLog } from "../../actors/world/log-pino.ts";
import { temporaryDirectory } from "../helpers/temporary-directory.ts";
import { until } from "../helpers/until.ts";

const withinMs = 30_000;
const writer = fileURLToPath(new URL("log-writer.js", import.meta.url));

interface Line {
  readonly msg: string;
  readonly lost?: number;
  readonly at?: number;
}

function linesOf(text: string): Line[] {
  return text
    .trim()
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Line);
}

test("a full disk of the log throws nothing; the lines are counted, and told when there is room again", async (t) => {
  if (!existsSync("/dev/full")) {
    t.log("NOT RUN: there is no /dev/full here");
    t.pass();
    return;
  }
  const file = join(await temporaryDirectory(t), "log");
  symlinkSync("/dev/full", file);
  const log = openPinoLog({ server: "alpha" }, { file });
  for (let at = 1; at <= 3; at += 1) log.error({ at }, "not written");
  t.is(log.trouble?.(), "the log could not be written (ENOSPC): 3 lines are lost");
  rmSync(file);
  log.reopen();
  t.is(log.trouble?.(), null);
  log.info({ at: 4 }, "written");
  t.deepEqual(
    linesOf(readFileSync(file, "utf8")).map(({ msg, lost }) => [msg, lost]),
    [
      ["the log could not be written (ENOSPC): 3 lines are lost", 3],
      ["the log was opened again", undefined],
      ["written", undefined],
    ],
  );
});

test("a log that was moved away is opened again by its name", async (t) => {
  const file = join(await temporaryDirectory(t), "log");
  const log = openPinoLog({ server: "alpha" }, { file });
  log.info({}, "before");
  renameSync(file, `${file}.1`);
  log.info({}, "still the old one");
  log.reopen();
  log.info({}, "after");
  t.deepEqual(
    linesOf(readFileSync(`${file}.1`, "utf8")).map(({ msg }) => msg),
    ["before", "still the old one"],
  );
  t.deepEqual(
    linesOf(readFileSync(file, "utf8")).map(({ msg }) => msg),
    ["the log was opened again", "after"],
  );
});

test("where it cannot be opened again, the old one is written on and says so", async (t) => {
  const folder = await temporaryDirectory(t);
  const file = join(folder, "log");
  const log = openPinoLog({ server: "alpha" }, { file });
  renameSync(file, join(folder, "moved"));
  symlinkSync(join(folder, "nowhere", "log"), file);
  log.reopen();
  t.regex(linesOf(readFileSync(join(folder, "moved"), "utf8"))[0]?.msg ?? "", /cannot be opened again: ENOENT/);
});

/**
 * The log writer behind a pipe, or on a terminal, whose reader a test controls: it reads nothing until `read` is there, and ends
 * on `gone`.
 */
async function piped(t: ExecutionContext, lines: number, on: "pipe" | "terminal" = "pipe") {
  const folder = await temporaryDirectory(t);
  const file = (name: string) => join(folder, name);
  const reader = `while [ ! -e ${file("read")} ]; do [ -e ${file("gone")} ] && exit 0; sleep 0.02; done; cat > ${file("log")}`;
  const direct = `${process.execPath} ${writer} ${lines} 2>&1 >${file("out")}; echo $? > ${file("status")}`;
  const writing = on === "pipe" ? direct : `script -qec 'stty -echo; ${direct}' /dev/null`;
  const script = `{ ${writing}; } | { ${reader}; }`;
  const child = spawn("sh", ["-c", script], { stdio: ["pipe", "ignore", "inherit"] });
  const ended = new Promise<void>((resolve) => child.on("exit", () => resolve()));
  t.teardown(async () => {
    writeFileSync(file("gone"), "");
    child.stdin.end();
    await ended;
  });
  const out = () => (existsSync(file("out")) ? readFileSync(file("out"), "utf8").trim().split("\n") : []);
  return { child, ended, file, out };
}

async function unread(t: ExecutionContext, on: "pipe" | "terminal"): Promise<void> {
  const { child, ended, file, out } = await piped(t, 2_000, on);
  await until(() => out()[0] === "2000 lossy", {
    withinMs,
    waitedFor: "the writer to be done with a pipe that is full",
  });
  writeFileSync(file("read"), "");
  const again = () => {
    child.stdin.write("again\n");
    return out().at(-1)?.endsWith("whole");
  };
  await until(again, { withinMs, everyMs: 20, waitedFor: "the reader to read" });
  child.stdin.end();
  await ended;
  const lines = linesOf(readFileSync(file("log"), "utf8"));
  const lost = lines.reduce((sum, line) => sum + (line.lost ?? 0), 0);
  t.true(lost > 0);
  const written = Number.parseInt(out().at(-1) ?? "", 10);
  t.is(lines.filter(({ at }) => at !== undefined).length + lost, written, "every line is there or counted");
  t.regex(lines.find((line) => line.lost !== undefined)?.msg ?? "", /EAGAIN/);
}

test("a reader that does not read holds nobody up, and learns what it has missed; no line is torn", (t) =>
  unread(t, "pipe"));

test("nor does a terminal that shows nothing (Ctrl-S)", async (t) => {
  if (spawnSync("script", ["--version"]).status === 0) await unread(t, "terminal");
  else {
    t.log("NOT RUN: there is no `script` here, which makes terminals");
    t.pass();
  }
});

test("a pipe whose reader is gone costs lines, not the process", async (t) => {
  const { child, ended, file, out } = await piped(t, 2_000);
  await until(() => out()[0] === "2000 lossy", { withinMs });
  writeFileSync(file("gone"), "");
  child.stdin.write("again\n");
  await until(() => out().length >= 2, { withinMs });
  t.true(out().at(-1)?.endsWith("lossy"));
  child.stdin.end();
  await ended;
  t.is(readFileSync(file("status"), "utf8").trim(), "0");
});
