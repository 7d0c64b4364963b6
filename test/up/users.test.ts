/**
 * Who may speak with the nats-server that `up` brings, on a real one: everybody in his role, whatever he calls himself, and nobody
 * else. The commands find their log-in by themselves, and give it to no other broker; secrets are kept, and their user's alone.
 */
import { lstatSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import { connect } from "nats";
import { openNodeClock } from "../../actors/world/clock-node.ts";
import { openRegistry } from "../../actors/world/real-world.ts";
import { accessBy, accessOf } from "../../deploy/commands/access.ts";
import { connectTo } from "../../deploy/commands/connect.ts";
import { type LocalUser, LocalUsers, registryBucket } from "../../deploy/up/users.ts";
import { initialRecord } from "../../machines/replica/registry/initial-record.ts";
import { Settings } from "../../schemas/settings.ts";
import { natsServer } from "../helpers/nats.ts";
import { temporaryDirectory } from "../helpers/temporary-directory.ts";

const clock = openNodeClock();
const plan = {
  service: "exchange",
  servers: ["alpha", "beta"],
  bucket: registryBucket,
  testService: false,
  websocket: false,
};

test("each user may do what his role needs under any name, and nothing else; strangers are not let in", async (t) => {
  const users = new LocalUsers(join(await temporaryDirectory(t), "access"), {
    ...plan,
    testService: true,
    websocket: true,
  });
  const { url } = await natsServer(t, { extraConfig: users.conf() });
  users.writeContexts(url);
  const ask = async (name: LocalUser, kind: "publish" | "subscribe", subject: string) => {
    const told = { clock, err: () => undefined, onState: () => undefined };
    const bus = await connectTo(await accessBy(users.contextFile(name)), "_INBOX.none", told);
    const forbidden: string[] = [];
    bus.onFault((fault) => forbidden.push(`${fault.kind} ${fault.subject}`));
    if (kind === "publish") bus.publish(subject, new Uint8Array());
    else bus.subscribe(subject, () => undefined);
    await bus.flush();
    await bus.stop();
    t.true(forbidden.every((one) => one === `${kind} ${subject}`));
    return forbidden.length === 0;
  };
  for (const [name, kind, subject, isAllowed] of [
    ["client", "publish", "exchange.request.BTCUSD.bob", true],
    ["client", "subscribe", "_INBOX.client.bob.x", true],
    ["client", "publish", "exchange.control.alpha.pause.olga", false],
    ["client", "subscribe", "_INBOX.operator.local.x", false],
    ["viewer", "subscribe", "exchange.status.*", true],
    ["viewer", "publish", "exchange.request.BTCUSD.bob", false],
    ["operator", "publish", "exchange.control.alpha.pause.olga", true],
    ["operator", "publish", "exchange.control.alpha.recover.olga", false],
    ["administrator", "publish", "exchange.control.alpha.recover.olga", true],
    ["administrator", "publish", "exchange.server.alpha.replication", false],
    ["integrator", "publish", "exchange.replay", true],
    ["integrator", "publish", "exchange.request.BTCUSD.bob", false],
    ["drill", "publish", "exchange.request.BTCUSD.bob", true],
    ["drill", "publish", "exchange.control.alpha.switch.olga", true],
    ["drill", "subscribe", "exchange.result.>", true],
    ["drill", "publish", "$KV.twinlog.exchange", false],
    ["trader", "publish", "exchange.request.BTCUSD.bob", true],
    ["trader", "subscribe", "exchange.result.>", true],
    ["trader", "publish", "exchange.control.alpha.switch.olga", false],
  ] as const)
    t.is(await ask(name, kind, subject), isAllowed, `${name} ${kind} ${subject}`);
  await t.throwsAsync(connect({ servers: url, reconnect: false }), { message: /Authorization/ });
});

test("secrets are made once, for their user alone, and nats-server gets none of them", async (t) => {
  const folder = join(await temporaryDirectory(t), "access");
  const users = new LocalUsers(folder, plan);
  const conf = users.conf();
  users.writeContexts("nats://127.0.0.1:4222");
  const files = readdirSync(folder);
  t.deepEqual(
    files.filter((name) => /^(drill|trader)/.test(name)),
    [],
    "nobody may drill, and no browser gets in",
  );
  for (const name of ["", ...files]) t.is(lstatSync(join(folder, name)).mode & 0o077, 0, name);
  for (const name of files.filter((each) => each.endsWith(".nk"))) {
    const seed = readFileSync(join(folder, name), "utf8");
    t.regex(seed, /^SU[A-Z2-7]{56}$/);
    t.false(conf.includes(seed));
  }
  t.is(new LocalUsers(folder, plan).conf(), conf, "the next start lets the same in");
});

test("a command finds its user's log-in where the service's own broker is meant, and nowhere else", async (t) => {
  const access = join(await temporaryDirectory(t), "access");
  const users = new LocalUsers(access, plan);
  users.conf();
  users.writeContexts("nats://127.0.0.1:4222");
  const serviceFile = { service: "exchange", application: "exchange", nats: "nats://127.0.0.1:4222", access };
  const of = async (nats?: string, environment = {}) => {
    const flags = nats === undefined ? {} : { nats };
    const { nats: found, inboxPrefix } = await accessOf({ environment, serviceFile }, flags, { user: "operator" });
    return [found.nkeyFile, inboxPrefix];
  };
  const own = [users.nkeyFile("operator"), "_INBOX.operator.local"];
  const none = [undefined, undefined];
  t.deepEqual(await of(), own);
  t.deepEqual(await of("nats://localhost:4222"), own);
  t.deepEqual(await of("nats://127.0.0.1:4223"), none);
  t.deepEqual(await of("nats://192.0.2.1:4222"), none);
  t.deepEqual(await of("nats://127.0.0.1:4222,nats://192.0.2.1:4222"), none);
  t.deepEqual(await of("nats://me:s3cret@127.0.0.1:4222"), none, "the address says it");
  t.deepEqual(await of(undefined, { TWINLOG_NKEY: "my.nk" }), ["my.nk", undefined]);
});

test("what an earlier version's nats-server kept, which let everybody in, is found again", async (t) => {
  const folder = await temporaryDirectory(t);
  const nats = await natsServer(t);
  const users = new LocalUsers(join(folder, "access"), plan);
  const settingsWith = (more: object) =>
    Settings.parse({
      service: "exchange",
      server: "alpha",
      servers: [{ name: "alpha", port: 4223 }],
      dataDirectory: join(folder, "alpha"),
      nats: { servers: [nats.url], ...more },
    });
  const before = await openRegistry(settingsWith({}));
  const created = await before.registry.create(initialRecord("exchange", "alpha", "first"));
  t.is(created.outcome, "won");
  await before.close();
  await nats.restart({ extraConfig: users.conf() });
  const now = await openRegistry(settingsWith({ nkeyFile: users.nkeyFile("alpha") }));
  t.like(await now.registry.read(), { outcome: "found", record: { service: "exchange" } });
  await now.close();
});
