/** `twinlog drill` as a process: on a pair of its own, and on one that runs, which it must not touch unless it may. */
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import test from "ava";
import { startPair } from "../helpers/pair/pair.ts";

const program = fileURLToPath(new URL("../../deploy/twinlog.js", import.meta.url));

interface Report {
  passed: boolean;
  lost: number;
  duplicated: number;
  acknowledged: number;
  requests: number;
  trouble: string;
  faults: { kind: string; gapMs: number }[];
  gaps: Record<string, { times: number }>;
}

function drill(words: readonly string[]): Promise<{ status: number; out: string; err: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [program, "drill", ...words], { timeout: 120_000 }, (error, out, err) =>
      resolve({ status: error === null ? 0 : Number(error.code ?? -1), out, err }),
    );
  });
}

test.serial(
  "on a pair of its own: each fault is done, nothing is lost or done twice, and nothing is left",
  async (t) => {
    const words = ["--seconds", "1", "--seed", "5", "--rate", "200", "--json"];
    const killed = await drill([...words, "--faults", "kill"]);
    const report = JSON.parse(killed.out) as Report;
    t.is(killed.status, 0, killed.err);
    t.like(report, { passed: true, lost: 0, duplicated: 0, trouble: "" });
    t.is(report.faults[0]?.kind, "kill");
    t.true(report.acknowledged > 50 && report.acknowledged <= report.requests);
    t.false(existsSync(/\/\S*twinlog-drill-\S+/.exec(killed.err)?.[0] ?? "/nowhere"));
  },
);

test.serial("on a service that runs and is not marked: refused, and nothing happens to it", async (t) => {
  const pair = await startPair(t);
  const words = ["--running", "--service", pair.service, "--nats", pair.nats.url, "--seconds", "1", "--rate", "100"];
  const pids = [...pair.servers.values()].map(({ pid }) => pid);
  const refused = await drill(words);
  t.is(refused.status, 1);
  t.regex(
    refused.err,
    /^twinlog: pair is not marked as a test service \(alpha, beta: .*--force does it all the same\n$/,
  );
  t.deepEqual(
    [...pair.servers.values()].map(({ pid }) => pid),
    pids,
  );
  t.is(pair.hot()?.sequence, 0, "nothing was sent to it");
  const cut = await drill([...words, "--force", "--faults", "cut"]);
  t.is(cut.status, 1);
  t.regex(cut.err, /only the main link of a drill's own pair can be cut/);
  const forced = await drill([...words, "--force", "--faults", "switch", "--json"]);
  t.is(forced.status, 0, forced.err);
  t.like(JSON.parse(forced.out) as Report, { passed: true, lost: 0, duplicated: 0 });
});

test.serial("interrupted in the middle: the verdict is about what was done, and it is no success", async (t) => {
  const pair = await startPair(t, { settings: () => ({ testService: true }) });
  const words = [
    "--running",
    "--service",
    pair.service,
    "--nats",
    pair.nats.url,
    "--faults",
    "switch",
    "--rate",
    "100",
  ];
  const child = spawn(process.execPath, [program, "drill", ...words], { stdio: ["ignore", "pipe", "inherit"] });
  let out = "";
  child.stdout.on("data", (text: Buffer) => {
    const isFirst = !/ gap /.test(out);
    out += text.toString();
    if (isFirst && / gap /.test(out)) child.kill("SIGINT");
  });
  const [status] = (await once(child, "close")) as [number | null];
  t.is(status, 1);
  t.regex(out, /lost 0, duplicated 0\n.*interrupted: the verdict is about what was done until then\n\nFAILED/s);
});

test.serial("on a marked service whose dead server nobody starts again: it says so, and fails", async (t) => {
  const pair = await startPair(t, { settings: () => ({ testService: true }) });
  const words = ["--running", "--service", pair.service, "--nats", pair.nats.url, "--seconds", "1", "--rate", "100"];
  const drilled = drill([...words, "--faults", "kill", "--patience", "3", "--json"]);
  const { status, out } = await drilled;
  t.is(status, 1);
  const report = JSON.parse(out) as Report;
  t.like(report, { passed: false, lost: 0, duplicated: 0 });
  t.regex(
    report.trouble,
    /not normal again within 3 s after kill \(alpha, process \d+\): alpha has said nothing for \d s; beta is hot\.alone .*something must start a killed server again/,
  );
});
