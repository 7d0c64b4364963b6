/**
 * The program itself, as a process, and `connect`, over a real nats-server: what the in-memory tests cannot show.
 */
import { execFile, spawn } from "node:child_process";
import { chmod, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import test, { type ExecutionContext } from "ava";
import { connect as connectNats } from "nats";
import { exchange } from "../../actors/applications/exchange/exchange.ts";
import { connect } from "../../actors/index.ts";
import { NatsBus } from "../../actors/world/bus-nats.ts";
import { openNodeClock } from "../../actors/world/clock-node.ts";
import { NatsLine } from "../../actors/world/connection-nats.ts";
import { subjects } from "../../schemas/subjects.ts";
import { FakeServer } from "../helpers/fake-server.ts";
import { natsServer, sharedNatsServer } from "../helpers/nats.ts";
import { temporaryDirectory } from "../helpers/temporary-directory.ts";
import { until } from "../helpers/until.ts";
import { standingOf } from "./standing-of.ts";

const nats = sharedNatsServer(test);
const program = fileURLToPath(new URL("../../deploy/twinlog.js", import.meta.url));

interface Ended {
  readonly status: number;
  readonly out: string;
  readonly err: string;
}

function twinlog(words: readonly string[], options: { cwd?: string; input?: string } = {}): Promise<Ended> {
  return new Promise((resolve) => {
    const { cwd } = options;
    const child = execFile(process.execPath, [program, ...words], { cwd, timeout: 30_000 }, (error, out, err) => {
      resolve({ status: error === null ? 0 : Number(error.code ?? -1), out, err });
    });
    child.stdin?.end(options.input ?? "");
  });
}

/** A fake service, by default on the file's broker. */
async function fakeService(t: ExecutionContext, service: string, url = nats.current.url): Promise<FakeServer> {
  const clock = openNodeClock();
  const nothing = () => undefined;
  const log = { debug: nothing, info: nothing, warn: nothing, error: nothing };
  const bus = new NatsBus(new NatsLine({ nats: { servers: [url] }, name: service, inboxPrefix: "_INBOX", clock, log }));
  await bus.start(nothing);
  t.teardown(() => bus.stop());
  const server = new FakeServer(bus, clock, service);
  server.start();
  return server;
}

const order = { type: "limit", symbol: "BTCUSD", order: "o1", side: "buy", price: 100, quantity: 5 } as const;

test("a request from the command line, and its result", async (t) => {
  const server = await fakeService(t, "cli");
  const common = ["--service", "cli", "--nats", nats.current.url];
  const asked = await twinlog(["request", ...common, "--client", "alice", "--id", "1", JSON.stringify(order)]);
  t.is(
    asked.err,
    "twinlog: the body was checked by the service alone: no server of cli announces its schema (an older program does not)\n",
  );
  t.is(asked.status, 0);
  t.deepEqual(server.log[0]?.body, order);
  const results = await twinlog(["results", ...common, "--from", "1"]);
  t.is(results.status, 0);
  const [, line = ""] = results.out.split("\n");
  t.deepEqual((JSON.parse(line) as { reply: unknown }).reply, JSON.parse(asked.out));
});

test("a packed file is replayed, and the folder's service file names service and broker", async (t) => {
  const server = await fakeService(t, "filed");
  server.apply = () => ({ status: "resting", order: "o1", remaining: 5, fills: [] });
  const folder = await temporaryDirectory(t);
  const lines = Array.from({ length: 3_000 }, (_, n) => JSON.stringify({ ...order, order: `o${n}` }));
  await writeFile(join(folder, "flow.ndjson.gz"), gzipSync(lines.join("\n")));
  await mkdir(join(folder, ".twinlog"));
  await writeFile(
    join(folder, ".twinlog", "service.json"),
    JSON.stringify({ service: "filed", nats: nats.current.url }),
  );
  const ran = await twinlog(["replay", "flow.ndjson.gz", "--resend-every", "50", "--book", "book.csv", "--json"], {
    cwd: folder,
  });
  t.is(ran.err, "");
  t.is(ran.status, 0);
  t.like(JSON.parse(ran.out), { sent: 3_000, answered: 3_000, duplicatesEqual: 60, resting: 3_000 });
  t.is((await readFile(join(folder, "book.csv"), "utf8")).split("\n").length, 3_002);
  t.deepEqual(
    server.log.map(({ body }) => JSON.stringify(body)),
    lines,
  );
});

test("a folder's service file that others may write does not say where a log-in goes", async (t) => {
  const folder = await temporaryDirectory(t);
  await mkdir(join(folder, ".twinlog"), { mode: 0o700 });
  const path = join(folder, ".twinlog", "service.json");
  await writeFile(path, JSON.stringify({ service: "filed", nats: "nats://127.0.0.1:1" }));
  for (const [written, mode, isRead] of [
    [path, 0o600, true],
    [path, 0o666, false],
    [path, 0o600, true],
    [join(folder, ".twinlog"), 0o777, false],
  ] as const) {
    await chmod(written, mode);
    const ran = await twinlog(["status"], { cwd: folder });
    t.is(ran.err.includes("127.0.0.1:1 "), isRead, ran.err);
    t.is(ran.err.includes("is passed over"), !isRead, ran.err);
  }
});

test("no broker, no file, no server: one line each and no success", async (t) => {
  const nobody = await twinlog(["request", "--nats", "nats://127.0.0.1:1", JSON.stringify(order)]);
  t.is(nobody.status, 1);
  t.regex(nobody.err, /^twinlog: cannot reach NATS at nats:\/\/127\.0\.0\.1:1 .*\n$/);
  const common = ["--service", "empty", "--nats", nats.current.url];
  const file = await twinlog(["replay", "nowhere.ndjson", ...common]);
  t.is(file.status, 1);
  t.regex(file.err, /^twinlog: cannot read nowhere\.ndjson: .*\n$/);
  const folder = await temporaryDirectory(t);
  await writeFile(join(folder, "cut.gz"), gzipSync("{}\n".repeat(1_000)).subarray(0, 30));
  const cut = await twinlog(["replay", join(folder, "cut.gz"), ...common, "--timeout", "100"]);
  t.is(cut.status, 1);
  t.regex(cut.err, /^twinlog: cannot read .*cut\.gz: .*\n$/);
  const server = await twinlog(["request", ...common, "--timeout", "100", JSON.stringify(order)]);
  t.is(server.status, 1);
  t.regex(server.err, /^twinlog: NOT_SENT: no server of the service listens.*\n$/);
});

test("init creates nothing beside a server that runs and is slow to answer, or stands still (situation 54)", async (t) => {
  const folder = await temporaryDirectory(t);
  const config = join(folder, "alpha.json");
  const servers = [{ name: "alpha", port: 4223 }];
  await writeFile(
    config,
    JSON.stringify({
      service: "slow",
      server: "alpha",
      servers,
      dataDirectory: "data",
      nats: { servers: [nats.current.url] },
    }),
  );
  const init = () => twinlog(["init", "--config", config, "--if-missing"]);
  const raw = await connectNats({ servers: nats.current.url });
  t.teardown(() => raw.close());
  const standing = standingOf("alpha", { configured: ["alpha"], epochSeen: 7 });
  const slow = raw.subscribe(subjects.actor("slow", "alpha", "failover"), {
    callback: (_error, message) => void delay(1_500).then(() => message.respond(JSON.stringify(standing))),
  });
  await raw.flush();
  t.regex((await init()).err, /servers of this service have seen one: alpha \(epoch 7\)/);
  slow.unsubscribe();
  const still = raw.subscribe(subjects.actor("slow", "alpha", "failover"), { callback: () => undefined });
  await raw.flush();
  t.regex(
    (await init()).err,
    /alpha does not answer, though NATS knows it: it may have seen one\. Try again, or stop it/,
  );
  still.unsubscribe();
  const other = raw.subscribe(subjects.actor("slow", "alpha", "failover"), {
    callback: (_error, message) => message.respond(JSON.stringify({ actor: "failover" })),
  });
  await raw.flush();
  t.regex((await init()).err, /alpha does not answer, though NATS knows it/, "what is no standing tells nothing");
  other.unsubscribe();
  await raw.flush();
  t.is((await init()).out, "service slow created; alpha begins as its primary\n");
});

test("version and help leave with 0", async (t) => {
  t.regex((await twinlog(["--version"])).out, /^\d+\.\d+\.\d+\n$/);
  const help = await twinlog(["--help"]);
  t.is(help.status, 0);
  t.regex(help.out, /replay/);
});

test("connect: typed by the application, through a broker that goes away and comes back", async (t) => {
  const broker = await natsServer(t);
  const server = await fakeService(t, "typed", broker.url);
  server.apply = () => ({ status: "resting", order: "o1", remaining: 5, fills: [] });
  const client = await connect({ service: "typed", client: "alice", application: exchange, nats: broker.url });
  t.teardown(() => client.disconnect());
  const { result } = await client.request(order);
  const remaining: number = result.remaining;
  t.is(remaining, 5);
  const bad: Promise<unknown> = client.request({ ...order, price: 0 });
  await t.throwsAsync(bad, { message: /INVALID_REQUEST: price/ });
  const reader = client.results();
  const numbers: number[] = [];
  const reading = (async () => {
    for await (const event of reader) if (event.type === "result") numbers.push(event.result);
  })();
  await broker.restart();
  const answers = await Promise.all(Array.from({ length: 20 }, () => client.request(order)));
  t.deepEqual(
    answers.map(({ sequence }) => sequence),
    Array.from({ length: 20 }, (_, n) => n + 2),
  );
  await until(() => numbers.length === 21, { withinMs: 20_000 });
  reader.close();
  await reading;
  t.deepEqual(
    numbers,
    Array.from({ length: 21 }, (_, n) => n + 1),
  );
});

test("connect says why it cannot", async (t) => {
  await t.throwsAsync(connect({ service: "typed", client: "alice", nats: "nats://127.0.0.1:1" }), {
    message: /^cannot reach NATS at nats:\/\/127\.0\.0\.1:1: /,
  });
});

test("a reader that goes away ends `results` quietly, and takes no other command's verdict", async (t) => {
  const server = await fakeService(t, "readers");
  const common = ["--service", "readers", "--nats", nats.current.url];
  for (let at = 1; at <= 3; at += 1) {
    const words = ["request", ...common, "--client", "alice", "--id", String(at), JSON.stringify(order)];
    t.is((await twinlog(words)).status, 0);
  }
  t.is(server.log.length, 3);
  const unread = (words: readonly string[]) =>
    new Promise<number | null>((resolve) => {
      const child = spawn(process.execPath, [program, ...words], { stdio: ["ignore", "pipe", "ignore"] });
      child.stdout.destroy();
      child.on("exit", (status) => resolve(status));
    });
  t.is(await unread(["results", ...common, "--follow"]), 0);
  t.is(await unread(["request", ...common, "--application", "exchange", "--id", "1", '{"type":"nonsense"}']), 1);
});
