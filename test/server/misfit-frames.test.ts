/** Frames that no server sends, against one server: none ends it or changes anything, each is counted, and the log does not fill. */
import test from "ava";
import type { Troubles } from "../../actors/operator/troubles.ts";
import { counter } from "../../deploy/examples/counter/counter.ts";
import { encodeMessage } from "../../machines/codec/message.ts";
import { InvariantError } from "../../machines/replica/invariant-error.ts";
import { maxEpoch } from "../../schemas/ranges.ts";
import { subjects } from "../../schemas/subjects.ts";
import { fittingMessages, type KnownService, misfitFrames } from "../helpers/misfit-frames.ts";
import { OneServer, service } from "../helpers/one-server.ts";

type Trouble = Troubles["open"][number];

async function alone(isProven = true): Promise<{ server: OneServer; known: KnownService }> {
  const server = new OneServer({ application: counter, isProven });
  await server.run(2_000);
  const { replica } = server.life;
  const known = {
    service,
    from: { server: "beta", incarnation: "beta-1" },
    to: { server: "alpha", incarnation: replica.self },
    epoch: replica.epoch,
    history: replica.history,
    schema: replica.options.schema,
    last: replica.log.last,
  };
  return { server, known };
}

const unfitOf = ({ bus }: OneServer): Trouble | undefined => {
  const last = bus.published.findLast(({ subject }) => subject === subjects.status(service, "alpha"));
  const { troubles } = JSON.parse(Buffer.from(last?.data ?? []).toString()) as { troubles: Trouble[] };
  return troubles.find(({ code }) => code === "messages.unfit");
};

test("frames that do not fit are dropped, counted and told, and change nothing (situation 137)", async (t) => {
  const { server, known } = await alone();
  const { replica } = server.life;
  const before = [
    replica.state,
    replica.epoch,
    replica.epochSeen,
    replica.log.last,
    server.life.checkpoint.meta?.epoch,
  ];
  const frames = misfitFrames(known);
  server.warnings.length = 0;
  for (const link of ["main", "failsafe"] as const)
    for (const [, frame] of frames) server.life.onFrame(link, "beta", frame);
  await server.run(1_000);
  t.is(server.end, null);
  t.deepEqual(
    [replica.state, replica.epoch, replica.epochSeen, replica.log.last, server.life.checkpoint.meta?.epoch],
    before,
  );
  const { message = "" } = unfitOf(server) ?? {};
  t.true(message.includes(`(${2 * frames.length})`), message);
  const lines = server.warnings.filter((line) => line.includes("does not fit"));
  t.true(lines.length >= 20 && lines.length < 60, `${lines.length} lines of ${2 * frames.length} frames`);
  for (const [, frame] of frames) server.life.onFrame("main", "beta", frame);
  t.is(server.warnings.filter((line) => line.includes("does not fit")).length, lines.length, "once a minute");
  await server.run(61_000);
  t.is(unfitOf(server), undefined, "over");
});

test("messages that fit, and are of nobody's session, are none of these", async (t) => {
  const { server, known } = await alone();
  for (const message of fittingMessages(known)) server.hear("beta", message);
  await server.run(500);
  t.is(server.end, null);
  t.is(unfitOf(server), undefined);
});

test("a fault of this server's own in a message that fits ends the life, and its stack is in the log", async (t) => {
  const { server, known } = await alone();
  server.life.replica.onMessage = () => (null as unknown as { read(): string }).read();
  const [heartbeat] = fittingMessages(known);
  if (heartbeat !== undefined) server.life.onFrame("failsafe", "beta", encodeMessage(heartbeat));
  await server.run(100);
  t.is(server.end?.reason, "failed");
  if (server.end?.reason === "failed") t.true(server.end.error instanceof InvariantError);
  const [{ fields, line } = { fields: {}, line: "" }] = server.errors;
  t.is(line, "an error ends this life");
  t.regex(String(fields.error), /a heartbeat of beta was not handled whole: .*null/);
  t.regex(String(fields.stack), /TypeError[\s\S]*misfit-frames\.test/);
});

for (const isProven of [true, false])
  test(`a record that is told is ${isProven ? "believed" : "a reason to ask the registry, and no more"} where the links prove ${isProven ? "who says it" : "nothing"}`, async (t) => {
    const { server, known } = await alone(isProven);
    const { record, reads } = server.registry;
    const heartbeat = fittingMessages(known).find((message) => message.type === "heartbeat");
    if (heartbeat === undefined) return t.fail();
    const won = { ...record, epoch: record.epoch + 5, writeId: "beta's" };
    server.registry.read = async () => {
      server.registry.reads += 1;
      return { outcome: "found", record, revision: server.registry.revision };
    };
    // Its sender says nothing else of that epoch.
    server.hear("beta", { ...heartbeat, epochSeen: record.epoch, record: won, revision: 99 });
    t.is(server.life.replica.epochSeen, isProven ? won.epoch : record.epoch);
    await server.run(20);
    t.true(isProven || server.registry.reads > reads, "the registry is asked at once");
    t.is(server.life.replica.epochSeen, isProven ? won.epoch : record.epoch);
    return undefined;
  });

test("an epoch that no record can have is not seen, told or kept", async (t) => {
  const { server, known } = await alone();
  const [heartbeat] = fittingMessages(known);
  for (const epoch of [9e15, maxEpoch + 1])
    for (const change of [
      { epochSeen: epoch },
      { lastEpoch: epoch },
      { record: { ...server.registry.record, epoch }, revision: 99 },
    ])
      server.life.onFrame("failsafe", "beta", encodeMessage({ ...heartbeat, ...change } as never));
  await server.run(1_000);
  t.is(server.life.replica.epochSeen, server.registry.record.epoch);
  t.is(server.life.checkpoint.meta?.record?.epoch, server.registry.record.epoch);
});
