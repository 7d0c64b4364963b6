/**
 * A stranger speaks to a pair of real servers in each other's name, over NATS and over plain TCP, while clients are served: what
 * he says is no message, out of range, or no records. Nobody ends, nothing acknowledged is lost, and the count is told.
 */
import { execFile } from "node:child_process";
import { connect as connectTcp } from "node:net";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import test, { type ExecutionContext } from "ava";
import { exchange } from "../../actors/applications/exchange/exchange.ts";
import { encodeFrame } from "../../actors/world/frames.ts";
import { greetingOf } from "../../actors/world/greeting.ts";
import { Standing } from "../../schemas/standing.ts";
import { subjects } from "../../schemas/subjects.ts";
import {
  failsafeFrame,
  type KnownService,
  type MisfitFrame,
  misfitFrames,
  misfitMirrors,
} from "../helpers/misfit-frames.ts";
import { type Pair, startPair } from "../helpers/pair/pair.ts";
import { until } from "../helpers/until.ts";

const order = (name: string) =>
  ({ type: "limit", symbol: "BTCUSD", order: name, side: "buy", price: 100, quantity: 1 }) as const;

const standingOf = async (pair: Pair, server: string) => Standing.parse(await pair.report(server, "failover"));
const droppedBy = async (pair: Pair, server: string) => Number((await pair.report(server, "replication")).unfit);

/** What anybody who may ask on the bus knows. */
async function know(pair: Pair, from: string, to: string): Promise<KnownService & { readonly end: Standing }> {
  const [speaker, hearer] = [await standingOf(pair, from), await standingOf(pair, to)];
  const { epochSeen: epoch, history, last, record } = speaker;
  const { schema = "" } = record ?? {};
  return { service: pair.service, from: speaker, to: hearer, epoch, history, schema, last, end: hearer };
}

async function untilDropped(pair: Pair, server: string, count: number): Promise<void> {
  await until(async () => (await droppedBy(pair, server)) >= count, {
    withinMs: 60_000,
    everyMs: 50,
    waitedFor: `${server} to have dropped ${count} messages`,
  });
}

async function overNats(pair: Pair, from: string, to: string, frames: readonly MisfitFrame[]): Promise<void> {
  const subject = subjects.actor(pair.service, to, "replication");
  for (const [, frame] of frames) pair.raw.publish(subject, failsafeFrame(from, frame));
  await pair.raw.flush();
}

/**
 * Takes the place of the server that dials, as an older program that does not say which process it is. All at once: that server
 * dials again in a moment, and what was not read by then never is.
 */
function dial(t: ExecutionContext, pair: Pair, from: string, to: string, frames: readonly MisfitFrame[]): void {
  const port = pair.settings.get(to)?.servers.find(({ name }) => name === to)?.port ?? 0;
  const socket = connectTcp(port, "127.0.0.1");
  t.teardown(() => socket.destroy());
  socket.on("error", () => {});
  const greeting = greetingOf({ service: pair.service, server: from, to });
  socket.write(Buffer.concat([greeting, ...frames.map(([, frame]) => frame)].map((one) => encodeFrame([one]))));
}

