/**
 * Bus, failsafe link and registry when a real nats-server is killed, paused, guarded by a password, or holds what nobody
 * expects.
 */
import { createServer } from "node:net";
import test, { type ExecutionContext } from "ava";
import { connect, type MsgHdrs } from "nats";
import { NatsBus } from "../../actors/world/bus-nats.ts";
import { NatsLine } from "../../actors/world/connection-nats.ts";
import { NatsLink } from "../../actors/world/link-nats.ts";
import { JetStreamRegistry } from "../../actors/world/registry-jetstream.ts";
import type { RegistryRecord } from "../../schemas/registry.ts";
import { bytesOf, realRig, textOf } from "../conformance/rig.ts";
import { type KeptLog, keptLog } from "../helpers/kept-log.ts";
import { natsServer, sharedNatsServer, type TestNats } from "../helpers/nats.ts";

const { clock, until } = realRig();
/** For the tests that do their broker no harm. */
const shared = sharedNatsServer(test);

function lineTo(urls: string | readonly string[], log: KeptLog = keptLog(), more: object = {}): NatsLine {
  const servers = typeof urls === "string" ? [urls] : [...urls];
  return new NatsLine({ nats: { servers, ...more }, name: "test", inboxPrefix: "_INBOX", clock, log });
}

async function startBus(t: ExecutionContext, line: NatsLine) {
  const bus = new NatsBus(line);
  const states: boolean[] = [];
  await bus.start((connected) => states.push(connected));
  t.teardown(() => bus.stop());
  return { bus, states };
}

async function killed(nats: TestNats): Promise<void> {
  nats.signal("SIGKILL");
  await nats.stop();
}

test.serial("bus-nats: tls:// is TLS: nothing is said in the open to a broker that offers none", async (t) => {
  const nats = shared.current;
  const line = lineTo(nats.url.replace("nats://", "tls://"));
  line.acquire();
  t.teardown(() => line.release());
  await until(() => line.lastReason !== "", "a dial to be over");
  t.regex(line.lastReason, /^tls:\/\/127\.0\.0\.1:\d+: .*tls/i);
  t.false(line.connected());
});

test.serial(
  "bus-nats: nats-server killed and started again: told, nothing stale, subscriptions and the announcement are back",
  async (t) => {
    const nats = await natsServer(t);
    const [{ bus, states }, { bus: listener }] = [
      await startBus(t, lineTo(nats.url)),
      await startBus(t, lineTo(nats.url)),
    ];
    const heard: string[] = [];
    listener.subscribe("test.x", ({ data }) => heard.push(textOf(data)));
    await bus.announceService({
      name: "exchange",
      version: "1.2.3",
      description: "orders",
      metadata: { server: "alpha" },
      stats: () => ({ committed: 42 }),
      mayAnswer: (reply) => !reply.startsWith("forbidden."),
    });
    await until(() => {
      bus.publish("test.x", bytesOf("before"));
      return heard.length > 0;
    }, "the first message");
    nats.signal("SIGKILL");
    await until(() => {
      bus.publish("test.x", bytesOf("stale"));
      return states.at(-1) === false;
    }, "the loss to be told");
    t.false(bus.publish("test.x", bytesOf("stale")));
    heard.length = 0;
    await nats.restart();
    await until(() => bus.connected() && listener.connected(), "both to be connected again");
    await until(() => {
      bus.publish("test.x", bytesOf("after"));
      return heard.length > 0;
    }, "a message");
    t.deepEqual(new Set(heard), new Set(["after"]));

    // The services API, asked with a client of its own.
    const answers: { type: string; name: string; metadata: object; endpoints?: { data: unknown }[] }[] = [];
    listener.subscribe("test.answers", ({ data }) => {
      if (data.length > 0) answers.push(JSON.parse(textOf(data)));
    });
    for (const [verb, type] of [
      ["PING", "io.nats.micro.v1.ping_response"],
      ["STATS", "io.nats.micro.v1.stats_response"],
    ] as const) {
      await until(() => {
        listener.publish(`$SRV.${verb}.exchange`, new Uint8Array(), undefined, "test.answers");
        return answers.some((answer) => answer.type === type);
      }, `the answer to ${verb}`);
      const answer = answers.find((each) => each.type === type);
      t.like(answer, { name: "exchange", metadata: { server: "alpha" } });
      if (verb === "STATS") t.deepEqual(answer?.endpoints?.[0]?.data, { committed: 42 });
    }
    const forbidden: string[] = [];
    listener.subscribe("forbidden.>", ({ subject }) => void forbidden.push(subject));
    await listener.flush();
    answers.length = 0;
    for (const verb of ["PING", "INFO", "STATS"])
      listener.publish(`$SRV.${verb}.exchange`, new Uint8Array(), undefined, `forbidden.${verb}`);
    listener.publish("exchange.about", new Uint8Array(), undefined, "forbidden.about");
    listener.publish("$SRV.PING.exchange", new Uint8Array(), undefined, "test.answers");
    await until(() => answers.length > 0, "the answer to what was asked last");
    t.deepEqual(forbidden, []);
  },
);

