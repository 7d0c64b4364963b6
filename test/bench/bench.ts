/**
 * `npm run bench`: the mirrored pair against a bare responder that runs the same exchange with no log, in one run, in
 * turn, with the same load generator. Absolute figures belong to the machine; the ratio is what counts.
 *
 *   npm run bench -- [--seconds 4] [--rounds 2] [--levels 1,64,256,1024] [--results] [--alone]
 */
import { type ChildProcess, execFile, fork, spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs, promisify } from "node:util";
import { startNatsServer } from "../../deploy/nats/process.ts";
import { bringNatsServer } from "../../deploy/nats-server.ts";
import { freePort } from "../helpers/free-port.ts";
import type { LoadReport } from "./load.ts";

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const program = here("../../deploy/twinlog.js");
const run = promisify(execFile);

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "4" },
    rounds: { type: "string", default: "2" },
    levels: { type: "string", default: "1,64,256,1024" },
    results: { type: "boolean", default: false },
    alone: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
  },
});
const seconds = Number(values.seconds);
const levels = values.levels.split(",").map(Number);

const folder = await mkdtemp(join(tmpdir(), "twinlog-bench-"));
const binary = await bringNatsServer({ dataFolder: ".twinlog" });
const nats = await startNatsServer({ binary: binary.path, storeDir: join(folder, "nats") });
const children: ChildProcess[] = [];

async function settingsOf(service: string, server: string, ports: readonly number[]): Promise<string> {
  const file = join(folder, `${service}-${server}.json`);
  const servers = ["alpha", "beta"].map((name, index) => ({ name, port: ports[index] }));
  const settings = {
    service,
    server,
    servers: values.alone ? servers.slice(0, 1) : servers,
    dataDirectory: join(folder, `${service}-${server}`),
    nats: { servers: [nats.url] },
    publishResults: values.results,
  };
  await writeFile(file, JSON.stringify(settings));
  return file;
}

async function startPair(): Promise<void> {
  const ports = [await freePort(), await freePort()];
  const alpha = await settingsOf("pair", "alpha", ports);
  await run(process.execPath, [program, "init", "--config", alpha]);
  const configs = values.alone ? [alpha] : [alpha, await settingsOf("pair", "beta", ports)];
  for (const config of configs)
    children.push(spawn(process.execPath, [program, "server", "--config", config], { stdio: "ignore" }));
  const wanted = values.alone ? "primary-only" : "normal";
  for (;;) {
    const status = await run(process.execPath, [
      program,
      "status",
      "--json",
      "--service",
      "pair",
      "--nats",
      nats.url,
    ]).catch(() => null);
    if (status?.stdout.includes(`"mode": "${wanted}"`) || status?.stdout.includes(`"mode":"${wanted}"`)) return;
    await wait(100);
  }
}

async function startBare(): Promise<void> {
  const config = await settingsOf("bare", "alpha", [await freePort(), await freePort()]);
  const bare = fork(here("./bare.js"), [config]);
  children.push(bare);
  await new Promise((resolve) => bare.once("message", resolve));
}

let loads = 0;
async function load(service: string, inFlight: number): Promise<LoadReport> {
  loads += 1;
  const options = { url: nats.url, service, inFlight, warmMs: 1_000, measureMs: seconds * 1_000, run: String(loads) };
  const { stdout } = await run(process.execPath, [here("./load.js"), JSON.stringify(options)]);
  return JSON.parse(stdout) as LoadReport;
}

const median = (list: number[]) => [...list].sort((one, other) => one - other)[Math.floor(list.length / 2)] ?? 0;

interface Row {
  inFlight: number;
  bare: LoadReport;
  pair: LoadReport;
  ratio: number;
}

async function measure(inFlight: number): Promise<Row> {
  const ratios: number[] = [];
  let best: { bare: LoadReport; pair: LoadReport } | null = null;
  for (let round = 0; round < Number(values.rounds); round += 1) {
    const bare = await load("bare", inFlight);
    const pair = await load("pair", inFlight);
    ratios.push(pair.perSecond / bare.perSecond);
    if (best === null || pair.perSecond > best.pair.perSecond) best = { bare, pair };
  }
  if (best === null) throw new Error("no round was run");
  return { inFlight, ...best, ratio: median(ratios) };
}

const rows: Row[] = [];
try {
  await startBare();
  await startPair();
  // Compilers warm up first: what is measured is a server that has run for a while.
  for (const service of ["bare", "pair"]) await load(service, 256);
  for (const level of levels) rows.push(await measure(level));
} finally {
  for (const child of children) child.kill("SIGTERM");
  await Promise.all(
    children.map((child) => (child.exitCode === null ? new Promise((resolve) => child.once("exit", resolve)) : null)),
  );
  await nats.stop();
  await rm(folder, { recursive: true, force: true });
}

if (values.json) process.stdout.write(`${JSON.stringify(rows)}\n`);
else {
  const about = `${values.alone ? "one server alone, each record synced before it is acknowledged" : "pair, mirrored in memory"}; results ${values.results ? "published by both" : "published by neither"}`;
  process.stdout.write(
    `${about}\n\n| in flight | bare | p50 | p99 | Twinlog | p50 | p99 | ratio |\n|---|---|---|---|---|---|---|---|\n`,
  );
  const cells = (report: LoadReport) =>
    `${Math.round(report.perSecond).toLocaleString("en")}/s | ${report.p50Ms.toFixed(2)} ms | ${report.p99Ms.toFixed(1)} ms`;
  for (const { inFlight, bare, pair, ratio } of rows)
    process.stdout.write(`| ${inFlight} | ${cells(bare)} | ${cells(pair)} | ${ratio.toFixed(2)} |\n`);
}
