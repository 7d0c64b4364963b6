/**
 * nats-server as a child: ready when it says so, honest about a taken port, its data kept, and never left behind.
 */
import { spawn } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import test from "ava";
import { connect } from "nats";
import { natsConfig } from "../../deploy/nats/folder.ts";
import { NatsPortTaken, NatsStartFailed, startNatsServer } from "../../deploy/nats/process.ts";
import { freePort } from "../helpers/free-port.ts";
import { natsBinary, natsServer } from "../helpers/nats.ts";
import { temporaryDirectory } from "../helpers/temporary-directory.ts";
import { until } from "../helpers/until.ts";

test("JetStream answers as soon as the server is returned, and its data outlives a kill", async (t) => {
  const nats = await natsServer(t);
  const first = await connect({ servers: nats.url });
  const views = await first.jetstream().views.kv("kept");
  await views.put("key", "value");
  await first.close();

  const { pid, port } = nats;
  nats.signal("SIGKILL");
  await nats.restart();
  t.not(nats.pid, pid);
  t.is(nats.port, port);

  const second = await connect({ servers: nats.url });
  t.teardown(() => second.close());
  const entry = await (await second.jetstream().views.kv("kept")).get("key");
  t.is(entry?.string(), "value");
});

test("a message may have 1 MiB, headers included, unless told otherwise", async (t) => {
  const small = await natsServer(t, { maxPayloadBytes: 4_096 });
  const usual = await natsServer(t);
  for (const [nats, expected] of [
    [small, 4_096],
    [usual, 1_048_576],
  ] as const) {
    const connection = await connect({ servers: nats.url });
    t.is(connection.info?.max_payload, expected);
    await connection.close();
  }
});

test("it listens on loopback only", async (t) => {
  const nats = await natsServer(t);
  const connection = await connect({ servers: nats.url });
  t.is(connection.info?.host, "127.0.0.1");
  await connection.close();
});

test("a port that another program holds is a clear, typed error", async (t) => {
  const holder = createServer().listen(0, "127.0.0.1");
  t.teardown(() => holder.close());
  await until(() => holder.listening, { withinMs: 5_000 });
  const address = holder.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  const error = await t.throwsAsync(
    startNatsServer({ binary: await natsBinary(), storeDir: await temporaryDirectory(t), port }),
    {
      instanceOf: NatsPortTaken,
    },
  );
  t.is(error.port, port);
  t.regex(error.message, new RegExp(`port ${port} is taken`));
});

test("another nats-server on the port is not taken for ours", async (t) => {
  const other = await natsServer(t);
  const storeDir = await temporaryDirectory(t);
  await t.throwsAsync(startNatsServer({ binary: await natsBinary(), storeDir, port: other.port }), {
    instanceOf: NatsPortTaken,
  });
});

test("a second server is not let into the folder of a living one, and the first is not disturbed", async (t) => {
  const storeDir = await temporaryDirectory(t);
  const first = await natsServer(t, { storeDir });
  const binary = await natsBinary();
  await t.throwsAsync(startNatsServer({ binary, storeDir }), {
    instanceOf: NatsStartFailed,
    message: /another nats-server, on port \d+, has its data in/,
  });
  await t.throwsAsync(startNatsServer({ binary, storeDir, port: first.port }), { instanceOf: NatsPortTaken });
  const connection = await connect({ servers: first.url });
  t.truthy(await connection.jetstreamManager());
  await connection.close();
});

test("a configuration that it refuses is an error with its own words", async (t) => {
  const storeDir = await temporaryDirectory(t);
  const starting = startNatsServer({ binary: await natsBinary(), storeDir, extraConfig: "no_such_field: 1" });
  await t.throwsAsync(starting, { instanceOf: NatsStartFailed, message: /no_such_field/ });
});

test("a program that is no nats-server is refused before it is used", async (t) => {
  const storeDir = await temporaryDirectory(t);
  await t.throwsAsync(startNatsServer({ binary: process.execPath, storeDir }), { instanceOf: NatsStartFailed });
  await t.throwsAsync(startNatsServer({ binary: join(storeDir, "absent"), storeDir }), { instanceOf: NatsStartFailed });
});

test("a server that does not get ready is stopped, not left behind", async (t) => {
  const folder = await temporaryDirectory(t);
  const impostor = join(folder, "impostor");
  await writeFile(
    impostor,
    `#!/bin/sh\nif [ "$1" = --version ]; then echo "nats-server: v2.10.0"; exit; fi\necho $$ > "${folder}/pid"\nexec sleep 60\n`,
    { mode: 0o755 },
  );
  const starting = startNatsServer({ binary: impostor, storeDir: folder, port: await freePort(), readyWithinMs: 300 });
  await t.throwsAsync(starting, { instanceOf: NatsStartFailed, message: /not ready within 300 ms/ });
  t.false(isAlive(Number(await readFile(join(folder, "pid"), "utf8"))));
});

test("stopping is orderly, may be repeated, and works on a paused server", async (t) => {
  const nats = await natsServer(t);
  nats.signal("SIGSTOP");
  const [once, again] = await Promise.all([nats.stop(), nats.stop()]);
  t.deepEqual(once, again);
  t.not(once.signal, "SIGKILL");
  t.false(isAlive(nats.pid));
});

for (const [signal, isPaused] of [
  ["SIGKILL", false],
  ["SIGTERM", false],
  ["SIGKILL", true],
] as const) {
  const how = isPaused ? ", even if it is paused" : "";
  test(`it goes when the process that started it is ended with ${signal}${how}`, async (t) => {
    const storeDir = await temporaryDirectory(t);
    const script = `
      import { startNatsServer } from ${JSON.stringify(new URL("../../deploy/nats/process.js", import.meta.url).href)};
      const nats = await startNatsServer(${JSON.stringify({ binary: await natsBinary(), storeDir })});
      console.log(nats.pid);`;
    const parent = spawn(process.execPath, ["--input-type=module", "-e", script], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    t.teardown(() => parent.kill("SIGKILL"));
    const lines = createInterface({ input: parent.stdout });
    const pid = await new Promise<number>((resolve) => lines.once("line", (line) => resolve(Number(line))));
    t.true(isAlive(pid));
    if (isPaused) process.kill(pid, "SIGSTOP");
    parent.kill(signal);
    await until(() => !isAlive(pid), { withinMs: 10_000, waitedFor: `nats-server ${pid} to be gone` });
    t.pass();
  });
}

test("every write is synced where the version can do that", (t) => {
  t.regex(natsConfig({ storeDir: "data", port: 4222 }, "name", "2.10.27"), /sync_interval: always/);
  t.regex(natsConfig({ storeDir: "data", port: 4222 }, "name", "3.0.0"), /sync_interval: always/);
  t.notRegex(natsConfig({ storeDir: "data", port: 4222 }, "name", "2.9.10"), /sync_interval/);
});

/** A process that has ended and whose parent has not asked for its status yet is not alive. */
function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
