/**
 * Real servers under a real nats-server that takes less than before, that forbids them what they need, or whose JetStream
 * stands over their requests: nothing is lost, the service goes on as far as it may, and the status says why not.
 */
import test, { type ExecutionContext } from "ava";
import { exchange } from "../../actors/applications/exchange/exchange.ts";
import { subjects } from "../../schemas/subjects.ts";
import { freePort } from "../helpers/free-port.ts";
import { type Pair, startPair } from "../helpers/pair/pair.ts";
import { until } from "../helpers/until.ts";

const limit = (order: string, side: "buy" | "sell", quantity: number, price = 100) =>
  ({ type: "limit", symbol: "BTCUSD", order, side, price, quantity }) as const;

const user = { user: "tw", password: "secret" };
const permitted = (permissions: string) =>
  `no_auth_user: anyone\nauthorization { users = [ {user: anyone, password: x}, {user: tw, password: secret, permissions: { ${permissions} } } ] }`;
const free = permitted('publish: { deny: ["nothing.at.all"] }');

/** A pair whose servers log in as a user with these permissions; everybody else may do everything. */
async function startAs(t: ExecutionContext, permissions: string): Promise<Pair> {
  const port = await freePort();
  return await startPair(t, {
    nats: { port, extraConfig: permitted(permissions) },
    settings: () => ({ nats: { servers: [`nats://127.0.0.1:${port}`], ...user } }),
    restartMs: 100,
  });
}

const hasTrouble = (pair: Pair, server: string, code: string) =>
  pair.waitFor(server, ({ troubles }) => troubles.some((one) => one.code === code), { waitedFor: code });
const isOver = (pair: Pair, server: string, code: string) =>
  pair.waitFor(server, ({ troubles }) => troubles.every((one) => one.code !== code), { waitedFor: `${code} is over` });

/** Numbers of the results as the broker gives them to whoever listens. */
async function listen(pair: Pair): Promise<Set<number>> {
  const heard = new Set<number>();
  pair.raw.subscribe(subjects.results(pair.service), {
    callback: (_error, message) => {
      if (message.headers?.has("Twinlog-Result")) heard.add(Number(message.headers.get("Twinlog-Result")));
    },
  });
  await pair.raw.flush();
  return heard;
}

test.serial(
  "a broker that comes back with a smaller max_payload: what is stored is had in pieces, what is new is held to it, and servers start under it (situation 58)",
  async (t) => {
    const pair = await startPair(t, { restartMs: 100 });
    const client = await pair.client({ client: "alice", application: exchange });
    const makers = Array.from({ length: 300 }, (_, at) => client.request(limit(`maker-number-${at}`, "sell", 1)));
    await Promise.all(makers);
    const sweep = limit("taker", "buy", 300);
    const first = await client.request(sweep, { id: "sweep" });
    t.is(first.result.fills.length, 300);
    t.true(first.bytes.length > 16_384);
    await pair.nats.restart({ maxPayloadBytes: 8_192 });
    const { primary } = await pair.normal();
    await hasTrouble(pair, primary, "broker.limits");
    const again = await client.request(sweep, { id: "sweep", resend: true });
    t.true(again.duplicate);
    t.is(Buffer.compare(again.bytes, first.bytes), 0, "byte for byte what was stored");
    await hasTrouble(pair, primary, "broker.omitted");

    const heard = await listen(pair);
    const tooMany = Array.from({ length: 200 }, (_, at) => client.request(limit(`again-${at}`, "sell", 1)));
    await Promise.all(tooMany);
    const refused = await t.throwsAsync(client.request(limit("taker-2", "buy", 200)));
    t.regex(refused?.message ?? "", /APPLICATION_ERROR.*effects may take/);
    const after = await client.request(limit("small", "buy", 1, 50));
    t.is(after.result.status, "resting");
    await until(() => heard.size === 202, { withinMs: 60_000, waitedFor: "the stream of results goes on" });

    await pair.server(primary).kill();
    await pair.normal();
    const read: number[] = [];
    let bytes: Uint8Array | undefined;
    for await (const event of client.results({ from: 1, follow: false })) {
      if (event.type !== "result") continue;
      read.push(event.result);
      if (event.reply.id === "sweep") bytes = event.bytes;
    }
    t.deepEqual(
      read,
      Array.from({ length: 503 }, (_, at) => at + 1),
    );
    t.is(
      Buffer.compare(bytes ?? new Uint8Array(0), first.bytes),
      0,
      "a result that the broker does not take whole is replayed in pieces",
    );
  },
);

