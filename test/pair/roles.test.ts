/**
 * A whole service under the example's permissions: a pair whose servers may do what `server` says and nothing else, and everybody
 * who speaks with it in his own role. What is forbidden on the way is told as such.
 */
import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import test, { type ExecutionContext } from "ava";
import { connect as connectNats } from "nats";
import { exchange } from "../../actors/applications/exchange/exchange.ts";
import { connect } from "../../actors/index.ts";
import { answeredPrefixes } from "../../schemas/roles.ts";
import { inboxes, subjects } from "../../schemas/subjects.ts";
import { freePort } from "../helpers/free-port.ts";
import { type Pair, startPair } from "../helpers/pair/pair.ts";
import { passwordOf, rolesConf, roleUsers } from "../helpers/role-users.ts";
import { until } from "../helpers/until.ts";

const program = fileURLToPath(new URL("../../deploy/twinlog.js", import.meta.url));
const service = "exchange";
const order = (id: string) =>
  ({ type: "limit", symbol: "BTCUSD", order: id, side: "buy", price: 100, quantity: 1 }) as const;

async function startUnderRoles(t: ExecutionContext): Promise<Pair> {
  const port = await freePort();
  const url = `127.0.0.1:${port}`;
  return await startPair(t, {
    service,
    nats: { port, extraConfig: rolesConf() },
    watchOn: `nats://anyone:x@${url}`,
    settings: (server) => ({
      nats: { servers: [`nats://${url}`], user: server, password: passwordOf(server) },
      replyPrefixes: answeredPrefixes,
    }),
    restartMs: 100,
  });
}

/** What the `nats` tool would log in with as this user. */
async function contextOf(pair: Pair, user: string): Promise<string> {
  const path = join(pair.folder, `${user}-context.json`);
  const url = `nats://127.0.0.1:${pair.nats.port}`;
  const inbox = user === roleUsers.client ? inboxes.client(user) : inboxes.operator(user);
  const fields = { url, user, password: passwordOf(user), inbox_prefix: inbox };
  await writeFile(path, JSON.stringify(fields), { mode: 0o600 });
  return path;
}

/** The command, by the user of that role. */
async function twinlog(
  pair: Pair,
  user: string,
  words: readonly string[],
): Promise<{ status: number; out: string; err: string }> {
  const env = { ...process.env, TWINLOG_SERVICE: service, TWINLOG_CONTEXT: await contextOf(pair, user) };
  return new Promise((resolve) => {
    execFile(process.execPath, [program, ...words], { cwd: pair.folder, env }, (error, out, err) =>
      resolve({ status: error === null ? 0 : Number(error.code), out, err }),
    );
  });
}

const urlOf = ({ nats }: Pair, user: string) => `nats://${user}:${passwordOf(user)}@127.0.0.1:${nats.port}`;

async function connectAs(t: ExecutionContext, pair: Pair, user: string) {
  const client = await connect({ nats: urlOf(pair, user), service, client: user, application: exchange });
  t.teardown(() => client.disconnect());
  return client;
}

const forbidden = async (pair: Pair) => {
  const statuses = await Promise.all([pair.newStatus("alpha"), pair.newStatus("beta")]);
  return statuses.flatMap(({ name, troubles }) =>
    troubles.filter(({ code }) => code.startsWith("forbidden.")).map(({ message }) => `${name}: ${message}`),
  );
};

test("a pair and everybody else, each in his role: all that is needed is allowed", async (t) => {
  const pair = await startUnderRoles(t);
  const { client: alice, integrator: reports, viewer: wall, operator: olga, administrator: ada } = roleUsers;
  const client = await connectAs(t, pair, alice);
  t.is((await client.request(order("o1"))).result.status, "resting");
  const query = { query: "book", symbol: "BTCUSD", depth: 1 };
  t.like((await client.query(query)).result, { bids: [[100, 1, 1]] });
  const asked = await twinlog(pair, alice, ["request", "--client", alice, JSON.stringify(order("o2"))]);
  t.is(asked.status, 0, asked.err);

  const reader = await connectAs(t, pair, reports);
  const read: number[] = [];
  for await (const event of reader.results({ from: 1, follow: false }))
    if (event.type === "result") read.push(event.result);
  t.deepEqual(read, [1, 2]);
  const results = await twinlog(pair, reports, ["results"]);
  t.is(results.status, 0, results.err);
  t.is(results.out.trim().split("\n").length, 3);

  const { primary } = await pair.normal();
  const status = await twinlog(pair, wall, ["status", "--json"]);
  t.is(status.status, 0, status.out + status.err);
  const file = join(pair.folder, "one.backup");
  const verbs = [
    ["switch"],
    ["pause", "--for", "1h"],
    ["resume"],
    ["flush"],
    ["backup", file],
    ["events"],
    ["history"],
  ];
  for (const words of verbs) {
    const obeyed = await twinlog(pair, olga, words);
    t.is(obeyed.status, 0, `${words.join(" ")}: ${obeyed.err}`);
  }
  const { primary: next } = await pair.normal();
  t.not(next, primary);
  await client.request(order("o3"));
  await pair.server(next).kill();
  await client.request(order("o4"));
  await pair.normal();
  await client.request(order("o5"));

  const restored = await twinlog(pair, ada, ["init", "--config", join(pair.folder, "alpha.json"), "--restore"]);
  t.is(restored.status, 0, restored.err);
  t.deepEqual(await forbidden(pair), []);
});

