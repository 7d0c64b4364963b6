/**
 * What a real nats-server takes and forbids, as the adapters see it: limits are read at every connection, nothing longer is
 * ever sent, and what is forbidden is told before a flush says that all has arrived.
 */
import test, { type ExecutionContext } from "ava";
import { answeredSubjects } from "../../actors/operator/broker-watch.ts";
import { NatsBus } from "../../actors/world/bus-nats.ts";
import { NatsLine } from "../../actors/world/connection-nats.ts";
import type { BusFault } from "../../actors/world/ports.ts";
import { JetStreamRegistry } from "../../actors/world/registry-jetstream.ts";
import { subjects } from "../../schemas/subjects.ts";
import { bytesOf, realRig } from "../conformance/rig.ts";
import { keptLog } from "../helpers/kept-log.ts";
import { natsServer, type TestNats } from "../helpers/nats.ts";

// Each test has a nats-server of its own.
process.setMaxListeners(100);

const { clock, until } = realRig();

async function startBus(t: ExecutionContext, nats: TestNats, more: object = {}) {
  const line = new NatsLine({
    nats: { servers: [nats.url], ...more },
    name: "test",
    inboxPrefix: "_INBOX",
    clock,
    log: keptLog(),
  });
  const bus = new NatsBus(line);
  const faults: BusFault[] = [];
  bus.onFault((fault) => faults.push(fault));
  let changes = 0;
  await bus.start((connected) => {
    if (!connected) changes += 1;
  });
  t.teardown(() => bus.stop());
  await until(() => bus.connected(), "a connection");
  return { bus, line, faults, changes: () => changes };
}

test("the broker's limits are read at every connection, start and reconnect alike (situation 58)", async (t) => {
  const nats = await natsServer(t, { maxPayloadBytes: 65_536, extraConfig: "max_control_line: 600" });
  const { bus, faults } = await startBus(t, nats);
  const long = `test.${"x".repeat(1_000)}`;
  t.is(bus.maxPayloadBytes(), 65_536);
  t.true(bus.room(long) < 0);
  await nats.restart({ maxPayloadBytes: 1_048_576, extraConfig: "max_control_line: 4096" });
  await until(() => bus.connected() && bus.maxPayloadBytes() === 1_048_576, "the larger limit");
  t.true(bus.room(long) > 0);
  await nats.restart({ maxPayloadBytes: 32_768, extraConfig: "max_control_line: 1500" });
  await until(() => bus.connected() && bus.maxPayloadBytes() === 32_768, "the smaller limit");
  t.true(bus.room(long) < 0, "what lies between two tried lengths counts as the lower one");
  t.true(bus.room(`test.${"x".repeat(900)}`) > 0);
  t.deepEqual(
    faults.filter(({ kind }) => kind === "cutOff"),
    [],
  );
});

for (const max of [300, 512, 513, 4_096])
  test(`with max_control_line ${max} every subject and reply subject that has room is taken, and no other is sent (situation 58)`, async (t) => {
    const nats = await natsServer(t, { extraConfig: `max_control_line: ${max}` });
    const { bus, faults, changes } = await startBus(t, nats);
    let heard = 0;
    bus.subscribe("test.>", () => {
      heard += 1;
    });
    let sent = 0;
    const before = changes();
    const given = { Name: "value" };
    for (let length = 10; length < max + 40; length += 1) {
      const subject = `test.${"x".repeat(length)}`;
      const short = `test.${"x".repeat(Math.ceil(length / 2))}`;
      for (const [to, reply] of [
        [subject, ""],
        [short, `_INBOX.${"y".repeat(Math.floor(length / 2))}`],
      ] as const) {
        const isSent = bus.publish(to, bytesOf("1"), given, reply);
        t.is(isSent, bus.room(to, given, reply) > 0);
        if (isSent) sent += 1;
      }
      if (length % 50 === 0) await bus.flush();
    }
    t.true(await bus.flush());
    await until(() => heard === sent, "all that was sent");
    t.true(sent > 0);
    bus.subscribe(`test.${"z".repeat(max)}`, () => undefined);
    t.true(await bus.flush(), "a subscription that is too long is not asked for");
    t.is(changes(), before, "the connection was never cut off");
    t.true(faults.every(({ kind }) => kind === "size"));
  });

const user = { user: "tw", password: "secret" };
const permitted = (permissions: string) =>
  `no_auth_user: anyone\nauthorization { users = [ {user: anyone, password: x}, {user: tw, password: secret, permissions: { ${permissions} } } ] }`;

