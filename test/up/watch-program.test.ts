/** `twinlog up --watch`: the application's module is saved, and the service goes on with what is in it; what cannot be loaded is told. */
import { spawn } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import test from "ava";
import { runCommand } from "../../deploy/nats/command.ts";
import { freePort } from "../helpers/free-port.ts";
import { natsBinary } from "../helpers/nats.ts";
import { temporaryDirectory } from "../helpers/temporary-directory.ts";
import { until } from "../helpers/until.ts";

const twinlog = fileURLToPath(new URL("../../deploy/twinlog.js", import.meta.url));
const tallies = new URL("../helpers/pair/tallies.js", import.meta.url).href;
const withinMs = 60_000;

test("each time the module is saved both servers come to run it, and the state stays; one that does not load is brought to nobody", async (t) => {
  t.timeout(300_000);
  const folder = await temporaryDirectory(t);
  const save = (text: string) => writeFile(join(folder, "app.mjs"), text);
  const saveVersion = (name: string) => save(`export { ${name} as application } from ${JSON.stringify(tallies)};\n`);
  await saveVersion("one");
  const [nats, alpha, beta] = [await freePort(), await freePort(), await freePort()];
  const words = ["--application", "./app.mjs", "--watch", "--no-console", "--no-http"];
  const ports = ["--nats-port", String(nats), "--main-ports", `${alpha},${beta}`];
  const child = spawn(process.execPath, [twinlog, "up", ...words, ...ports], {
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
  const says = (text: string, times = 1) =>
    until(() => printed.split(text).length > times || child.exitCode !== null, { withinMs, waitedFor: `"${text}"` });
  const add = async () => {
    const asked = ["request", "--client", "c", '{"tally":"a","add":1}'];
    const { stdout, stderr } = await runCommand(process.execPath, [twinlog, ...asked], {
      cwd: folder,
      timeoutMs: withinMs,
    });
    t.is(stderr, "", printed);
    return (JSON.parse(stdout) as { result: unknown }).result;
  };
  await says("is watched");
  t.deepEqual(await add(), { value: 1 });
  await saveVersion("wider");
  await says("runs on both");
  t.deepEqual(await add(), { value: 2, note: "" });
  await save("export const application = (\n");
  await says("is not brought in: cannot load the application");
  t.deepEqual(await add(), { value: 3, note: "" }, "the old one serves on");
  await saveVersion("two");
  await says("runs on both", 2);
  t.deepEqual(await add(), { value: 4, turns: 1 });
  t.is(child.exitCode, null);
});
