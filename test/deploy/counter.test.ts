/**
 * The counter of deploy/examples is what it says: settings that name its module, a client and an integrator that miss nothing when
 * the primary is killed.
 */
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import test, { type ExecutionContext } from "ava";
import { findApplication } from "../../deploy/applications.ts";
import { readSettings } from "../../deploy/settings-file.ts";
import { atEnd } from "../helpers/at-end.ts";
import { startPair } from "../helpers/pair/pair.ts";
import { until } from "../helpers/until.ts";

const root = new URL("../../../", import.meta.url);
const folder = fileURLToPath(new URL("deploy/examples/counter/", root));
const built = fileURLToPath(new URL("dist/deploy/examples/counter/", root));
const withinMs = 30_000;

/** The lines that a program of the example prints. It ends with the test. */
function linesOf(t: ExecutionContext, program: string, nats: string): string[] {
  const child = spawn(process.execPath, [`${built}${program}`], {
    env: { ...process.env, TWINLOG_NATS: nats },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const end = () => child.kill("SIGKILL");
  const ended = new Promise((resolve) => child.once("close", resolve));
  atEnd(end);
  t.teardown(async () => {
    end();
    await ended;
  });
  const lines: string[] = [];
  createInterface({ input: child.stdout }).on("line", (line) => lines.push(line));
  return lines;
}

test("the settings of the counter's two servers fit together, and name the module that is built", async (t) => {
  const [alpha, beta] = await Promise.all(["alpha", "beta"].map((name) => readSettings(`${folder}${name}.json`)));
  if (alpha === undefined || beta === undefined) return t.fail();
  t.deepEqual({ ...alpha, server: "", dataDirectory: "" }, { ...beta, server: "", dataDirectory: "" });
  t.not(alpha.server, beta.server);
  t.not(alpha.dataDirectory, beta.dataDirectory);
  const application = await findApplication(alpha.application, `${folder}alpha.json`);
  t.is(application.name, "counter");
});

test("the counter counts on when the primary is killed: a client and an integrator miss nothing", async (t) => {
  const pair = await startPair(t, { service: "counter", application: `${built}counter.js`, restartMs: 300 });
  const { primary } = await pair.normal();
  const counted = linesOf(t, "count.js", pair.nats.url);
  const followed = linesOf(t, "follow.js", pair.nats.url);
  const more = (lines: string[], count: number) => until(() => lines.length >= count, { withinMs });
  await more(counted, 3);
  pair.server(primary).signal("SIGKILL");
  await more(counted, counted.length + 5);
  await more(followed, counted.length);
  t.deepEqual(
    counted.map((line) => /^(\d+) apples/.exec(line)?.[1]),
    counted.map((_, index) => String(index + 1)),
  );
  t.true(new Set(counted.map((line) => /epoch (\d+)/.exec(line)?.[1])).size > 1, "another epoch answers");
  const [history, ...results] = followed;
  t.regex(history ?? "", /^history .+, from result 1 on$/);
  t.deepEqual(
    results,
    results.map((_, index) => `${index + 1} alice: {"value":${index + 1}}`),
  );
});