test("beside the reply prefixes servers hear each other, and one asks whether another has its name", async (t) => {
  const pair = await startUnderRoles(t);
  const { primary } = await pair.normal();
  const twin = await connectNats({
    servers: pair.nats.url,
    user: primary,
    pass: passwordOf(primary),
    inboxPrefix: inboxes.server(service, primary),
  });
  t.teardown(() => twin.close());
  const question = subjects.actor(service, primary, "failover");
  const { incarnation } = await pair.newStatus(primary);
  t.like((await twin.request(question, "", { timeout: 10_000 })).json(), { incarnation });
  const lines = [...pair.servers.values()].flatMap((server) => server.lines);
  const dropped = lines.filter((line) => line.includes("no answer may go"));
  t.deepEqual(dropped, [], "frames of the failsafe link want no answer");
});

test("what a role may not do is refused by the broker, and the command says so", async (t) => {
  const pair = await startUnderRoles(t);
  const { client: alice, integrator: reports, viewer: wall, operator: olga } = roleUsers;
  const order1 = JSON.stringify(order("o1"));
  for (const [user, words, says] of [
    [alice, ["request", "--client", "bob", order1], /publish on exchange\.request\.BTCUSD\.bob/],
    [reports, ["request", "--client", "reports", order1], /publish on exchange\.request/],
    [alice, ["switch"], /subscribe to exchange\.status/],
    [wall, ["pause"], /publish on exchange\.control\.\w+\.pause/],
    [alice, ["status"], /subscribe to exchange\.status/],
    [olga, ["recover", "--server", "beta", "--accept-loss", "--yes", "--timeout", "300"], /primary and serves/],
  ] as const) {
    const ran = await twinlog(pair, user, words);
    t.not(ran.status, 0, words.join(" "));
    t.regex(ran.err, says, words.join(" "));
  }
  t.deepEqual(await forbidden(pair), []);
  t.is((await pair.newStatus("alpha")).results, 0, "nothing was done");
});

test("a backup that will lack a permission when it serves says which, before it has to (situation 60)", async (t) => {
  const pair = await startUnderRoles(t);
  const { backup } = await pair.normal();
  t.deepEqual(await forbidden(pair), []);
  const lacking = ["$KV.twinlog.exchange", "_INBOX.client.>", "exchange.server.*.deaths"];
  const [from, to] = [`${backup}_may: {`, "subscribe: {"];
  const whole = rolesConf();
  const at = whole.indexOf(from);
  const list = whole.slice(at, whole.indexOf(to, at));
  const less = list.split("\n").filter((line) => !lacking.some((subject) => line.includes(`"${subject}"`)));
  t.is(less.length, list.split("\n").length - lacking.length);
  pair.nats.reload(whole.replace(list, less.join("\n")));
  await pair.server(backup).kill();
  const named = async () => (await forbidden(pair)).join("\n");
  const says = await until(
    async () => {
      const text = await named();
      const isWhole = [/\$KV\.twinlog\.exchange/, /_INBOX\.client\.>/, /server\.\w+\.deaths/].every((each) =>
        each.test(text),
      );
      return isWhole ? text : undefined;
    },
    { withinMs: 60_000, waitedFor: "all that is lacking" },
  );
  t.false(
    says.split("\n").some((line) => !line.startsWith(`${backup}: `)),
    says,
  );
  pair.nats.reload(whole);
  await until(async () => (await named()) === "", { withinMs: 60_000, waitedFor: "nothing is lacking" });
});