test.serial("frames that do not fit end nobody and cost nothing, over NATS and over TCP (situation 137)", async (t) => {
  const pair = await startPair(t, { proxied: true });
  const client = await pair.client({ client: "alice", application: exchange });
  await client.request(order("first"));
  await pair.waitFor("alpha", ({ links }) => links.main === "up");
  const identity = async () => {
    const statuses = [await pair.newStatus("alpha"), await pair.newStatus("beta")];
    return statuses.map(({ incarnation, role, state, epoch, pid }) => [incarnation, role, state, epoch, pid]);
  };
  const before = await identity();
  const acknowledged = ["first"];
  const stranger = { isOver: false };
  const serve = async () => {
    for (let at = 1; !stranger.isOver; at += 1) {
      await client.request(order(`order-${at}`));
      acknowledged.push(`order-${at}`);
    }
  };
  const serving = serve();
  serving.catch(() => {});

  for (const [from, to] of [
    ["alpha", "beta"],
    ["beta", "alpha"],
  ] as const) {
    const known = await know(pair, from, to);
    const frames = misfitFrames(known);
    const count = await droppedBy(pair, to);
    await overNats(pair, from, to, frames);
    await untilDropped(pair, to, count + frames.length);
    // Alpha dials beta, through the proxy.
    for (const [, frame] of frames) pair.mainLink.inject(from === "alpha" ? "forth" : "back", encodeFrame([frame]));
    await untilDropped(pair, to, count + 2 * frames.length);
  }
  const few = misfitFrames(await know(pair, "alpha", "beta")).filter(([, { length }]) => length < 1_000);
  const count = await droppedBy(pair, "beta");
  dial(t, pair, "alpha", "beta", few.slice(0, 40));
  await untilDropped(pair, "beta", count + 40);
  stranger.isOver = true;
  await serving;

  // In the very session that stands, at the very end of the log.
  const end = await know(pair, "alpha", "beta");
  const dropped = await droppedBy(pair, "beta");
  const sessions = Array.from({ length: 12 }, (_, at) => `${end.to.incarnation}.s${at + 1}`);
  const mirrors = sessions.flatMap((session) =>
    misfitMirrors(end, session, { sequence: end.end.last, hash: end.end.hash }),
  );
  await overNats(pair, "alpha", "beta", mirrors);
  await untilDropped(pair, "beta", dropped + 5);

  await client.request(order("last"));
  acknowledged.push("last");
  t.deepEqual(await identity(), before);
  for (const server of ["alpha", "beta"]) {
    const { troubles } = await pair.newStatus(server);
    const { message = "" } = troubles.find(({ code }) => code === "messages.unfit") ?? {};
    t.regex(
      message,
      /do not fit were dropped \(\d{3,}\), the last one in (alpha|beta)'s name, over (NATS|the main link)/,
    );
  }
  await pair.server("alpha").kill();
  const read: string[] = [];
  for await (const event of client.results({ from: 1, follow: false }))
    if (event.type === "result" && event.reply.ok) read.push((event.reply.result as { order: string }).order);
  t.deepEqual(read, acknowledged, "what was acknowledged is in the log of the one that is left");
});

const program = fileURLToPath(new URL("../../deploy/twinlog.js", import.meta.url));
const twinlog = promisify(execFile);

test.serial("a registry record out of range is not seen by anybody, and an operator writes over it", async (t) => {
  const pair = await startPair(t);
  const client = await pair.client({ client: "alice", application: exchange });
  await client.request(order("before"));
  const record = await pair.registryRecord();
  const key = `$KV.twinlog.${pair.service}`;
  await pair.raw.request(key, JSON.stringify({ ...record, epoch: 9e15, writeId: "stranger" }), { timeout: 5_000 });
  for (const server of ["alpha", "beta"])
    await pair.waitFor(server, ({ troubles }) => troubles.some(({ message }) => message.includes("init --restore")), {
      waitedFor: "what helps",
    });
  t.is((await client.request(order("meanwhile"))).result.status, "resting");
  t.deepEqual(
    [await standingOf(pair, "alpha"), await standingOf(pair, "beta")].map(({ epochSeen }) => epochSeen),
    [record.epoch, record.epoch],
  );
  const words = ["init", "--config", pair.server("alpha").configFile, "--restore"];
  const { stdout } = await twinlog(process.execPath, [program, ...words]);
  t.regex(stdout, new RegExp(`restored as epoch ${record.epoch + 2}, with the configuration of epoch ${record.epoch}`));
  await pair.waitFor("beta", ({ epoch }) => epoch >= record.epoch + 2);
  t.deepEqual((await pair.normal()).primary, "alpha");
  await pair.server("alpha").kill();
  t.is((await client.request(order("after"))).result.status, "resting");
});
