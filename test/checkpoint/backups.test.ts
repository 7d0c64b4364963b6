/** A backup as a running server gives it: what was committed, piece by piece, and what it refuses. */
import test, { type ExecutionContext } from "ava";
import { z } from "zod";
import { defineApplication } from "../../actors/application/define.ts";
import { BackupCheck } from "../../machines/checkpoint/backup-check.ts";
import { isEndChunk } from "../../machines/checkpoint/snapshot-codec.ts";
import { KeyedHash } from "../../machines/codec/keyed-hash.ts";
import { BackupReply, backupVerb } from "../../schemas/backup.ts";
import { subjects } from "../../schemas/subjects.ts";
import { freshAgent, put, TestLog } from "../helpers/checkpoints.ts";
import { bytesOf } from "../helpers/hand-world.ts";
import { MemoryStore } from "../helpers/memory-store.ts";
import { OneServer, service } from "../helpers/one-server.ts";

const notes = defineApplication({
  name: "notes",
  request: z.strictObject({ note: z.string() }),
  result: z.strictObject({}),
  key: () => "k",
  tables: { notes: z.string() },
  handle: ({ note }, { id, transaction }) =>
    transaction("note", (tx) => {
      tx.put("notes", id, note);
      return {};
    }),
});

const check = () => new BackupCheck(new KeyedHash("a secret"));
let questions = 0;

/** What the server answers, as bytes; undefined: nothing. */
async function ask(server: OneServer, said: object): Promise<Buffer | undefined> {
  questions += 1;
  const reply = `_INBOX.operator.olga.${questions}`;
  server.bus.publish(subjects.control(service, "alpha", backupVerb), bytesOf(said), undefined, reply);
  await server.run(300);
  const [answer, more] = server.bus.published.filter(({ subject }) => subject === reply);
  if (more !== undefined) throw new Error("one question, two answers");
  return answer === undefined ? undefined : Buffer.from(answer.data);
}

async function refusal(t: ExecutionContext, server: OneServer, said: object): Promise<string> {
  const reply = BackupReply.parse(JSON.parse(String(await ask(server, said))));
  t.false(reply.ok);
  return reply.message;
}

async function begun(server: OneServer): Promise<string> {
  return BackupReply.parse(JSON.parse(String(await ask(server, { incarnation: "alpha-1" })))).backup ?? "none";
}

async function serving(count: number): Promise<OneServer> {
  const server = new OneServer({ application: notes });
  await server.run(2_000);
  for (let at = 1; at <= count; at += 1)
    server.bus.publish(
      subjects.request(service, "k", "alice"),
      bytesOf({ client: "alice", id: `${at}`, body: { note: "n".repeat(200) } }),
    );
  await server.run(500);
  return server;
}

test("a backup is all that was committed when it was begun, in pieces that the broker takes; a piece that was lost is given again", async (t) => {
  const server = await serving(40);
  server.bus.limits = { ...server.bus.limits, payloadBytes: 1_500 };
  const backup = await begun(server);
  server.bus.publish(
    subjects.request(service, "k", "alice"),
    bytesOf({ client: "alice", id: "late", body: { note: "late" } }),
  );
  const found = check();
  for (let piece = 1; !found.isComplete; piece += 1) {
    t.deepEqual(server.backups, [], "it is none before its last piece was given");
    const bytes = (await ask(server, { backup, piece })) ?? Buffer.alloc(0);
    t.true(bytes.length <= 1_500);
    t.deepEqual(await ask(server, { backup, piece }), bytes);
    t.is(isEndChunk(bytes), piece > 1 && bytes.length === 60);
    found.take(bytes);
  }
  const { end, counts, meta } = found.finish();
  t.like(meta, { service, server: "alpha", committed: end.sequence });
  const count = counts.get(0) ?? 0;
  t.true(count === 40 || count === 41, "an image is as of the moment at which it is first read, in this world");
  t.is(end.sequence, count);
  t.like(server.backups[0], { sequence: 40 });
  t.true(Math.abs((server.backups[0]?.atMs ?? 0) - server.clock.wallMs()) < 60_000);
  t.regex(await refusal(t, server, { backup, piece: 1 }), /piece 1 was asked for after piece \d+: begin anew/);
});

test("one backup is read at a time, and one that nobody reads is given up", async (t) => {
  const server = await serving(3);
  const first = await begun(server);
  t.true(((await ask(server, { backup: first, piece: 1 })) ?? []).length > 0);
  t.regex(await refusal(t, server, {}), /another backup is being read from this server/);
  await server.run(16_000);
  t.regex(server.warnings.at(-1) ?? "", /a backup was given up: nobody reads it/);
  t.regex(await refusal(t, server, { backup: first, piece: 2 }), /this backup was given up: begin anew/);
  const second = await begun(server);
  t.not(second, "none");
  t.not(second, first);
  t.is(await ask(server, { backup: first, isOver: true }), undefined, "that was another one");
  t.regex(await refusal(t, server, {}), /another backup is being read from this server/);
  t.is(await ask(server, { backup: second, isOver: true }), undefined, "its reader says so himself");
  t.not(await begun(server), "none");
});

test("what is no question, is for another incarnation, or comes to a server that is no member begins nothing", async (t) => {
  const server = await serving(1);
  t.regex(await refusal(t, server, { piece: "one" }), /does not fit: nothing was done/);
  t.regex(await refusal(t, server, { incarnation: "alpha-9" }), /alpha-9 was meant/);
  server.life.stop();
  await server.run(10);
  t.is(await ask(server, {}), undefined, "it is gone");
  const other = new OneServer({ application: notes, server: "beta", registry: server.registry });
  await other.run(2_000);
  other.bus.publish(subjects.control(service, "beta", backupVerb), bytesOf({}), undefined, "_INBOX.operator.olga.b");
  await other.run(100);
  t.regex(other.published("_INBOX.operator.olga.b").join(), /this server is no member now: ask another one/);
});

test("of the log a backup has what is committed by the store's own word; a snapshot for a server has all of it", async (t) => {
  const log = new TestLog();
  const { checkpoint } = await freshAgent(new MemoryStore(), log);
  log.append(Array.from({ length: 40 }, (_, at) => [put(`k${at}`, "1")]));
  checkpoint.sync(40);
  await checkpoint.flush({ committed: 30, retainFrom: 1 });
  const endOf = async (sender: ReturnType<typeof checkpoint.sendBackup>) => {
    const found = check();
    for (let chunk = await sender.next(); chunk !== null; chunk = await sender.next()) found.take(chunk);
    const { end, counts } = found.finish();
    return { end, rows: counts.get(0) };
  };
  t.deepEqual(await endOf(checkpoint.sendBackup(500)), {
    end: { sequence: 30, hash: log.hashAt(30), epoch: 1 },
    rows: 30,
  });
  t.is((await endOf(checkpoint.sendSnapshot(500))).end.sequence, 40);
});
