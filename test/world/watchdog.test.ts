/** The watchdog, in real processes: what it ends and what it must not, and what it says. */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import test, { type ExecutionContext } from "ava";
import { threadTimeFile } from "../../actors/world/watchdog.ts";
import { type LastWords, lastWordsFile, readLastWords } from "../../schemas/death.ts";
import { atEnd } from "../helpers/at-end.ts";
import { temporaryDirectory } from "../helpers/temporary-directory.ts";

const program = fileURLToPath(new URL("./watched.js", import.meta.url));
/** Elsewhere there is no watchdog, and these tests are not there. */
const onLinux = existsSync(threadTimeFile(process.pid)) ? test.serial : () => undefined;

const children = new Set<ChildProcess>();
atEnd(() => {
  for (const child of children) child.kill("SIGKILL");
});

async function run(folder: string, way: string, life = "first") {
  const child = spawn(process.execPath, [program, folder, way, life], { stdio: ["ignore", "pipe", "pipe"] });
  children.add(child);
  const ended = new Promise<{ code: number | null; signal: string | null }>((resolve) =>
    child.on("close", (code, signal) => resolve({ code, signal })),
  );
  const [out, errors] = await Promise.all([text(child.stdout), text(child.stderr)]);
  const lastWords = readLastWords(Buffer.from(/^last words: (.*)$/m.exec(out)?.[1] ?? ""));
  return { ...(await ended), isDone: out.includes("done"), errors, lastWords };
}

async function comesBack(t: ExecutionContext, way: string): Promise<void> {
  const folder = await temporaryDirectory(t);
  t.like(await run(folder, way), { code: 0, signal: null, isDone: true, lastWords: null });
}

onLinux(
  "code that never returns is ended; its last words are in the log, with the place, and told once to the next process",
  async (t) => {
    const folder = await temporaryDirectory(t);
    const { signal, errors, isDone } = await run(folder, "forever");
    t.is(signal, "SIGKILL");
    t.false(isDone);
    const line = JSON.parse(errors) as { lastWords: LastWords; place: string[]; msg: string };
    t.regex(
      line.msg,
      /the handler of request "42" of client "ärger" kept the thread busy for \d+ ms and did not return/,
    );
    t.true(
      line.place.some((frame) => frame.includes("watched")),
      "the line at which it was",
    );
    const expected = { server: "alpha", life: "first", code: "handler", client: "ärger", id: "42", isRecorded: true };
    const next = await run(folder, "", "second");
    t.like(next.lastWords, expected);
    t.true((next.lastWords?.busyMs ?? 0) >= 200);
    t.false(existsSync(join(folder, lastWordsFile)));
    t.is((await run(folder, "", "third")).lastWords, null);
  },
);

onLinux(
  "handlers that go on after an await and never come back are named where there is one, and ended in any case",
  async (t) => {
    const folder = await temporaryDirectory(t);
    const { signal } = await run(folder, "afterAwait");
    t.is(signal, "SIGKILL");
    t.like((await run(folder, "", "second")).lastWords, { code: "handlers", client: "", id: "" });
  },
);

onLinux("a thread that stands still is not ended, however long: no wall time is measured", (t) =>
  comesBack(t, "standsStill"),
);
onLinux("the server's own work is not measured", (t) => comesBack(t, "ownWork"));
onLinux("many short calls are not one long one", (t) => comesBack(t, "manyShort"));
onLinux("what is done while a handler waits, turn by turn, is not measured as one", (t) =>
  comesBack(t, "waitingAndBusy"),
);

onLinux("where nothing can be written the watchdog ends the process all the same", async (t) => {
  const { signal } = await run(program, "forever");
  t.is(signal, "SIGKILL");
});
