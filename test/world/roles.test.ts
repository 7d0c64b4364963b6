/**
 * The example configuration on a real nats-server: what each role may publish and hear there, subject by subject, and that everything
 * else is refused. The tables are written by hand, and say nothing by the lists that they hold to account.
 */
import test, { type ExecutionContext } from "ava";
import { NatsBus } from "../../actors/world/bus-nats.ts";
import { NatsLine } from "../../actors/world/connection-nats.ts";
import { natsPermissions } from "../../deploy/nats/permissions.ts";
import { permissionsOf, type Role, roleNames, whyNoUser } from "../../schemas/roles.ts";
import { realRig } from "../conformance/rig.ts";
import { keptLog } from "../helpers/kept-log.ts";
import { sharedNatsServer } from "../helpers/nats.ts";
import { passwordOf, rolesConf, roleUsers } from "../helpers/role-users.ts";

const nats = sharedNatsServer(test, { extraConfig: rolesConf() });
const { clock } = realRig();

/** Client, integrator, viewer, operator, administrator, server. */
const letters: Readonly<Record<string, Role>> = {
  c: "client",
  i: "integrator",
  v: "viewer",
  o: "operator",
  a: "administrator",
  s: "server",
};

/** The users are alice, reports, wall, olga, ada and the server alpha. */
const publishing: readonly (readonly [subject: string, who: string])[] = [
  ["exchange.request.BTC.alice", "c"],
  ["exchange.request.=.alice", "c"],
  ["exchange.request.BTC.bob", ""],
  ["exchange.request.BTC.reports", ""],
  ["exchange.request.BTC.olga", ""],
  ["exchange.request.BTC.alice.more", ""],
  ["exchange.request.alice", ""],
  ["exchange.query.BTC.alice", "c"],
  ["exchange.query.BTC.bob", ""],
  ["exchange.result.BTC.alice", "s"],
  ["exchange.result.BTC.bob", "s"],
  ["exchange.replay", "i"],
  ["exchange.signal", "s"],
  ["exchange.status.alpha", "s"],
  ["exchange.status.beta", ""],
  ["exchange.event.alpha", "s"],
  ["exchange.event.beta", ""],
  ["exchange.control.alpha.switch.olga", "o"],
  ["exchange.control.beta.pause.olga", "o"],
  ["exchange.control.beta.resume.olga", "o"],
  ["exchange.control.beta.accept-time.olga", "o"],
  ["exchange.control.beta.pause-failover.olga", "o"],
  ["exchange.control.beta.resume-failover.olga", "o"],
  ["exchange.control.beta.flush.olga", "o"],
  ["exchange.control.alpha.switch.ada", "a"],
  ["exchange.control.beta.pause.ada", "a"],
  ["exchange.control.beta.resume.ada", "a"],
  ["exchange.control.beta.accept-time.ada", "a"],
  ["exchange.control.beta.pause-failover.ada", "a"],
  ["exchange.control.beta.resume-failover.ada", "a"],
  ["exchange.control.beta.flush.ada", "a"],
  ["exchange.control.alpha.switch.ivan", ""],
  ["exchange.control.alpha.switch", ""],
  ["exchange.control.alpha.switch.olga.more", ""],
  ["exchange.control.beta.backup", "oa"],
  ["exchange.control.beta.recover.ada", "a"],
  ["exchange.control.beta.recover.olga", ""],
  ["exchange.control.beta.anything.olga", ""],
  ["exchange.server.alpha.failover", "oas"],
  ["exchange.server.beta.failover", "oa"],
  ["exchange.server.beta.application", "oa"],
  ["exchange.server.beta.checkpoint", "oa"],
  ["exchange.server.beta.replication", "s"],
  ["exchange.server.beta.deaths", "s"],
  ["exchange.server.beta.anything", ""],
  ["exchange.schema", "cioa"],
  ["exchange.about", "oa"],
  ["exchange.anything", ""],
  ["exchange", ""],
  ["orders.request.BTC.alice", ""],
  ["orders.server.alpha.replication", ""],
  ["orders.status.alpha", ""],
  ["orders.control.alpha.switch.olga", ""],
  ["_INBOX.client.alice.x", "s"],
  ["_INBOX.client.bob.x", "s"],
  ["_INBOX.operator.olga.x", "s"],
  ["_INBOX.server.exchange.alpha.x", "s"],
  ["_INBOX.server.exchange.beta.x", ""],
  ["_INBOX.anything", ""],
  ["$SRV.PING", "oa"],
  ["$SRV.INFO", "oa"],
  ["$SRV.STATS", "oa"],
  ["$SRV.anything", ""],
  ["$SRV.INFO.exchange", "oa"],
  ["$SRV.STATS.exchange.id", "oa"],
  ["$SRV.PING.orders", ""],
  ["$KV.twinlog.exchange", "as"],
  ["$KV.twinlog.orders", ""],
  ["$KV.other.exchange", ""],
  ["$JS.API.INFO", ""],
  ["$JS.API.STREAM.NAMES", "s"],
  ["$JS.API.STREAM.LIST", ""],
  ["$JS.API.STREAM.INFO.KV_twinlog", "as"],
  ["$JS.API.STREAM.INFO.orders", "as"],
  ["$JS.API.STREAM.MSG.GET.KV_twinlog", "oas"],
  ["$JS.API.STREAM.MSG.GET.orders", ""],
  ["$JS.API.STREAM.CREATE.KV_twinlog", "a"],
  ["$JS.API.STREAM.CREATE.RESULTS_exchange", "a"],
  ["$JS.API.STREAM.CREATE.orders", ""],
  ["$JS.API.STREAM.UPDATE.KV_twinlog", ""],
  ["$JS.API.STREAM.DELETE.KV_twinlog", ""],
  ["$JS.API.STREAM.PURGE.KV_twinlog", ""],
  ["$JS.API.STREAM.MSG.DELETE.KV_twinlog", ""],
  ["$JS.API.STREAM.SNAPSHOT.KV_twinlog", ""],
  ["$JS.API.STREAM.RESTORE.KV_twinlog", ""],
  ["$JS.API.STREAM.LEADER.STEPDOWN.KV_twinlog", ""],
  ["$JS.API.CONSUMER.CREATE.KV_twinlog", ""],
  ["$JS.API.DIRECT.GET.KV_twinlog", ""],
  ["$JS.API.ACCOUNT.PURGE.exchange", ""],
  ["$SYS.REQ.SERVER.PING", ""],
  ["anything", ""],
];

