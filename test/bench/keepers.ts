/**
 * Where a responder by hand keeps its replies: all of one turn in one pipeline. It returns when the store has acknowledged all of
 * them as its settings promise; turns may overlap.
 */
import { createClient } from "@redis/client";
import { connect, StorageType } from "nats";
import { Pool } from "pg";

export interface Kept {
  /** `client/id`: what a duplicate is known by. */
  readonly key: string;
  readonly reply: Buffer;
}

export interface Keeper {
  keep(replies: readonly Kept[]): Promise<void>;
}

export const replyTable = "replies";
const jetStreamName = "REPLIES";
/** Connections to PostgreSQL: so many turns are under way at once. */
const poolSize = 8;

/** One `HSET` of all, and `WAIT 1`: the replica has them in memory, or on its disk where it appends each to its file. */
async function openRedis(url: string): Promise<Keeper> {
  const client = createClient({ url });
  client.on("error", (error) => process.stderr.write(`redis: ${String(error)}\n`));
  await client.connect();
  return {
    async keep(replies) {
      const fields = replies.flatMap(({ key, reply }) => [key, reply]);
      const [, replicas] = await Promise.all([
        client.sendCommand(["HSET", replyTable, ...fields]),
        client.sendCommand(["WAIT", "1", "0"]),
      ]);
      if (Number(replicas) < 1) throw new Error("no replica has it");
    },
  };
}

/** A message each, de-duplicated by its id, into one stream on file. */
async function openJetStream(url: string, replicas: number): Promise<Keeper> {
  const connection = await connect({ servers: url });
  const manager = await connection.jetstreamManager();
  await manager.streams.add({
    name: jetStreamName,
    subjects: [replyTable],
    num_replicas: replicas,
    storage: StorageType.File,
  });
  const stream = connection.jetstream();
  return {
    async keep(replies) {
      await Promise.all(replies.map(({ key, reply }) => stream.publish(replyTable, reply, { msgID: key })));
    },
  };
}

/** One `INSERT` of all rows, with a unique key; the standby has written them (`remote_write`). */
async function openPostgres(url: string): Promise<Keeper> {
  const pool = new Pool({ connectionString: url, max: poolSize });
  await pool.query(`create table if not exists ${replyTable} (key text primary key, reply bytea not null)`);
  const insert = `insert into ${replyTable} select * from unnest($1::text[], $2::bytea[]) on conflict do nothing`;
  return {
    async keep(replies) {
      await pool.query(insert, [replies.map(({ key }) => key), replies.map(({ reply }) => reply)]);
    },
  };
}

const keepers: Readonly<Record<string, (url: string) => Promise<Keeper>>> = {
  redis: openRedis,
  "jetstream-1": (url) => openJetStream(url, 1),
  "jetstream-3": (url) => openJetStream(url, 3),
  postgres: openPostgres,
};

export async function openKeeper(name: string, url: string): Promise<Keeper> {
  const open = keepers[name];
  if (open === undefined) throw new Error(`no keeper ${name}: there are ${Object.keys(keepers).join(", ")}`);
  return await open(url);
}
