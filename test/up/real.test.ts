/**
 * `twinlog up` as people run it: the real program, nats-server, LevelDB and two servers. Orders are sent before and after the primary
 * is killed, everything is stopped with Ctrl-C (which npm passes on a second time), started again, and nothing is lost.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { lstatSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import test, { type ExecutionContext } from "ava";
import { runCommand } from "../../deploy/nats/command.ts";
import { isAlive } from "../../deploy/up/last-run.ts";
import { freePort } from "../helpers/free-port.ts";
import { natsBinary } from "../helpers/nats.ts";
import { temporaryDirectory } from "../helpers/temporary-directory.ts";
import { until } from "../helpers/until.ts";

const twinlog = fileURLToPath(new URL("../../deploy/twinlog.js", import.meta.url));
const root = fileURLToPath(new URL("../../..", import.meta.url));
const withinMs = 45_000;

interface Pair {
  readonly child: ChildProcess;
  readonly ended: Promise<number | null>;
  printed(): string;
  until(pattern: RegExp): Promise<RegExpExecArray>;
}

interface Place {
  readonly data: string;
  readonly ports: readonly [number, number, number];
}

/** `twinlog up` itself, or through npm as a newcomer does it. */
async function startPair(t: ExecutionContext, { data, ports }: Place, by: "node" | "npm"): Promise<Pair> {
  const [natsPort, alpha, beta] = ports;
  const words = ["--data", data, "--nats-port", String(natsPort), "--main-ports", `${alpha},${beta}`];
  const [program, ...first] = by === "node" ? [process.execPath, twinlog, "up"] : ["npm", "start", "--silent", "--"];
  const child = spawn(program ?? "", [...first, ...words], {
    cwd: root,
    env: { ...process.env, TWINLOG_NATS_SERVER: await natsBinary() },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let printed = "";
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding("utf8").on("data", (text: string) => {
      printed += text;
    });
  const ended = new Promise<number | null>((resolve) => child.on("exit", (code) => resolve(code)));
  t.teardown(async () => {
    child.kill("SIGTERM");
    await ended;
  });
  const waiting = async (pattern: RegExp): Promise<RegExpExecArray> =>
    until(() => pattern.exec(printed), { withinMs, waitedFor: String(pattern) }).catch((error: Error) => {
      throw new Error(`${error.message}\n${printed}`);
    });
  return { child, ended, printed: () => printed, until: waiting };
}

async function ask(place: Place, command: "request" | "query", body: object): Promise<unknown> {
  const environment = { ...process.env, TWINLOG_DATA: place.data };
  const words = [twinlog, command, JSON.stringify(body)];
  const { status, stdout, stderr } = await runCommand(process.execPath, words, { timeoutMs: withinMs, environment });
  if (status !== 0) throw new Error(`twinlog ${command} ended with status ${status}: ${stderr}`);
  return JSON.parse(stdout);
}

const sell = (order: string, price: number) => ({
  type: "limit",
  symbol: "BTCUSD",
  order,
  side: "sell",
  price,
  quantity: 10,
});

function pidsIn({ data }: Place): { up: number; nats: number; servers: Record<string, number> } {
  return JSON.parse(readFileSync(join(data, "running.json"), "utf8"));
}

/** Folders and files that others than their owner may read, write or pass. */
function openToOthers(folder: string): string[] {
  const names = readdirSync(folder, { recursive: true, encoding: "utf8" });
  return names.filter((name) => (lstatSync(join(folder, name)).mode & 0o077) !== 0);
}

test("start, order, kill the primary, order, Ctrl-C, start again: everything is still there", async (t) => {
  t.timeout(180_000);
  const place: Place = {
    data: await temporaryDirectory(t),
    ports: [await freePort(), await freePort(), await freePort()],
  };
  const pair = await startPair(t, place, "node");
  await pair.until(/Ctrl-C stops everything/);
  await ask(place, "request", sell("o1", 100));

  const [, name = "", pid] = await pair.until(/(alpha|beta) +(\d+) +primary \(hot\)/);
  const other = name === "alpha" ? "beta" : "alpha";
  process.kill(Number(pid), "SIGKILL");
  await pair.until(new RegExp(`${other} is primary \\(hot\\), mode backup-only`));
  await ask(place, "request", sell("o2", 101));
  await pair.until(
    new RegExp(
      `${other} is primary \\(hot\\), mode normal[^]*${name} is backup|${name} is backup[^]*${other} is primary \\(hot\\), mode normal`,
    ),
  );

  const { nats, servers } = pidsIn(place);
  pair.child.kill("SIGINT");
  pair.child.kill("SIGINT");
  t.is(await pair.ended, 0, pair.printed());
  for (const each of [nats, ...Object.values(servers)]) t.false(isAlive(each));

  t.deepEqual(openToOthers(place.data), [], "folders and files are their user's alone");

  const again = await startPair(t, place, "npm");
  await again.until(/Ctrl-C stops everything/);
  t.like(await ask(place, "query", { query: "book", symbol: "BTCUSD" }), {
    symbol: "BTCUSD",
    bids: [],
    asks: [
      [100, 10, 1],
      [101, 10, 1],
    ],
  });
  const last = pidsIn(place);
  // npm alone is told, and hands it on.
  again.child.kill("SIGTERM");
  t.is(await again.ended, 0, again.printed());
  for (const each of [last.up, last.nats, ...Object.values(last.servers)]) t.false(isAlive(each));
});
