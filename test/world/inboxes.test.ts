/**
 * Answers come to inboxes of one's own role and name: a broker that lets each user listen to his own alone serves the client
 * library, and the servers' registry too.
 */
import test, { type ExecutionContext } from "ava";
import { connect } from "../../actors/index.ts";
import { NatsBus } from "../../actors/world/bus-nats.ts";
import { NatsLine } from "../../actors/world/connection-nats.ts";
import type { BusFault } from "../../actors/world/ports.ts";
import { JetStreamRegistry } from "../../actors/world/registry-jetstream.ts";
import {
  inboxes,
  maxInboxPrefixBytes,
  maxReplySubjectBytes,
  maxTokenBytes,
  mayAnswerTo,
  whyNoInboxes,
} from "../../schemas/subjects.ts";
import { realRig } from "../conformance/rig.ts";
import { FakeServer } from "../helpers/fake-server.ts";
import { keptLog } from "../helpers/kept-log.ts";
import { natsServer, type TestNats } from "../helpers/nats.ts";

const { clock, until } = realRig();

const inboxOf = (user: string, prefix: string, more = "") =>
  `{ user: ${user}, password: x, permissions: { publish: [">"], subscribe: ["${prefix}.>"${more}] } }`;

const users = [
  "{ user: all, password: x }",
  inboxOf("alice", inboxes.client("alice"), ', "exchange.signal", "exchange.result.>"'),
  inboxOf("alpha", inboxes.server("exchange", "alpha")),
];
const extraConfig = `no_auth_user: all\nauthorization { users = [ ${users.join(", ")} ] }`;

async function open(t: ExecutionContext, nats: TestNats, user: string, inboxPrefix: string) {
  const line = new NatsLine({
    nats: { servers: [nats.url], user, password: "x" },
    name: user,
    inboxPrefix,
    clock,
    log: keptLog(),
  });
  const bus = new NatsBus(line);
  const faults: BusFault[] = [];
  bus.onFault((fault) => faults.push(fault));
  await bus.start(() => undefined);
  t.teardown(() => bus.stop());
  await until(() => bus.connected(), "a connection");
  return { bus, line, faults };
}

test("a client that may listen to its own inboxes alone is served, requests, queries and results", async (t) => {
  const nats = await natsServer(t, { extraConfig });
  const { bus } = await open(t, nats, "all", inboxes.operator("fake"));
  new FakeServer(bus, clock).start();
  const access = { servers: [nats.url], user: "alice", password: "x" };
  const client = await connect({ nats: access, service: "exchange", client: "alice" });
  t.teardown(() => client.disconnect());
  await client.request({ add: 1 }, { key: "k" });
  t.deepEqual((await client.query({ what: 1 }, { key: "k" })).result, { what: 1 });
  for await (const event of client.results({ follow: false })) t.is(event.type === "result" ? event.result : 1, 1);
  const other = await connect({ nats: access, service: "exchange", client: "bob", deadlineMs: 300 });
  t.teardown(() => other.disconnect());
  await t.throwsAsync(other.request({ add: 1 }, { key: "k" }), undefined, "at another's inbox it hears nothing");
  const named = await connect({
    nats: access,
    service: "exchange",
    client: "bob",
    inboxPrefix: inboxes.client("alice"),
  });
  t.teardown(() => named.disconnect());
  await named.request({ add: 1 }, { key: "k" });
});

test("the registry's answers come to a server's own inboxes", async (t) => {
  const nats = await natsServer(t, { extraConfig });
  const { line, faults } = await open(t, nats, "alpha", inboxes.server("exchange", "alpha"));
  const registry = new JetStreamRegistry({
    service: "exchange",
    bucket: "twinlog",
    replicas: 1,
    timeoutMs: 2_000,
    line,
  });
  t.is((await registry.read()).outcome, "missing");
  t.deepEqual(faults, []);
});

test("the longest client's name has room in a reply subject, and a prefix is checked", async (t) => {
  t.is(inboxes.client("x".repeat(maxTokenBytes)).length, maxInboxPrefixBytes);
  const number = Number.MAX_SAFE_INTEGER;
  const longest = `${inboxes.client("x".repeat(maxTokenBytes))}.${"i".repeat(22)}.r${number}.${number}`;
  t.true(longest.length <= maxReplySubjectBytes);
  t.true(mayAnswerTo("exchange", longest));
  for (const good of ["_INBOX", "mine", inboxes.operator("Olga K."), inboxes.client("a.b *")])
    t.is(whyNoInboxes(good), "", good);
  for (const bad of ["", "_INBOX.", "a.*", ">", "a b", "$JS.mine", "x".repeat(maxInboxPrefixBytes + 1)])
    t.not(whyNoInboxes(bad), "", bad);
  const refused = connect({ service: "exchange", client: "alice", inboxPrefix: "a.*" });
  await t.throwsAsync(refused, { message: /^inboxPrefix a\.\*: / });
});