const subscribing: readonly (readonly [subject: string, who: string])[] = [
  [">", ""],
  ["*.>", ""],
  ["exchange.>", ""],
  ["exchange.*", ""],
  ["exchange.*.*.alice", ""],
  ["exchange.request.>", "s"],
  ["exchange.request.*.alice", "s"],
  ["exchange.query.>", "s"],
  ["exchange.query.BTC.alice", "s"],
  ["exchange.result.>", "i"],
  ["exchange.result.*.alice", "ci"],
  ["exchange.result.*.bob", "i"],
  ["exchange.replay", "s"],
  ["exchange.signal", "cioa"],
  ["exchange.status.*", "voa"],
  ["exchange.status.alpha", "voas"],
  ["exchange.event.*", "voa"],
  ["exchange.event.alpha", "voa"],
  ["exchange.control.alpha.*", "s"],
  ["exchange.control.alpha.>", "s"],
  ["exchange.control.beta.*", ""],
  ["exchange.control.>", ""],
  ["exchange.server.>", ""],
  ["exchange.server.alpha.replication", "s"],
  ["exchange.server.alpha.deaths", "s"],
  ["exchange.server.beta.replication", ""],
  ["exchange.server.beta.failover", ""],
  ["exchange.schema", "s"],
  ["exchange.about", "s"],
  ["orders.>", ""],
  ["orders.status.*", ""],
  ["orders.signal", ""],
  ["_INBOX.>", ""],
  ["_INBOX.client.>", ""],
  ["_INBOX.client.alice.>", "c"],
  ["_INBOX.client.bob.>", ""],
  ["_INBOX.client.reports.>", "i"],
  ["_INBOX.operator.>", ""],
  ["_INBOX.operator.reports.>", "i"],
  ["_INBOX.operator.olga.>", "o"],
  ["_INBOX.operator.ada.>", "a"],
  ["_INBOX.server.>", ""],
  ["_INBOX.server.exchange.alpha.>", "s"],
  ["_INBOX.server.exchange.beta.>", ""],
  ["$SRV.PING", "s"],
  ["$SRV.INFO", "s"],
  ["$SRV.STATS", "s"],
  ["$SRV.INFO.exchange", "s"],
  ["$SRV.STATS.exchange.id", "s"],
  ["$SRV.>", ""],
  ["$SRV.PING.orders", ""],
  ["$KV.>", ""],
  ["$KV.twinlog.exchange", ""],
  ["$JS.>", ""],
  ["$JS.EVENT.ADVISORY.>", ""],
  ["$SYS.>", ""],
  ["anything", ""],
];

