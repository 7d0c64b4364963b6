/**
 * Credentials are replaced under a running pair: the broker is told first or the files are, and the primary keeps its role, for
 * the main link carries on. No credential is in a log line, a status, or the arguments of a process.
 */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import { exchange } from "../../actors/applications/exchange/exchange.ts";
import { freePort } from "../helpers/free-port.ts";
import { startPair } from "../helpers/pair/pair.ts";
import { temporaryDirectory } from "../helpers/temporary-directory.ts";
import { until } from "../helpers/until.ts";

const limit = (order: string) =>
  ({ type: "limit", symbol: "BTCUSD", order, side: "buy", price: 100, quantity: 1 }) as const;

const secret = (name: string, round: number) => `s3cret-of-${name}-${round}`;
const configOf = (round: number) => {
  const users = ["alpha", "beta"].map((name) => `{ user: ${name}, password: ${secret(name, round)} }`);
  return `no_auth_user: anyone\nauthorization { users = [ { user: anyone, password: x }, ${users.join(", ")} ] }`;
};

test("passwords that are replaced, in the files first or in the broker, cost no role (situation 60)", async (t) => {
  const directory = await temporaryDirectory(t);
  const fileOf = (name: string) => join(directory, name);
  const write = (round: number) => {
    for (const name of ["alpha", "beta"]) writeFileSync(fileOf(name), `${secret(name, round)}\n`, { mode: 0o600 });
  };
  write(1);
  const port = await freePort();
  const servers = [`nats://127.0.0.1:${port}`];
  const pair = await startPair(t, {
    nats: { port, extraConfig: configOf(1) },
    settings: (name) => ({ nats: { servers, user: name, passwordFile: fileOf(name) } }),
  });
  const client = await pair.client({ client: "alice", application: exchange, deadlineMs: 60_000 });
  const before = await pair.normal();
  const { epoch, incarnation } = await pair.newStatus(before.primary);
  const isServing = async (order: string) => {
    t.is((await client.request(limit(order))).result.status, "resting");
    t.deepEqual(await pair.normal(), before);
    const now = await pair.newStatus(before.primary);
    t.deepEqual([now.epoch, now.incarnation, now.mode], [epoch, incarnation, "normal"]);
  };
  await isServing("o1");

  write(2);
  pair.nats.reload(configOf(2));
  const linesOf = (name: string) => pair.server(name).lines.join("\n");
  for (const { name } of pair.statuses())
    await until(() => /over: there is no connection to NATS/.test(linesOf(name)), {
      withinMs: 60_000,
      waitedFor: `${name} is back`,
    });
  await isServing("o2");

  // nats-server says of each log-in that it refuses of whom it was.
  const refusals = (name: string) =>
    readFileSync(join(pair.folder, "nats", "nats-server.log"), "utf8").split(`User "${name}"`).length;
  const known = [refusals("alpha"), refusals("beta")] as const;
  pair.nats.reload(configOf(3));
  await until(() => refusals("alpha") > known[0] && refusals("beta") > known[1], {
    withinMs: 60_000,
    waitedFor: "both are refused",
  });
  write(3);
  await isServing("o3");

  const said = [...pair.statuses(), ...pair.events].map((one) => JSON.stringify(one)).join("\n");
  t.regex(linesOf("alpha"), /cannot log in to NATS/);
  for (const text of [said, linesOf("alpha"), linesOf("beta"), ...argumentsOfProcesses()])
    t.false(text.includes("s3cret"));
});

/** Of every process of this machine that may be seen. */
function argumentsOfProcesses(): string[] {
  const read = (pid: string) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, "utf8");
    } catch {
      return "";
    }
  };
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(read);
}
