/**
 * A command whose user lacks a permission, on a real broker with the shipped roles: it ends at once, in one line with the subjects, however
 * long it would wait for an answer.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import { connect } from "nats";
import { inboxes, subjects } from "../../schemas/subjects.ts";
import { natsServer } from "../helpers/nats.ts";
import { passwordOf, rolesConf, roleUsers } from "../helpers/role-users.ts";
import { statusOf } from "../helpers/status-of.ts";
import { temporaryDirectory } from "../helpers/temporary-directory.ts";
import { makeRig } from "./rig.ts";

const service = "exchange";
const order = JSON.stringify({ type: "limit", symbol: "BTCUSD", order: "o1", side: "buy", price: 100, quantity: 1 });
const { client: alice, integrator: reports, viewer: wall, operator: olga } = roleUsers;
/** Longer than a test may take. */
const late = "600000";

test("what a role may not do is refused by the broker, and the command says so at once, naming the subject", async (t) => {
  const folder = await temporaryDirectory(t);
  const { url } = await natsServer(t, { extraConfig: rolesConf() });
  const connection = await connect({ servers: url, user: "anyone", pass: "x" });
  t.teardown(() => connection.close());
  const status = JSON.stringify(statusOf({ service, name: "alpha" }));
  const speaking = setInterval(() => connection.publish(subjects.status(service, "alpha"), status), 20);
  t.teardown(() => clearInterval(speaking));
  const config = join(folder, "alpha.json");
  const servers = [{ name: "alpha", port: 4223 }];
  writeFileSync(
    config,
    JSON.stringify({ service, server: "alpha", servers, dataDirectory: "x", nats: { servers: [url] } }),
  );

  const { run } = makeRig();
  for (const [user, role, words, says] of [
    [
      alice,
      "client",
      ["request", "--client", "bob", "--timeout", late, order],
      "publish on exchange.request.BTCUSD.bob",
    ],
    [alice, "client", ["query", "--client", "bob", "--timeout", late, order], "publish on exchange.query.=.bob"],
    [reports, "operator", ["request", "--timeout", late, order], "publish on exchange.request.BTCUSD.cli"],
    [alice, "client", ["results", "--follow"], "subscribe to exchange.result.>"],
    [wall, "operator", ["results", "--follow"], "subscribe to exchange.result.>"],
    [alice, "client", ["status", "--wait", late], "subscribe to exchange.status.*"],
    [alice, "client", ["status", "--watch", "--wait", late], "subscribe to exchange.status.*"],
    [alice, "client", ["check", "--timeout", late], "subscribe to exchange.status.*"],
    [alice, "client", ["console", "--port", "0"], "subscribe to exchange.status.*"],
    [alice, "client", ["events", "--follow"], "subscribe to exchange.event.*"],
    [wall, "operator", ["events"], "publish on exchange.server.alpha.failover"],
    [wall, "operator", ["history", "--timeout", late], "publish on $JS.API.STREAM.MSG.GET.KV_twinlog"],
    [wall, "operator", ["pause", "--timeout", late], "publish on exchange.control.alpha.pause"],
    [wall, "operator", ["switch", "--timeout", late], "subscribe to exchange.signal"],
    [wall, "operator", ["recover", "--server", "alpha", "--accept-loss"], "publish on exchange.server.alpha.failover"],
    [alice, "client", ["drill", "--running", "--force"], "subscribe to exchange.status.*"],
    [olga, "operator", ["init", "--config", config], "publish on $JS.API.STREAM.INFO.KV_twinlog"],
  ] as const) {
    const path = join(folder, `${user}.json`);
    const fields = { url, user, password: passwordOf(user), inbox_prefix: inboxes[role](user) };
    writeFileSync(path, JSON.stringify(fields), { mode: 0o600 });
    const ran = await run(words, { environment: { TWINLOG_CONTEXT: path }, isReal: true });
    t.is(ran.status, words[0] === "check" ? 3 : 1, words.join(" "));
    const told = ran.err;
    t.true(told.includes(says), `${words.join(" ")}: ${told}`);
    t.regex(told, /NATS forbids to .*: `twinlog permissions` prints what each role may do/);
    t.is(told.trim().split("\n").length, 1, told);
  }
});

test("a client with the permissions of before may not ask for the schema: its query is answered, and it is told that nothing here checked it", async (t) => {
  const folder = await temporaryDirectory(t);
  const before = rolesConf().replaceAll(/^.*"exchange\.schema".*\n/gm, "");
  t.not(before, rolesConf());
  const { url } = await natsServer(t, { extraConfig: before });
  const connection = await connect({ servers: url, user: "anyone", pass: "x" });
  t.teardown(() => connection.close());
  connection.subscribe(subjects.queries(service), {
    callback: (_error, message) => {
      const { client, id, body } = JSON.parse(Buffer.from(message.data).toString()) as Record<string, unknown>;
      message.respond(Buffer.from(JSON.stringify({ client, id, ok: true, result: body, sequence: 1, epoch: 1 })));
    },
  });
  await connection.flush();
  const path = join(folder, "alice.json");
  const login = { url, user: alice, password: passwordOf(alice), inbox_prefix: inboxes.client(alice) };
  writeFileSync(path, JSON.stringify(login), { mode: 0o600 });
  const words = ["query", "--client", alice, '{"query":"book"}'];
  const ran = await makeRig().run(words, { environment: { TWINLOG_CONTEXT: path }, isReal: true });
  t.deepEqual([ran.status, JSON.parse(ran.out)], [0, { query: "book" }], ran.err);
  t.regex(
    ran.err,
    /^twinlog: the body was checked by the service alone: NATS forbids to publish on exchange\.schema: [^\n]*\n$/,
  );
});