test("a publish that the broker forbids is told before the flush behind it resolves (situation 60)", async (t) => {
  const nats = await natsServer(t, { extraConfig: permitted('publish: { deny: ["test.no.>"] }') });
  const { bus, faults } = await startBus(t, nats, user);
  for (let round = 1; round <= 20; round += 1) {
    for (let each = 0; each < 50; each += 1) bus.publish("test.yes", bytesOf("1"));
    bus.publish(`test.no.${round}`, bytesOf("1"));
    t.true(await bus.flush());
    t.is(faults.length, round, "told in time");
    t.like(faults.at(-1), { kind: "publish", subject: `test.no.${round}` });
  }
});

test("a subscription that the broker forbids is told, and comes back by itself when it is allowed (situation 60)", async (t) => {
  const nats = await natsServer(t, { extraConfig: permitted('subscribe: { deny: ["test.no.>"] }') });
  const { bus, faults } = await startBus(t, nats, user);
  const { bus: other } = await startBus(t, nats);
  let heard = 0;
  bus.subscribe("test.no.>", () => {
    heard += 1;
  });
  await bus.flush();
  t.like(faults[0], { kind: "subscribe", subject: "test.no.>" });
  nats.reload(permitted('subscribe: { deny: ["test.other.>"] }'));
  await until(() => {
    other.publish("test.no.x", bytesOf("1"));
    return heard > 0;
  }, "the subscription");
  t.pass();
});

test("a permission that is taken away while all is connected is told, and comes back (situation 60)", async (t) => {
  const nats = await natsServer(t, { extraConfig: permitted('publish: { deny: ["test.other.>"] }') });
  const { bus, faults } = await startBus(t, nats, user);
  const { bus: other } = await startBus(t, nats);
  let heard = 0;
  bus.subscribe("test.no.>", () => {
    heard += 1;
  });
  const say = () => {
    other.publish("test.no.x", bytesOf("1"));
    return bus.publish("test.result", bytesOf("1"));
  };
  await until(() => say() && heard > 0, "the subscription");
  nats.reload(permitted('publish: { deny: ["test.result"] }, subscribe: { deny: ["test.no.>"] }'));
  const kinds = () => new Set(faults.map(({ kind, subject }) => `${kind} ${subject}`));
  await until(() => {
    say();
    return kinds().has("publish test.result") && kinds().has("subscribe test.no.>");
  }, "both faults");
  nats.reload(permitted('publish: { deny: ["test.other.>"] }'));
  heard = 0;
  await until(() => {
    say();
    return heard > 0;
  }, "the subscription again");
  t.pass();
});

test("a broker that ends the connection says why, and that is told (situation 58)", async (t) => {
  const nats = await natsServer(t, { extraConfig: "max_control_line: 4096" });
  const { bus, faults } = await startBus(t, nats);
  // Its operator lowers the limit under a living connection: nobody is told of that.
  nats.reload("max_control_line: 600");
  const long = `test.${"x".repeat(2_000)}`;
  await until(() => {
    bus.publish(long, bytesOf("1"));
    return faults.some(({ kind }) => kind === "cutOff");
  }, "the end of the connection");
  t.regex(faults.find(({ kind }) => kind === "cutOff")?.reason ?? "", /control line/i);
  await until(() => bus.connected() && bus.room(long) < 0, "the lower limit");
  t.is(faults.filter(({ kind }) => kind === "cutOff").length, 1, "once");
});

test("a stream that stores requests, queries, replays, commands or what servers say is found; others are not (situation 67)", async (t) => {
  const nats = await natsServer(t);
  const { bus, line } = await startBus(t, nats);
  const registry = new JetStreamRegistry({
    service: "exchange",
    bucket: "twinlog",
    replicas: 1,
    timeoutMs: 2_000,
    line,
  });
  const answered = answeredSubjects("exchange");
  t.deepEqual(await registry.streamsOver(answered), []);
  const ask = (what: string, body: object) =>
    line.request(`$JS.API.STREAM.${what}`, bytesOf(JSON.stringify(body)), 2_000);
  const overlapping = {
    all: ["exchange.>"],
    narrower: ["exchange.request.BTCUSD.>"],
    wider: ["*.query.>"],
    exact: [subjects.replay("exchange")],
    commands: ["exchange.control.alpha.switch"],
    servers: ["exchange.server.*.replication"],
  };
  for (const [name, over] of Object.entries(overlapping)) {
    await ask(`CREATE.${name}`, { name, subjects: over, storage: "memory" });
    t.deepEqual(await registry.streamsOver(answered), [name]);
    await ask(`DELETE.${name}`, {});
  }
  const harmless = {
    results: ["exchange.result.>"],
    status: ["exchange.status.*", "exchange.event.*"],
    other: ["orders.>"],
  };
  for (const [name, over] of Object.entries(harmless))
    await ask(`CREATE.${name}`, { name, subjects: over, storage: "memory" });
  await ask("CREATE.silent", { name: "silent", subjects: ["exchange.request.>"], storage: "memory", no_ack: true });
  t.deepEqual(await registry.streamsOver(answered), [], "with no_ack it answers nobody");
  t.true(bus.connected());
});
