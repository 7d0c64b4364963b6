/**
 * `twinlog up` with stand-in servers: it starts, keeps running what dies, stops cleanly, finds its data again, and says what is wrong.
 */
import { once } from "node:events";
import { appendFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { ServiceFolder, UpError } from "../../deploy/up/folder.ts";
import { isAlive } from "../../deploy/up/last-run.ts";
import { ServiceFile } from "../../schemas/service-file.ts";
import { Settings } from "../../schemas/settings.ts";
import { freePort } from "../helpers/free-port.ts";
import { natsBinary } from "../helpers/nats.ts";
import { until } from "../helpers/until.ts";
import { notRecordFile, quickLimits, RunningUp, setBehaviour, startUp, upOptions, withinMs } from "./harness.ts";

const read = (...path: string[]): string => readFileSync(join(...path), "utf8");

test("the first start creates the record once, writes the settings and says what runs where", async (t) => {
  const up = await startUp(t);
  await up.untilNormal();
  const { data, natsPort, servers } = up.options;
  t.is(read(data, "initialised"), "alpha\n");
  for (const { name } of servers) {
    const settings = Settings.parse(JSON.parse(read(data, `${name}.json`)));
    t.deepEqual(
      [settings.server, settings.servers.map(({ port }) => port), settings.nats.servers, settings.dataDirectory],
      [name, servers.map(({ port }) => port), [`nats://127.0.0.1:${natsPort}`], join(data, name)],
    );
  }
  t.deepEqual(ServiceFile.parse(JSON.parse(read(data, "service.json"))), {
    service: "exchange",
    application: "exchange",
    nats: `nats://127.0.0.1:${natsPort}`,
    access: join(data, "access"),
  });
  const pids = up.pids();
  for (const pid of Object.values(pids)) {
    t.true(isAlive(pid));
    t.regex(up.printed, new RegExp(`\\b${pid}\\b`));
  }
  t.regex(up.printed, new RegExp(`kill -9 ${pids.alpha} `));
  t.regex(up.printed, /alpha is primary \(hot\), mode normal: the test says so/);
  t.is(await up.stop(), 0);
});

test("stopping asks both servers, ends nats-server last, and the next start finds everything again", async (t) => {
  const first = await startUp(t);
  await first.untilNormal();
  const pids = first.pids();
  t.is(await first.stop(), 0);
  for (const pid of Object.values(pids)) t.false(isAlive(pid));
  // The stand-in notes its end only after a word with NATS.
  for (const name of ["alpha", "beta"]) t.is(first.story(name).at(-1), "stopped by SIGTERM");

  const second = new RunningUp(first.options, await natsBinary());
  t.teardown(() => second.stop());
  await second.untilNormal();
  t.is(read(first.options.data, "initialised"), "alpha\n", "created once");
  t.true(existsSync(join(first.options.data, "alpha.log.1")), "the log of the run before is kept");
  t.is(await second.stop(), 0);
});

/** A port on which somebody listens until the test is over. */
async function takenPort(t: ExecutionContext): Promise<number> {
  const taken = createServer().listen(0, "127.0.0.1");
  t.teardown(() => taken.close());
  await once(taken, "listening");
  return (taken.address() as AddressInfo).port;
}

test("each server answers machines at its port or, where that is taken, at another; both are printed", async (t) => {
  const [taken, free] = [await takenPort(t), await freePort()];
  const { servers } = await upOptions(t);
  const up = await startUp(t, { servers: servers.map((each, at) => ({ ...each, httpPort: [taken, free][at] ?? 0 })) });
  await up.untilNormal();
  const [alpha, beta] = servers.map(
    ({ name }) => Settings.parse(JSON.parse(read(up.options.data, `${name}.json`))).http?.port ?? 0,
  );
  t.is(beta, free);
  t.false([0, taken, free].includes(alpha ?? 0), `${alpha}`);
  t.true(up.printed.includes(`Machines ask http://127.0.0.1:${alpha} (alpha), http://127.0.0.1:${beta} (beta)`));
});

test("the console is a process of its own, at its port or, where that is taken, at another that is printed", async (t) => {
  const consolePort = await takenPort(t);
  const up = await startUp(t, { consolePort });
  await up.untilNormal();
  const [, url, port] = await up.prints(/Watch it in a browser: (http:\/\/127\.0\.0\.1:(\d+)\/)/);
  t.not(Number(port), consolePort, url);
  const { data } = up.options;
  const access = (file: string) => join(data, "access", file);
  const logIns = `--context ${access("viewer.json")} --operator-context ${access("operator.json")}`;
  const told = `told --service exchange --port ${port} ${logIns} --login ${access("console-passwords.json")}\n`;
  await until(() => read(data, "console.log") === told, { withinMs });
  t.is(await up.stop(), 0);
});

test("a server that is killed is started again, and so is nats-server, on its port", async (t) => {
  const up = await startUp(t);
  await up.untilNormal();
  const before = up.pids();
  process.kill(before.alpha, "SIGKILL");
  await until(() => up.pids().alpha !== null && up.pids().alpha !== before.alpha, { withinMs });
  await up.prints(/alpha \(process \d+\) was ended by SIGKILL; it is started again in 20 ms/);

  process.kill(before.nats, "SIGKILL");
  await up.prints(/nats-server was ended by SIGKILL; it is started again/);
  const [, pid] = await up.prints(/nats-server runs again \(process (\d+)\)/);
  t.not(Number(pid), before.nats);
  t.is(await up.stop(), 0, "the servers found it again, or they could not have said a last word");
  t.is(up.story("beta").at(-1), "stopped by SIGTERM");
});

test("a server that dies at once again and again is started after longer and longer, and said why", async (t) => {
  const options = await upOptions(t, { limits: { ...quickLimits, steadyMs: 60_000 } });
  setBehaviour(options.data, "beta", "dies:5");
  appendFileSync(join(options.data, "initialised"), "alpha\n");
  const up = new RunningUp(options, await natsBinary());
  t.teardown(() => up.stop());
  await up.untilNormal();
  const delays = [
    ...up.printed.matchAll(/ended with status 3: this server has no heart; it is started again in (\d+) ms/g),
  ];
  t.deepEqual(
    delays.map(([, ms]) => Number(ms)),
    [20, 40, 80, 160, 200],
  );
  t.is(await up.stop(), 0);
});

test("a server that does not stop is named, then killed with a warning, and the exit status says so", async (t) => {
  const options = await upOptions(t, { limits: { ...quickLimits, stopMs: 1_000 } });
  const up = new RunningUp(options, await natsBinary());
  t.teardown(() => up.stop());
  await up.prints(/nats-server .* runs/);
  setBehaviour(options.data, "alpha", "deaf");
  await up.untilNormal();
  process.kill(up.pids().alpha, "SIGKILL");
  await until(() => up.story("alpha").length === 2, { withinMs });
  const { alpha, nats } = up.pids();
  t.is(await up.stop(), 1);
  t.regex(up.printed, new RegExp(`waiting for alpha \\(process ${alpha}\\) to stop`));
  t.regex(up.printed, new RegExp(`warning: alpha \\(process ${alpha}\\) did not stop within 1000 ms and is killed`));
  t.false(isAlive(alpha));
  t.false(isAlive(nats));
  t.is(up.story("beta").at(-1), "stopped by SIGTERM");
});

test("a server that ends with an error when it is told to stop is named, and the exit status says so", async (t) => {
  const options = await upOptions(t);
  setBehaviour(options.data, "beta", "stops badly");
  appendFileSync(join(options.data, "initialised"), "alpha\n");
  const up = new RunningUp(options, await natsBinary());
  t.teardown(() => up.stop());
  await up.untilNormal();
  t.is(await up.stop(), 1);
  t.regex(up.printed, /warning: beta \(process \d+\) ended with status 4: the disk is gone/);
});

test("data without a registry record is an error that says so, and nothing is created or left running", async (t) => {
  const first = await startUp(t);
  await first.untilNormal();
  await first.stop();
  rmSync(join(first.options.data, "initialised"));
  const second = new RunningUp(first.options, await natsBinary());
  await t.throwsAsync(second.ended, {
    instanceOf: UpError,
    message: /the servers have data in .*, but the registry has no record of exchange/,
  });
  t.false(existsSync(join(first.options.data, "initialised")));
  await until(() => !isAlive(first.pids().nats), { withinMs });
});

test("what stands in the registry and is no record is told, and the servers are started: whoever puts it right asks them", async (t) => {
  const options = await upOptions(t);
  writeFileSync(join(options.data, notRecordFile), "");
  const up = new RunningUp(options, await natsBinary());
  t.teardown(() => up.stop());
  await up.untilNormal();
  t.regex(up.printed, /the registry has no record: revision 4 is damaged/);
  t.false(existsSync(join(options.data, "initialised")));
  t.is(await up.stop(), 0);
});

test("a second `up` on the same folder, and a folder of another service, are errors that say what to do", async (t) => {
  const up = await startUp(t);
  await up.untilNormal();
  const binary = await natsBinary();
  const second = new RunningUp(up.options, binary);
  await t.throwsAsync(second.ended, {
    instanceOf: UpError,
    message: new RegExp(
      `already runs from .* \\(process ${process.pid}\\): stop that one \\(Ctrl-C\\), or choose another --data`,
    ),
  });
  await up.stop();
  const other = new RunningUp({ ...up.options, application: "ledger", service: "bank" }, binary);
  await t.throwsAsync(other.ended, {
    instanceOf: UpError,
    message: /holds the data of service exchange .* not of bank/,
  });
});

test("a taken port is an error that names the port and the option, before anything is started", async (t) => {
  const holder = createServer().listen(0, "127.0.0.1");
  t.teardown(() => holder.close());
  await until(() => holder.listening, { withinMs });
  const { port } = holder.address() as { port: number };
  const options = await upOptions(t);
  const binary = await natsBinary();
  await t.throwsAsync(new RunningUp({ ...options, natsPort: port }, binary).ended, {
    message: `port ${port} is taken, and nats-server needs it: stop the program that listens there, or choose another with --nats-port or --base-port`,
  });
  const servers = [
    { name: "alpha", port },
    { name: "beta", port: options.servers[1]?.port ?? 0 },
  ];
  await t.throwsAsync(new RunningUp({ ...options, servers }, binary).ended, {
    message: new RegExp(`port ${port} is taken, and alpha needs it: .* with --main-ports or --base-port`),
  });
  t.false(existsSync(join(options.data, "nats")));
});

test("stopping before the servers are there stops what is there", async (t) => {
  const up = await startUp(t);
  await up.prints(/nats-server .* runs/);
  t.is(await up.stop(), 0);
  await until(() => !existsSync(join(up.options.data, "holder")), { withinMs });
});

test("a folder that cannot be used is an error that names it and the option", async (t) => {
  const { data } = await upOptions(t);
  writeFileSync(join(data, "file"), "");
  const error = t.throws(() => new ServiceFolder(join(data, "file", "folder")), { instanceOf: UpError });
  t.regex(error.message, /^the folder .* cannot be used: ENOTDIR.*; choose another with --data$/);
});

test("a log file that cannot be opened and process ids that cannot be kept, on a full disk say, end nobody", async (t) => {
  const up = await startUp(t);
  await up.untilNormal();
  const { data } = up.options;
  const before = up.pids();
  for (const name of ["alpha.log", "running.json.new"]) {
    rmSync(join(data, name), { force: true });
    mkdirSync(join(data, name));
  }
  process.kill(before.alpha, "SIGKILL");
  await up.prints(/warning: process ids are not kept: EISDIR/);
  await up.prints(/warning: what alpha prints is not kept: EISDIR/);
  await until(() => up.story("alpha").filter((line) => line.startsWith("started")).length === 2, { withinMs });
  t.true(isAlive(before.beta));
  t.is(await up.stop(), 0);
  t.is(up.story("alpha").at(-1), "stopped by SIGTERM");
});