test.serial("bus-nats: a nats-server that is paused is taken for lost, and found again when it goes on", async (t) => {
  const nats = await natsServer(t);
  t.teardown(() => nats.signal("SIGCONT"));
  const [{ bus, states }, { bus: listener }] = [
    await startBus(t, lineTo(nats.url)),
    await startBus(t, lineTo(nats.url)),
  ];
  const heard: string[] = [];
  listener.subscribe("test.x", ({ data }) => heard.push(textOf(data)));
  await bus.flush();
  nats.signal("SIGSTOP");
  await until(() => states.at(-1) === false, "the loss to be told");
  t.false(bus.publish("test.x", bytesOf("stale")));
  // At least one dial is swallowed by the paused server; the line must get past it.
  const sinceMs = clock.nowMs();
  await until(() => clock.nowMs() - sinceMs > 1_200, "a dial to time out");
  nats.signal("SIGCONT");
  await until(() => bus.connected() && listener.connected(), "both to be connected again");
  await until(() => {
    bus.publish("test.x", bytesOf("after"));
    return heard.length > 0;
  }, "a message");
  t.deepEqual(new Set(heard), new Set(["after"]));
});

test.serial("bus-nats: of several brokers, one that answers is found, wherever it stands in the list", async (t) => {
  const nats = shared.current;
  const silent = createServer(() => undefined);
  const chatty = createServer((socket) => socket.end("HTTP/1.1 200 OK\r\n\r\n"));
  const ports = await Promise.all(
    [silent, chatty].map(
      (server) =>
        new Promise<number>((resolve) => {
          server.listen(0, "127.0.0.1", () => resolve((server.address() as { port: number }).port));
        }),
    ),
  );
  const urls = [
    ...ports.map((port) => `nats://127.0.0.1:${port}`),
    "nats://127.0.0.1:1",
    "no address at all",
    nats.url,
  ];
  for (let tries = 0; tries < 3; tries += 1) {
    const { bus, states } = await startBus(t, lineTo(urls));
    await until(() => bus.connected(), "the broker to be found");
    t.is(states.at(-1), true);
    await bus.stop();
  }
  await Promise.all([silent, chatty].map((server) => new Promise((resolve) => server.close(resolve))));
});

test.serial(
  "bus-nats: a wrong password keeps it out, and the reason can be read; the right one lets it in",
  async (t) => {
    const users = '[{user: "u", password: "p"}, {user: "anyone", password: "x"}]';
    const nats = await natsServer(t, {
      extraConfig: `accounts { A { jetstream: enabled, users: ${users} } }\nno_auth_user: anyone`,
    });
    const line = lineTo(nats.url, keptLog(), { user: "u", password: "wrong" });
    const { bus: refused, states } = await startBus(t, line);
    t.false(refused.connected());
    t.deepEqual(states, [false]);
    t.regex(line.lastReason, /authorization/i);
    const { bus } = await startBus(t, lineTo(nats.url, keptLog(), { user: "u", password: "p" }));
    t.true(bus.connected());
  },
);

test.serial("bus-nats: strange headers and reply subjects of others harm nobody", async (t) => {
  const nats = shared.current;
  const { bus } = await startBus(t, lineTo(nats.url));
  const seen: unknown[] = [];
  bus.subscribe("test.strange", (message) => {
    seen.push([message.headers, message.status, message.reply]);
    if (message.reply !== "") t.true(bus.publish(message.reply, bytesOf("answer")));
  });
  const answers: string[] = [];
  bus.subscribe("a\u00a0b", ({ data }) => answers.push(textOf(data)));
  t.true(await bus.flush());
  const stranger = await connect({ servers: nats.url });
  const headers = (text: string) => ({ encode: () => Buffer.from(text) }) as unknown as MsgHdrs;
  for (const text of [
    "NATS/1.0\r\nbad key: x\r\n\r\n",
    "NATS/1.0\r\n\u00ff\u0000: x\r\n\r\n",
    "NATS/1.0 what\r\n\r\n",
    "x",
  ])
    stranger.publish("test.strange", "1", { headers: headers(text) });
  stranger.publish("test.strange", "1", { reply: "a\u00a0b" });
  await stranger.flush();
  await until(() => seen.length === 5 && answers.length === 1, "all of it");
  t.deepEqual(seen[0], [undefined, undefined, ""]);
  await stranger.close();
});

