/**
 * Claims 17 to 19 and 31: servers that are silent without being dead (SIGSTOP), so that only their agents' words tell. One pair for
 * all; each test leaves it in the normal state. Nothing is flushed on a schedule.
 */
import test, { type ExecutionContext } from "ava";
import { exchange } from "../../actors/applications/exchange/exchange.ts";
import { subjects } from "../../schemas/subjects.ts";
import { buy, isFlushedWhenAnswered, Orders, repliesOnDisk } from "../helpers/orders.ts";
import { readDisk } from "../helpers/pair/disk.ts";
import { type Pair, sharedPair } from "../helpers/pair/pair.ts";
import { until } from "../helpers/until.ts";

const shared = sharedPair(test, {
  proxied: true,
  limits: { suspicionMs: 1_200, stalledBackupMs: 1_000, flushMs: 60_000, flushRecords: 1_000_000 },
});

/** Everything that is said to a server over NATS by its peer, as text. */
function listen(t: ExecutionContext, pair: Pair, server: string): { text: string } {
  const heard = { text: "" };
  const subscription = pair.raw.subscribe(subjects.actor(pair.service, server, "replication"), {
    callback: (_error, { data }) => {
      heard.text += Buffer.from(data).toString("latin1");
    },
  });
  t.teardown(() => subscription.unsubscribe());
  return heard;
}

/** Lets a paused server go on, and waits until it is in sync again. */
async function wake(pair: Pair, server: string): Promise<void> {
  pair.server(server).signal("SIGCONT");
  await pair.normal();
}

test.serial(
  "31. When mirroring is not confirmed, the primary flushes its memory at once, stops mirroring, and from then on flushes each record",
  async (t) => {
    const pair = shared.current;
    t.is((await pair.normal()).primary, "alpha");
    const orders = new Orders(pair, "claim31");
    await orders.send(5);
    t.is(repliesOnDisk(await readDisk(pair, "alpha", exchange), "claim31").size, 0);

    pair.server("beta").signal("SIGSTOP");
    const before = pair.events.length;
    let eventsAtReply: string[] = [];
    const inMemory = await pair.newStatus("alpha");
    const answered = pair.ask(buy(6, "CLAIM31"), { client: "claim31", id: "6", timeoutMs: 30_000 }).then((reply) => {
      eventsAtReply = pair.events.slice(before).map(({ event }) => event);
      return reply;
    });
    orders.sent += 1;
    const reply = await answered;
    t.true(reply.reply.ok);
    t.is(inMemory.synced < inMemory.sequence, true);
    // Events and replies come over one connection of the server, in the order in which it said them.
    t.deepEqual(eventsAtReply, ["backup.lost.alone", "disk.synced", "cas.won.alone"]);
    t.is(repliesOnDisk(await readDisk(pair, "alpha", exchange), "claim31").size, 6, "first all that was in memory");

    const heard = listen(t, pair, "beta");
    let main = "";
    pair.mainLink.tamper = (chunk) => {
      main += chunk.toString("latin1");
      return chunk;
    };
    for (let n = 0; n < 3; n += 1) t.true(await isFlushedWhenAnswered(pair, "alpha", orders));
    t.false(main.includes("claim31") || heard.text.includes("claim31"), "nothing is mirrored any more");
    pair.mainLink.tamper = (chunk) => chunk;
    await wake(pair, "beta");
  },
);

test.serial(
  "17. The failover agents of the servers talk to each other all the time, over both links, and so know whether the other is there",
  async (t) => {
    const pair = shared.current;
    await pair.normal();
    const toAlpha = listen(t, pair, "alpha");
    const toBeta = listen(t, pair, "beta");
    let main = "";
    pair.mainLink.tamper = (chunk) => {
      main += chunk.toString("latin1");
      return chunk;
    };
    const beats = (text: string) => text.split('"type":"heartbeat"').length - 1;
    await until(() => Math.min(beats(toAlpha.text), beats(toBeta.text), beats(main)) >= 5, {
      withinMs: 20_000,
      waitedFor: "heartbeats of both servers, over both links, while nobody asks anything",
    });
    pair.mainLink.tamper = (chunk) => chunk;
    for (const name of ["alpha", "beta"]) {
      t.deepEqual((await pair.newStatus(name)).links, { main: "up", failsafe: "up" });
      t.is((await pair.report(name, "failover")).actor, "failover");
    }
    const { primary, backup } = await pair.normal();
    pair.server(backup).signal("SIGSTOP");
    await pair.waitFor(primary, ({ links }) => links.main === "down" && links.failsafe === "down");
    await wake(pair, backup);
    // Each link is heard by itself, and one of them first.
    await pair.waitFor(primary, ({ links }) => links.main === "up" && links.failsafe === "up");
  },
);

test.serial(
  "18. A primary whose failover agent does not reach the backup's begins to work alone, and flushes after each message",
  async (t) => {
    const pair = shared.current;
    const orders = new Orders(pair, "claim18");
    const { primary, backup } = await pair.normal();
    await orders.send(1);
    pair.server(backup).signal("SIGSTOP");
    t.is((await pair.waitForMode("primary-only")).primary, primary);
    t.like(await pair.registryRecord(), { mode: "primary-only", durability: "disk" });
    for (let n = 0; n < 3; n += 1) t.true(await isFlushedWhenAnswered(pair, primary, orders));
    await wake(pair, backup);
    t.is((await pair.normal()).primary, primary);
    t.is(await orders.resting(), 4);
  },
);

test.serial(
  "19. A backup whose failover agent does not reach the primary's begins to work alone, and flushes after each message",
  async (t) => {
    const pair = shared.current;
    const orders = new Orders(pair, "claim19");
    const { primary, backup } = await pair.normal();
    await orders.send(2);
    pair.server(primary).signal("SIGSTOP");
    t.is((await pair.waitForMode("backup-only")).primary, backup);
    t.like(await pair.registryRecord(), { mode: "backup-only", durability: "disk" });
    for (let n = 0; n < 3; n += 1) t.true(await isFlushedWhenAnswered(pair, backup, orders));
    // The one that was silent lives, and does not take itself for the primary.
    await wake(pair, primary);
    t.deepEqual(await pair.normal(), { primary: backup, backup: primary });
    t.is(await orders.resting(), 5);
  },
);
