/** A pair whose servers share a key, with real processes: they do all that a pair does, and a stranger cannot speak for either. */
import test from "ava";
import { exchange } from "../../actors/applications/exchange/exchange.ts";
import { encodeMessage } from "../../machines/codec/message.ts";
import type { Heartbeat } from "../../schemas/peer-message.ts";
import { Standing } from "../../schemas/standing.ts";
import { subjects } from "../../schemas/subjects.ts";
import { failsafeFrame, fittingMessages } from "../helpers/misfit-frames.ts";
import { startPair } from "../helpers/pair/pair.ts";
import { keyFileOf } from "../helpers/peer-key.ts";

const order = (name: string) =>
  ({ type: "limit", symbol: "BTCUSD", order: name, side: "buy", price: 100, quantity: 1 }) as const;

test.serial(
  "servers with a key: both links carry records, a stranger's record is not believed, a death is",
  async (t) => {
    const { path: keyFile, remove } = await keyFileOf();
    t.teardown(remove);
    const pair = await startPair(t, { proxied: true, settings: () => ({ peers: { keyFile } }) });
    await pair.normal();
    const client = await pair.client({ client: "alice", application: exchange });
    await client.request(order("over-the-main-link"));
    await pair.mainLink.cut();
    await pair.waitFor("alpha", ({ links }) => links.main !== "up");
    const { sequence } = await client.request(order("over-NATS"));
    await pair.waitFor("beta", (status) => status.sequence >= sequence);
    t.is((await pair.newStatus("alpha")).mode, "normal");

    // As if beta had won an epoch far ahead: with nothing to prove it, it is not even asked about.
    const standingOf = async (server: string) => Standing.parse(await pair.report(server, "failover"));
    const [from, to] = [await standingOf("beta"), await standingOf("alpha")];
    const { record, history, epochSeen: epoch, last } = to;
    if (record === null) return t.fail("no record");
    const known = { service: pair.service, from, to, epoch, history, schema: record.schema, last };
    const heartbeat = fittingMessages(known).find((message): message is Heartbeat => message.type === "heartbeat");
    if (heartbeat === undefined) return t.fail("no heartbeat");
    const { primary, inSync } = record;
    const beta = inSync.find(({ server }) => server === "beta") ?? primary;
    const won = { ...record, epoch: epoch + 10, writeId: "stranger", primary: beta, inSync: [beta] };
    const forged = encodeMessage({ ...heartbeat, epochSeen: epoch + 10, record: won, revision: 1_000 });
    pair.raw.publish(subjects.actor(pair.service, "alpha", "replication"), failsafeFrame("beta", forged));
    const { troubles } = await pair.waitFor("alpha", (status) =>
      status.troubles.some(({ code }) => code === "messages.unfit"),
    );
    t.regex(troubles.find(({ code }) => code === "messages.unfit")?.message ?? "", /beta's name, over NATS: it proves/);
    t.is((await standingOf("alpha")).epochSeen, epoch);
    await client.request(order("after-the-stranger"));

    await pair.server("alpha").kill();
    await pair.waitFor("beta", ({ role }) => role === "primary");
    const read: string[] = [];
    for await (const event of client.results({ from: 1, follow: false }))
      if (event.type === "result" && event.reply.ok) read.push((event.reply.result as { order: string }).order);
    t.deepEqual(read, ["over-the-main-link", "over-NATS", "after-the-stranger"]);
    return undefined;
  },
);