test.serial("link-nats: nats-server killed: disconnected, told once at both ends; started again: up", async (t) => {
  const nats = await natsServer(t);
  const make = (server: string) => {
    const events: string[] = [];
    const link = new NatsLink({
      service: "test",
      server,
      servers: ["alpha", "beta", "gamma"],
      line: lineTo(nats.url),
      maxBufferedBytes: 1 << 20,
      clock,
      log: keptLog(),
    });
    t.teardown(() => link.stop());
    const start = () =>
      link.start({
        onUp: (peer) => events.push(`up ${peer}`),
        onDown: (peer, reason) => events.push(`down ${peer} ${reason}`),
        onFrame: () => undefined,
      });
    return { link, events, start };
  };
  const [alpha, beta] = [make("alpha"), make("beta")];
  await Promise.all([alpha.start(), beta.start()]);
  const talk = () => {
    alpha.link.send("beta", [bytesOf("1")]);
    beta.link.send("alpha", [bytesOf("1")]);
  };
  await until(() => {
    talk();
    alpha.link.send("gamma", [bytesOf("1")]);
    return alpha.events.length === 2 && beta.events.length === 1;
  }, "alpha and beta to be up, and gamma to be missed");
  t.deepEqual(alpha.events.toSorted(), ["down gamma noResponders", "up beta"]);
  await killed(nats);
  await until(() => alpha.events.includes("down beta disconnected") && beta.events.length === 3, "both to be told");
  t.false(alpha.link.send("beta", [bytesOf("stale")]));
  await nats.restart();
  await until(() => {
    talk();
    return alpha.events.at(-1) === "up beta" && beta.events.at(-1) === "up alpha";
  }, "both to be up again");
  t.is(alpha.events.filter((event) => event === "down beta disconnected").length, 1);
});

test.serial(
  "link-nats: damaged, foreign and strange messages are dropped, told once, and never delivered",
  async (t) => {
    const nats = shared.current;
    const log = keptLog();
    const frames: string[] = [];
    const ups: string[] = [];
    const options = { service: "test", servers: ["alpha", "beta"], maxBufferedBytes: 1 << 20, clock };
    const link = new NatsLink({ ...options, server: "beta", line: lineTo(nats.url), log });
    await link.start({
      onUp: (peer) => ups.push(peer),
      onDown: () => undefined,
      onFrame: (peer, frame) => frames.push(`${peer} ${textOf(frame)}`),
    });
    t.teardown(() => link.stop());
    // What alpha really sends, overheard.
    const { bus } = await startBus(t, lineTo(nats.url));
    const overheard: Uint8Array[] = [];
    const listening = bus.subscribe("test.server.beta.replication", ({ data }) => overheard.push(data));
    await bus.flush();
    const alpha = new NatsLink({ ...options, server: "alpha", line: lineTo(nats.url), log });
    await alpha.start({ onUp: () => undefined, onDown: () => undefined, onFrame: () => undefined });
    t.true(alpha.send("beta", [bytesOf("a record")]));
    await until(() => frames.length === 1 && overheard.length === 1, "the true message");
    await alpha.stop();
    listening.stop();
    const good = Buffer.from(overheard[0] ?? []);
    const flipped = (at: number) => {
      const bad = Buffer.from(good);
      bad[at] = (bad[at] ?? 0) ^ 1;
      return bad;
    };
    const bad = [Buffer.alloc(5), good.subarray(0, good.length - 1), ...Array.from(good.keys(), flipped)];
    for (const message of bad) t.true(bus.publish("test.server.beta.replication", message));
    bus.publish("test.server.beta.replication", good);
    await until(() => frames.length === 2, "the true message again");
    t.deepEqual(frames, ["alpha a record", "alpha a record"]);
    t.deepEqual(ups, ["alpha"]);
    t.is(log.lines.length, 1, "the first of them, for the next minute");
  },
);

const record: RegistryRecord = {
  service: "exchange",
  history: "h",
  epoch: 1,
  mode: "primary-only",
  writeId: "w1",
  previousWriteId: "",
  primary: { server: "alpha", incarnation: "a" },
  inSync: [{ server: "alpha", incarnation: "a" }],
  durability: "disk",
  base: { sequence: 0, hash: 0 },
  schema: "s",
};