test.serial(
  "results that NATS forbids are held back, over a takeover too, and all are published when it may be (situation 60)",
  async (t) => {
    const pair = await startAs(t, 'publish: { deny: ["pair.result.>"] }');
    const heard = await listen(pair);
    const client = await pair.client({ client: "alice", application: exchange });
    for (let at = 1; at <= 20; at += 1) await client.request(limit(`o${at}`, "buy", 1));
    const { primary } = await pair.normal();
    const { troubles } = await hasTrouble(pair, primary, "forbidden.results");
    t.regex(troubles.find(({ code }) => code === "forbidden.results")?.message ?? "", /pair\.result\.BTCUSD\.alice/);
    await pair.server(primary).kill();
    for (let at = 21; at <= 30; at += 1) await client.request(limit(`o${at}`, "buy", 1));
    const { primary: next } = await pair.normal();
    await hasTrouble(pair, next, "forbidden.results");
    t.is(heard.size, 0);
    pair.nats.reload(free);
    await until(() => heard.size === 30, { withinMs: 60_000, waitedFor: "all results" });
    await isOver(pair, next, "forbidden.results");
  },
);

test.serial("replies and requests that NATS forbids are told, and served when it may be (situation 60)", async (t) => {
  const pair = await startAs(t, 'publish: { deny: ["_INBOX.>"] }');
  const client = await pair.client({ client: "alice", application: exchange, deadlineMs: 60_000 });
  const { primary } = await pair.normal();
  const first = client.request(limit("o1", "buy", 1));
  await hasTrouble(pair, primary, "forbidden.replies");
  pair.nats.reload(free);
  t.is((await first).result.status, "resting");
  await isOver(pair, primary, "forbidden.replies");
  pair.nats.reload(permitted('subscribe: { deny: ["pair.request.>"] }'));
  await hasTrouble(pair, primary, "forbidden.requests");
  const second = client.request(limit("o2", "buy", 1));
  pair.nats.reload(free);
  t.is((await second).result.status, "resting");
  await isOver(pair, primary, "forbidden.requests");
});

test.serial("a backup that NATS would not let hear requests says so before it has to (situation 60)", async (t) => {
  const port = await freePort();
  const pair = await startPair(t, {
    nats: { port, extraConfig: permitted('subscribe: { deny: ["pair.request.>"] }') },
    settings: (server) => ({ nats: { servers: [`nats://127.0.0.1:${port}`], ...(server === "beta" ? user : {}) } }),
  });
  await hasTrouble(pair, "beta", "forbidden.requests");
  t.is(pair.status("beta")?.role, "backup");
  // They may be in sync over NATS before the main link is up.
  await pair.waitFor("alpha", ({ links }) => links.main === "up");
  t.deepEqual((await pair.newStatus("alpha")).troubles, []);
  pair.nats.reload(free);
  await isOver(pair, "beta", "forbidden.requests");
});

test.serial(
  "a stream over the requests is told, and the library is answered by the service all the same (situation 67)",
  async (t) => {
    const pair = await startPair(t, { start: [] });
    const config = { name: "orders", subjects: ["pair.request.>"], storage: "memory" };
    await pair.raw.request("$JS.API.STREAM.CREATE.orders", JSON.stringify(config), { timeout: 5_000 });
    for (const server of pair.servers.values()) server.start();
    const { primary } = await pair.normal();
    const { troubles } = await hasTrouble(pair, primary, "stream.answers");
    t.regex(troubles.find(({ code }) => code === "stream.answers")?.message ?? "", /orders/);
    const client = await pair.client({ client: "alice", application: exchange });
    t.is((await client.request(limit("o1", "buy", 1))).result.status, "resting");
  },
);
