/**
 * What the README says to type, typed as it stands there in a folder of its own, but for the ports: whoever tries it first gets what is
 * promised. Its parts in TypeScript are files of deploy/examples, which tests run; its drill has tests of its own (test/drill).
 */
import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import test, { type ExecutionContext } from "ava";
import { connect, nkeyAuthenticator } from "nats";
import { runCommand } from "../../deploy/nats/command.ts";
import { atEnd } from "../helpers/at-end.ts";
import { freePort } from "../helpers/free-port.ts";
import { natsBinary } from "../helpers/nats.ts";
import { temporaryDirectory } from "../helpers/temporary-directory.ts";
import { until } from "../helpers/until.ts";

const root = fileURLToPath(new URL("../../..", import.meta.url));
const withinMs = 45_000;
const timeoutMs = withinMs * Number(process.env.TWINLOG_PATIENCE ?? 1);

/** Lines of the blocks that are neither TypeScript nor output, without what is said beside them. */
const lines = [...readFileSync(join(root, "README.md"), "utf8").matchAll(/^```\n([\s\S]*?)^```$/gm)]
  .flatMap(([, block = ""]) => block.split("\n"))
  .map((line) => line.replace(/ {2,}(#|\/\/) .*$/, "").trim());

function lineThat(begins: string): string {
  const found = lines.filter((line) => line.startsWith(begins));
  if (found.length !== 1) throw new Error(`the README has ${found.length} lines that begin with ${begins}`);
  return found[0] ?? "";
}

const said = (child: ChildProcess): (() => string) => {
  let text = "";
  for (const stream of [child.stdout, child.stderr])
    stream?.setEncoding("utf8").on("data", (more: string) => {
      text += more;
    });
  return () => text;
};

/** A line of the README in a shell, which goes on until `isEnough`, and then is interrupted. */
async function interrupted(cwd: string, line: string, isEnough: (said: string) => boolean) {
  const child = spawn("sh", ["-c", `exec ${line}`], { cwd, stdio: ["ignore", "pipe", "pipe"] });
  const end = () => void child.kill("SIGKILL");
  atEnd(end);
  const text = said(child);
  const ended = new Promise<number | null>((resolve) => child.once("close", resolve));
  try {
    await until(() => isEnough(text()), { withinMs, waitedFor: `${line}: ${text()}` });
    child.kill("SIGINT");
    return { status: await ended, text: text() };
  } finally {
    end();
  }
}

/** `npm start`, in a folder that has the clone's programs, on ports of its own. */
async function started(t: ExecutionContext, folder: string): Promise<string> {
  const { scripts } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
    scripts: Record<string, string>;
  };
  const [nats, alpha, beta] = [await freePort(), await freePort(), await freePort()];
  const child = spawn(
    "sh",
    ["-c", `${scripts.start} --nats-port ${nats} --main-ports ${alpha},${beta} --no-console --no-http`],
    {
      cwd: folder,
      env: { ...process.env, TWINLOG_NATS_SERVER: await natsBinary() },
      stdio: ["ignore", "pipe", "pipe"],
    },
  );
  atEnd(() => void child.kill("SIGTERM"));
  const text = said(child);
  const ended = new Promise<void>((resolve) => child.once("close", () => resolve()));
  t.teardown(async () => {
    child.kill("SIGTERM");
    await ended;
  });
  await until(() => text().includes("Ctrl-C stops everything") || child.exitCode !== null, { withinMs });
  t.true(text().includes("Ctrl-C stops everything"), text());
  return `nats://127.0.0.1:${nats}`;
}

test("what is to be tried after npm start, as it stands", async (t) => {
  t.timeout(400_000);
  const folder = await temporaryDirectory(t);
  await mkdir(join(folder, "node_modules"));
  for (const [path, target] of [
    ["dist", "dist"],
    ["node_modules/twinlog", "."],
  ] as const)
    symlinkSync(join(root, target), join(folder, path));
  const url = await started(t, folder);
  const shell = (line: string) => runCommand("sh", ["-c", line], { cwd: folder, timeoutMs });

  const sold = await shell(lineThat("node dist/deploy/twinlog.js request"));
  t.is(sold.status, 0, sold.stderr);
  t.like(JSON.parse(sold.stdout), { ok: true, result: { status: "resting", order: "o1", remaining: 100 } });

  const results = await interrupted(folder, lineThat("node dist/deploy/twinlog.js results"), (text) =>
    text.includes('"result":1,'),
  );
  t.is(results.status, 0, results.text);
  t.true(results.text.includes(sold.stdout.trim()), "the result is the reply, byte for byte");
  const watched = await interrupted(folder, lineThat("node dist/deploy/twinlog.js status --watch"), (text) =>
    /alpha[^\n]*\n[^\n]*beta/.test(text),
  );
  t.is(watched.status, 0, watched.text);

  // The `nats` tool reads the context and does no more than this.
  const [, context = "", subject = "", body = ""] =
    /^nats --context (\S+) request (\S+) '(.*)'$/.exec(lineThat("nats --context")) ?? [];
  const known = JSON.parse(readFileSync(join(folder, context), "utf8")) as Record<string, string>;
  const seed = readFileSync(known.nkey ?? "", "utf8").trim();
  const nats = await connect({
    servers: known.url ?? "",
    authenticator: nkeyAuthenticator(Buffer.from(seed)),
    inboxPrefix: known.inbox_prefix ?? "",
  });
  const reply = await nats.request(subject, body, { timeout: timeoutMs });
  await nats.close();
  t.like(reply.json(), { client: "me", id: "1", ok: true, result: { status: "rejected" } });

  const call = lineThat("connect({ nats").replace("nats://127.0.0.1:4222", url);
  writeFileSync(
    join(folder, "snippet.mjs"),
    `import { connect } from "twinlog";
const client = await ${call};
const { result } = await client.request({ type: "cancel", symbol: "BTCUSD", order: "o2" }, { key: "BTCUSD" });
console.log(JSON.stringify(result));
await client.disconnect();
`,
  );
  const snippet = await shell("node snippet.mjs");
  t.is(snippet.status, 0, snippet.stderr);
  t.like(JSON.parse(snippet.stdout), { status: "rejected", order: "o2" });
});