const registryAt = (nats: TestNats, more: Partial<ConstructorParameters<typeof JetStreamRegistry>[0]> = {}) =>
  new JetStreamRegistry({
    service: "exchange",
    bucket: "twinlog",
    replicas: 1,
    timeoutMs: 2_000,
    line: lineTo(nats.url),
    ...more,
  });

test.serial(
  "registry-jetstream: the record survives kill -9 of nats-server; the bucket is made as PROTOCOL.md says",
  async (t) => {
    const nats = await natsServer(t);
    const registry = registryAt(nats);
    t.deepEqual(await registry.create(record), { outcome: "won", revision: 1 });
    await killed(nats);
    const down = await registry.read();
    t.is(down.outcome, "unavailable");
    t.is((await registry.compareAndSet({ ...record, epoch: 2 }, 1)).outcome, "unknown");
    await nats.restart();
    await nats.restart();
    t.deepEqual(await registry.read(), { outcome: "found", record, revision: 1 });
    const connection = await connect({ servers: nats.url });
    const { config } = await (await connection.jetstreamManager()).streams.info("KV_twinlog");
    t.like(config, { storage: "file", max_msgs_per_subject: 64, max_age: 0, allow_direct: false, num_replicas: 1 });
    t.deepEqual(config.subjects, ["$KV.twinlog.>"]);
    // Other tools see an ordinary bucket.
    const bucket = await connection.jetstream().views.kv("twinlog", { bindOnly: true });
    t.deepEqual((await bucket.get("exchange"))?.json(), record);
    await connection.close();
  },
);

test.serial(
  "registry-jetstream: a damaged, foreign or deleted record is said to be so, and is never written over by `create`",
  async (t) => {
    const nats = shared.current;
    const registry = registryAt(nats, { bucket: "damaged" });
    await registry.create(record);
    const connection = await connect({ servers: nats.url });
    const bucket = await connection.jetstream().views.kv("damaged", { bindOnly: true });
    const reads: [content: string, reason: RegExp][] = [
      ["not JSON", /damaged/],
      ["{}", /damaged: .*service/],
      [JSON.stringify({ ...record, inSync: [] }), /damaged: inSync/],
      [JSON.stringify({ ...record, service: "other" }), /of the service other/],
    ];
    for (const [content, reason] of reads) {
      await bucket.put("exchange", bytesOf(content));
      const read = await registry.read();
      t.is(read.outcome, "unavailable");
      t.regex(read.outcome === "unavailable" ? read.reason : "", reason);
    }
    for (const remove of [() => bucket.delete("exchange"), () => bucket.purge("exchange")]) {
      await remove();
      t.like(await registry.read(), { outcome: "missing" });
      t.deepEqual(await registry.create(record), { outcome: "lost" }, "something was there: a person has to look");
    }
    await connection.close();
  },
);

test.serial("registry-jetstream: a bucket that was made otherwise is used and warned of", async (t) => {
  const nats = shared.current;
  const connection = await connect({ servers: nats.url });
  await connection.jetstream().views.kv("loose", { history: 1, ttl: 3_600_000, storage: "memory" as never });
  const registry = registryAt(nats, { bucket: "loose", replicas: 3 });
  t.is((await registry.create(record)).outcome, "won");
  const warnings = await registry.warnings();
  for (const expected of [
    /storage is memory/,
    /records expire/,
    /allow_direct/,
    /keeps 1 old/,
    /1 replicas; configured are 3/,
  ])
    t.true(
      warnings.some(({ kind, says }) => kind === "bucket" && expected.test(says)),
      `${expected} in ${JSON.stringify(warnings)}`,
    );
  await connection.close();
});

test.serial("registry-jetstream: one bucket holds several services, each with its own revisions", async (t) => {
  const nats = shared.current;
  const line = lineTo(nats.url);
  const [one, two] = ["exchange", "ledger"].map((service) => registryAt(nats, { bucket: "several", service, line }));
  if (one === undefined || two === undefined) return t.fail();
  const first = await one.create(record);
  const second = await two.create({ ...record, service: "ledger" });
  t.deepEqual([first.outcome, second.outcome], ["won", "won"]);
  const revision = first.outcome === "won" ? first.revision : 0;
  t.is((await one.compareAndSet({ ...record, epoch: 2 }, revision)).outcome, "won", "the other service does not count");
  return undefined;
});
