/**
 * Writes a store, a backup of it and what is in them into `testdata/`, under the name of a release: by hand, once for each release that
 * changes how a store is written. `node dist/test/checkpoint/keep-store.js 0.2` (`0.2 timers`: of what has dates), then `npm run format`
 */
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { subjects } from "../../schemas/subjects.ts";
import { sourcePath } from "../helpers/kept-text.ts";
import { copyToLevel } from "../helpers/level-copy.ts";
import { OneServer, service } from "../helpers/one-server.ts";
import {
  type Content,
  contentOf,
  type KeptContent,
  type KeptRequest,
  keptApplication,
  twinlog,
} from "./kept-application.ts";
import { timedApplication } from "./timed-application.ts";

const release = process.argv[2];
if (release === undefined) throw new Error("of which release?");
const folder = sourcePath(`checkpoint/testdata/store-${release}`);
const limits = { cautionMs: 0, flushMs: 100, handlerMs: 60_000 };
const isTimed = process.argv[3] === "timers";

const application = isTimed ? timedApplication() : keptApplication(() => false);
const server = new OneServer({ application, settings: { limits } });
await server.run(2_000);
const requests: KeptRequest[] = [];

async function ask(client: string, id: string, body: { readonly kind: string; readonly name: string }): Promise<void> {
  const { name } = body;
  const bytes = Buffer.from(JSON.stringify({ client, id, body, issuedAt: server.clock.wallMs() }));
  const inbox = `inbox.${requests.length}`;
  server.bus.publish(subjects.request(service, name, client), bytes, undefined, inbox);
  await server.run(20);
  requests.push({ client, id, name, body, reply: server.published(inbox).at(-1) ?? null });
}

const content = () => contentOf(server.life.application.state);

/** Returns what is in the tables on the disk by then. */
async function requestsOfAll(): Promise<Content> {
  const kinds = (kind: string, name: string, note?: string) => ({
    kind,
    name,
    ...(note === undefined ? {} : { note }),
  });
  await ask("alice", "1", kinds("add", "apples", "first"));
  await ask("alice", "2", kinds("add", "pears"));
  await ask("bob", "1", kinds("fail", "apples"));
  await ask("bob", "2", kinds("wait", "plums", "waits"));
  for (let n = 3; n <= 6; n += 1) await ask("alice", String(n), kinds("add", "apples", `note ${n}`));
  await ask("zoë", "ü/1", kinds("add", "apples\u{1f34e}", "Äpfel"));
  await server.run(500);
  // With this one tables are written; what comes then is in the log alone.
  await ask("carol", "1", kinds("fail", "pears"));
  const inTables = content();
  await ask("bob", "3", kinds("add", "pears", "late"));
  await ask("bob", "4", kinds("add", "pears", "later"));
  if (requests.filter(({ reply }) => reply === null).length !== 1) throw new Error("one request is to be under way");
  return inTables;
}

/** One timer has come, one was cancelled, one is in the tables, one in the log alone. */
async function requestsOfTimers(): Promise<Content> {
  const remind = (name: string, inMs: number) => ({ kind: "remind", name, inMs });
  await ask("alice", "1", remind("soon", 50));
  await ask("alice", "2", remind("never", 30_000));
  await ask("alice", "3", remind("in tables", 60_000));
  await server.run(500);
  await ask("alice", "4", { kind: "forget", name: "never" });
  await server.run(500);
  await ask("alice", "5", { kind: "forget", name: "unknown" });
  const inTables = content();
  await ask("alice", "6", remind("in the log", 120_000));
  return inTables;
}

const inTables = await (isTimed ? requestsOfTimers() : requestsOfAll());
const { replica } = server.life;
const kept: KeptContent = {
  registry: server.registry.record,
  requests,
  inTables,
  inAll: content(),
  sequence: replica.committed,
  results: replica.results,
};
rmSync(folder, { recursive: true, force: true });
mkdirSync(folder, { recursive: true });
await copyToLevel(server.store.disk, folder);
rmSync(`${folder}.backup`, { force: true });
const backup = await twinlog(["backup", `${folder}.backup`, "--data", folder]);
if (backup.status !== 0) throw new Error(backup.stderr);
// What is no part of what was stored: whose the lock is, and what LevelDB says of itself.
rmSync(join(folder, "store", "locked"), { recursive: true });
rmSync(join(folder, "store", "store-1", "LOG"));
writeFileSync(`${folder}.json`, `${JSON.stringify(kept, null, 2)}\n`);
process.stdout.write(`${server.store.disk.entries().length} entries, ${requests.length} requests\n`);
process.exit(0);