async function logIn(t: ExecutionContext, user: string) {
  const line = new NatsLine({
    nats: { servers: [nats.current.url], user, password: passwordOf(user) },
    name: user,
    inboxPrefix: "_INBOX",
    clock,
    log: keptLog(),
  });
  const bus = new NatsBus(line);
  const refused = new Set<string>();
  bus.onFault(({ kind, subject }) => refused.add(`${kind} ${subject}`));
  await bus.start(() => undefined);
  t.teardown(() => bus.stop());
  t.true(bus.connected(), `${user} logs in`);
  return { bus, refused };
}

const allowed = (rows: typeof publishing, role: Role) =>
  rows.filter(([, who]) => [...who].some((letter) => letters[letter] === role)).map(([subject]) => subject);

for (const [role, user] of Object.entries(roleUsers) as [Role, string][]) {
  test(`${role}: what it may publish is taken, and everything else is refused`, async (t) => {
    const { bus, refused } = await logIn(t, user);
    for (const [subject] of publishing) bus.publish(subject, new Uint8Array(0));
    t.true(await bus.flush());
    t.deepEqual(
      publishing.map(([subject]) => subject).filter((subject) => !refused.has(`publish ${subject}`)),
      allowed(publishing, role),
    );
  });

  test(`${role}: what it may hear it hears, and nothing else`, async (t) => {
    const { bus, refused } = await logIn(t, user);
    for (const [subject] of subscribing) bus.subscribe(subject, () => undefined);
    t.true(await bus.flush());
    t.deepEqual(
      subscribing.map(([subject]) => subject).filter((subject) => !refused.has(`subscribe ${subject}`)),
      allowed(subscribing, role),
    );
  });

  test(`${role}: every line of its list is tried by a table`, (t) => {
    const { publish, subscribe } = permissionsOf({ role, name: user, service: "exchange", bucket: "twinlog" });
    const matched = (pattern: string, rows: typeof publishing) =>
      allowed(rows, role).some((subject) => subject === pattern || matches(pattern, subject));
    t.deepEqual(
      [
        ...publish.filter(({ subject }) => !matched(subject, publishing)),
        ...subscribe.filter(({ subject }) => !matched(subject, subscribing)),
      ],
      [],
    );
  });
}

function matches(pattern: string, subject: string): boolean {
  const [wanted, given] = [pattern.split("."), subject.split(".")];
  const isOpen = wanted.at(-1) === ">";
  if (isOpen ? given.length < wanted.length : given.length !== wanted.length) return false;
  return wanted.every((token, at) => token === "*" || token === ">" || token === given[at]);
}

test("each role has a user in the example, and a name that cannot be one is refused", (t) => {
  t.deepEqual(Object.keys(roleUsers).sort(), [...roleNames].sort());
  const user = { role: "server", name: "alpha", service: "exchange", bucket: "twinlog" } as const;
  t.is(whyNoUser(user), "");
  for (const wrong of [{ name: "alp*" }, { name: ">" }, { service: "ex.change" }, { bucket: "*" }])
    t.not(whyNoUser({ ...user, ...wrong }), "", JSON.stringify(wrong));
  t.not(whyNoUser({ ...user, role: "client", name: "x".repeat(257) }), "");
});

test("a name with wildcards and dots stands in a list as one token", (t) => {
  const { publish, subscribe } = natsPermissions({ role: "client", name: "a.*.>", service: "exchange", bucket: "b" });
  t.deepEqual(publish, {
    allow: ["exchange.request.*.a=2E=2A=2E=3E", "exchange.query.*.a=2E=2A=2E=3E", "exchange.schema"],
  });
  t.deepEqual(subscribe, {
    allow: ["_INBOX.client.a=2E=2A=2E=3E.>", "exchange.signal", "exchange.result.*.a=2E=2A=2E=3E"],
  });
});
