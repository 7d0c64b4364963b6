/** What `twinlog drill` refuses before it does anything, each with one line that says what would help; servers are acted by a voice on NATS. */
import { execFile } from "node:child_process";
import process from "node:process";
import { fileURLToPath } from "node:url";
import test from "ava";
import { connect } from "nats";
import type { ServerStatus } from "../../schemas/status.ts";
import { sharedNatsServer } from "../helpers/nats.ts";
import { statusOf } from "../helpers/status-of.ts";

const program = fileURLToPath(new URL("../../deploy/twinlog.js", import.meta.url));
const counter = fileURLToPath(new URL("../../deploy/examples/counter/counter.js", import.meta.url));
const nats = sharedNatsServer(test);

function drill(...words: string[]): Promise<{ status: number; out: string; err: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [program, "drill", ...words], { timeout: 60_000 }, (error, out, err) =>
      resolve({ status: error === null ? 0 : Number(error.code ?? -1), out, err }),
    );
  });
}

/** Alpha is the primary, whoever else is there its backup; both let themselves be tested. */
const status = (service: string, name: string, changes: Partial<ServerStatus>): ServerStatus =>
  statusOf({
    ...(name === "alpha" ? {} : { role: "backup", state: "following.warm", application: "warm" }),
    service,
    name,
    pid: process.pid,
    incarnation: name,
    testService: true,
    ...changes,
  });

/** Says these again and again while `during` runs. */
async function whileSaid<T>(statuses: readonly ServerStatus[], during: () => Promise<T>): Promise<T> {
  const connection = await connect({ servers: nats.current.url });
  const say = () => {
    for (const said of statuses)
      connection.publish(`${said.service}.status.${said.name}`, Buffer.from(JSON.stringify(said)));
  };
  const timer = setInterval(say, 50);
  try {
    return await during();
  } finally {
    clearInterval(timer);
    await connection.close();
  }
}

const wrongWords: readonly (readonly [what: string, words: string[], says: RegExp])[] = [
  [
    "a fault that there is not",
    ["--faults", "burn"],
    /--faults burn: give some of kill, stop, cut, switch, with commas/,
  ],
  [
    "an application that there is not",
    ["--application", "foo"],
    /--application foo: a drill's own pair runs one of exchange/,
  ],
  ["a module that there is not", ["--application", "./none.js"], /cannot load the application .*none\.js/],
  [
    "a module and no requests",
    ["--application", counter],
    /nothing is known of the requests of .*: say with --body what/,
  ],
  ["a body that is no JSON", ["--body", "{bad"], /--body is not JSON/],
  ["a body that is no request", ["--body", '{"n":{n}}'], /--body is no request of exchange: type /],
  ["no NATS", ["--running", "--nats", "nats://127.0.0.1:1"], /cannot reach NATS at nats:\/\/127\.0\.0\.1:1/],
  [
    "the cable of another's pair",
    ["--running", "--faults", "cut"],
    /only the main link of a drill's own pair can be cut/,
  ],
];

for (const [what, words, says] of wrongWords)
  test.serial(`refused: ${what}`, async (t) => {
    const { status: code, err } = await drill(...words);
    t.is(code, 1);
    t.regex(err, says);
    t.is(err.trim().split("\n").length, 1, "one line");
  });

test.serial("refused: a service that is not there", async (t) => {
  const { status: code, err } = await drill("--running", "--nats", nats.current.url, "--service", "nowhere");
  t.is(code, 1);
  t.regex(err, /no server of a service nowhere speaks there: is it started\? --service and --nats say which is meant/);
});

test.serial("refused: servers that are not marked", async (t) => {
  const said = ["alpha", "beta"].map((name) => status("real", name, { testService: name === "alpha" }));
  const refused = await whileSaid(said, () => drill("--running", "--nats", nats.current.url, "--service", "real"));
  t.is(refused.status, 1);
  t.regex(refused.err, /real is not marked as a test service \(beta: .*--force does it all the same/);
});

test.serial(
  "refused: kill and stop where the servers are elsewhere; this test's own process is none of them",
  async (t) => {
    const said = ["alpha", "beta"].map((name) => status("far", name, {}));
    const words = ["--running", "--nats", nats.current.url, "--service", "far", "--faults", "kill,switch"];
    const refused = await whileSaid(said, () => drill(...words));
    t.is(refused.status, 1);
    t.regex(
      refused.err,
      /alpha cannot be killed or stopped from here: .*: run the drill on the machine of the servers, or/,
    );
  },
);

test.serial("refused: a service without a backup, after it had its time; what each server says is told", async (t) => {
  const said = [status("lonely", "alpha", { mode: "primary-only", state: "hot.alone" })];
  const refused = await whileSaid(said, () => drill("--running", "--nats", nats.current.url, "--service", "lonely"));
  t.is(refused.status, 1);
  t.regex(refused.out, /waits for lonely to be in normal service: alpha is hot\.alone \(backup joined\)/);
  t.regex(refused.err, /lonely is not in normal service, which a drill begins with: alpha is hot\.alone/);
});
