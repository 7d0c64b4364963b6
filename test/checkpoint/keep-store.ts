/**
 * Writes a store, a backup of it and what is in them into `testdata/`, under the name of a release: by hand, once for each release that
 * changes how a store is written. `node dist/test/checkpoint/keep-store.js 0.2`, then `npm run format`
 */
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { subjects } from "../../schemas/subjects.ts";
import { sourcePath } from "../helpers/kept-text.ts";
import { copyToLevel } from "../helpers/level-copy.ts";
import { OneServer, service } from "../helpers/one-server.ts";
import { contentOf, type KeptContent, type KeptRequest, keptApplication, twinlog } from "./kept-application.ts";

const release = process.argv[2];
if (release === undefined) throw new Error("of which release?");
const folder = sourcePath(`checkpoint/testdata/store-${release}`);

const application = keptApplication(() => false);
const server = new OneServer({ application, settings: { limits: { cautionMs: 0, flushMs: 100, handlerMs: 60_000 } } });
await server.run(2_000);
const requests: KeptRequest[] = [];

async function ask(client: string, id: string, kind: string, name: string, note?: string): Promise<void> {
  const body = { kind, name, ...(note === undefined ? {} : { note }) };
  const bytes = Buffer.from(JSON.stringify({ client, id, body, issuedAt: server.clock.wallMs() }));
  const inbox = `inbox.${requests.length}`;
  server.bus.publish(subjects.request(service, name, client), bytes, undefined, inbox);
  await server.run(20);
  requests.push({ client, id, name, body, reply: server.published(inbox).at(-1) ?? null });
}

await ask("alice", "1", "add", "apples", "first");
await ask("alice", "2", "add", "pears");
await ask("bob", "1", "fail", "apples");
await ask("bob", "2", "wait", "plums", "waits");
for (let n = 3; n <= 6; n += 1) await ask("alice", String(n), "add", "apples", `note ${n}`);
await ask("zoë", "ü/1", "add", "apples\u{1f34e}", "Äpfel");
await server.run(500);
// With this one tables are written; what comes then is in the log alone.
await ask("carol", "1", "fail", "pears");
const inTables = contentOf(server.life.application.state);
await ask("bob", "3", "add", "pears", "late");
await ask("bob", "4", "add", "pears", "later");

if (requests.filter(({ reply }) => reply === null).length !== 1) throw new Error("one request is to be under way");
const { replica } = server.life;
const content: KeptContent = {
  registry: server.registry.record,
  requests,
  inTables,
  inAll: contentOf(server.life.application.state),
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
writeFileSync(`${folder}.json`, `${JSON.stringify(content, null, 2)}\n`);
process.stdout.write(`${server.store.disk.entries().length} entries, ${requests.length} requests\n`);
process.exit(0);
