/**
 * `twinlog up` with an application of one's own, a module of TypeScript as it stands, and the commands that are given to it: in the folder
 * where it was started, and from elsewhere, where nothing is known of it.
 */
import { spawn } from "node:child_process";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import test, { type ExecutionContext } from "ava";
import { runCommand } from "../../deploy/nats/command.ts";
import { freePort } from "../helpers/free-port.ts";
import { natsBinary } from "../helpers/nats.ts";
import { temporaryDirectory } from "../helpers/temporary-directory.ts";
import { until } from "../helpers/until.ts";

const twinlog = fileURLToPath(new URL("../../deploy/twinlog.js", import.meta.url));
const counter = fileURLToPath(new URL("../../../deploy/examples/counter/counter.ts", import.meta.url));
const withinMs = 45_000;

/** The pair of `up`, until the test is over. */
async function startUp(t: ExecutionContext, folder: string, application: string): Promise<void> {
  const [nats, alpha, beta] = [await freePort(), await freePort(), await freePort()];
  const words = ["up", "--application", application, "--nats-port", String(nats), "--main-ports", `${alpha},${beta}`];
  const child = spawn(process.execPath, [twinlog, ...words, "--no-console"], {
    cwd: folder,
    env: { ...process.env, TWINLOG_NATS_SERVER: await natsBinary() },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const ended = new Promise<void>((resolve) => child.once("close", () => resolve()));
  t.teardown(async () => {
    child.kill("SIGTERM");
    await ended;
  });
  let printed = "";
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding("utf8").on("data", (text: string) => {
      printed += text;
    });
  await until(() => printed.includes("Ctrl-C stops everything") || child.exitCode !== null, { withinMs });
  t.true(printed.includes("Ctrl-C stops everything"), printed);
}

test("an application of one's own is run by its path; requests, queries and replays know it where it was started", async (t) => {
  t.timeout(240_000);
  const folder = await temporaryDirectory(t);
  const elsewhere = join(folder, "elsewhere");
  await mkdir(elsewhere);
  await startUp(t, folder, counter);
  const run = (cwd: string, ...words: string[]) =>
    runCommand(process.execPath, [twinlog, ...words], { cwd, timeoutMs: withinMs });

  const first = await run(folder, "request", '{"counter":"apples","add":1}');
  t.is(first.status, 0, first.stderr);
  t.like(JSON.parse(first.stdout), { ok: true, result: { value: 1 } });
  const wrong = await run(folder, "request", '{"counter":"apples","add":"1"}');
  t.is(wrong.status, 1);
  t.regex(wrong.stderr, /^twinlog: INVALID_REQUEST: add: .*by the schema that counter announces/);

  // The service tells the key, and the same request goes there.
  const known = ["--service", "counter", "--context", join(folder, ".twinlog", "access", "client.json")];
  const second = await run(elsewhere, "request", ...known, "--id", "7", '{"counter":"a.b","add":2}');
  t.is(second.status, 0, second.stderr);
  t.like(JSON.parse(second.stdout), { client: "cli", id: "7", result: { value: 2 } });
  const refused = await run(elsewhere, "request", ...known, '{"type":"limit","symbol":"BTCUSD"}');
  t.regex(refused.stderr, /^twinlog: INVALID_REQUEST: counter: .*by the schema that counter announces/);
  const unchecked = await run(elsewhere, "request", ...known, "--no-check", '{"type":"limit","symbol":"BTCUSD"}');
  t.regex(unchecked.stderr, /^twinlog: INVALID_REQUEST: counter: .*\(request /, "the service's own word");

  await writeFile(join(folder, "flow.ndjson"), '{"counter":"apples","add":1}\n'.repeat(20));
  const replayed = await run(folder, "replay", "flow.ndjson", "--resend-every", "5", "--json");
  t.is(replayed.status, 0, replayed.stderr);
  t.like(JSON.parse(replayed.stdout), { answered: 20, duplicatesEqual: 4 });
  const asked = await run(elsewhere, "query", ...known, '{"query":"value","counter":"apples"}');
  t.like(JSON.parse(asked.stdout), { value: 21 });
  t.like(JSON.parse(await readFile(join(folder, ".twinlog", "service.json"), "utf8")), {
    service: "counter",
    application: counter,
  });
});
