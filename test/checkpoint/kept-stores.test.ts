/**
 * Stores and backups that releases wrote, kept as they wrote them: this release opens them, finds every row, item and request, and goes
 * on with what was begun. A file in `testdata/` is never written anew; a format that changes gets a release of its own there (`keep-store.ts`).
 */
import { cp, readFile } from "node:fs/promises";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { LevelStore } from "../../actors/world/store-level.ts";
import { readState } from "../../deploy/backups/read-state.ts";
import { everything, metaKey, readMeta } from "../../machines/checkpoint/layout.ts";
import { RegistryRecord } from "../../schemas/registry.ts";
import { subjects } from "../../schemas/subjects.ts";
import { clock } from "../helpers/checkpoints.ts";
import { sourcePath } from "../helpers/kept-text.ts";
import { MemoryDisk } from "../helpers/memory-store.ts";
import { MemoryRegistry, OneServer, service } from "../helpers/one-server.ts";
import { temporaryDirectory } from "../helpers/temporary-directory.ts";
import { contentOf, type KeptContent, type KeptRequest, keptApplication, twinlog } from "./kept-application.ts";
import { timedApplication } from "./timed-application.ts";

const settings = { limits: { cautionMs: 0, handlerMs: 60_000 } };
const kept = (name: string) => sourcePath(`checkpoint/testdata/store-${name}`);

async function contentKept(release: string): Promise<KeptContent> {
  return JSON.parse(await readFile(`${kept(release)}.json`, "utf8")) as KeptContent;
}

/** The data directory, where it may be written to. */
async function copyOf(t: ExecutionContext, release: string): Promise<string> {
  const data = join(await temporaryDirectory(t), "alpha");
  await cp(kept(release), data, { recursive: true });
  return data;
}

/** What LevelDB has, on a disk in memory, on which a server may be started. */
async function diskOf(data: string): Promise<MemoryDisk> {
  const store = new LevelStore(join(data, "store"), clock);
  await store.open();
  const disk = new MemoryDisk();
  for await (const [key, value] of store.entries(everything))
    disk.base.set(Buffer.from(key).toString("latin1"), [Buffer.from(key), Buffer.from(value)]);
  await store.release();
  return disk;
}

async function ask(server: OneServer, { client, id, name, body }: Omit<KeptRequest, "reply">): Promise<string> {
  const inbox = `inbox.${Buffer.from(`${client} ${id}`).toString("hex")}`;
  const bytes = Buffer.from(JSON.stringify({ client, id, body }));
  server.bus.publish(subjects.request(service, name, client), bytes, undefined, inbox);
  await server.run(50);
  return server.published(inbox).at(-1) ?? "nothing";
}

test("a store of release 0.1 opens: every row and item is there, and each request gets what it got", async (t) => {
  const content = await contentKept("0.1");
  const disk = await diskOf(await copyOf(t, "0.1"));
  const registry = new MemoryRegistry("alpha");
  registry.record = RegistryRecord.parse(content.registry);
  const application = keptApplication(() => true);
  const server = new OneServer({ application, disk, registry, settings, incarnation: "alpha-2" });
  await server.run(2_000);
  const { replica, application: running } = server.life;
  t.is(replica.state, "hot.alone");
  t.deepEqual(server.errors, []);
  // What was begun has gone on by now: it pushed one item more.
  const changes = [...(content.inAll.queues["changes"] ?? []).slice(1), { name: "after", value: 1 }];
  t.deepEqual(contentOf(running.state), { tables: content.inAll.tables, queues: { changes } });
  t.is(replica.results, content.results + 1);
  for (const request of content.requests) {
    const reply = await ask(server, request);
    if (request.reply !== null) t.is(reply, request.reply);
    else t.like(JSON.parse(reply), { ok: true, result: { value: -1, note: "waits" } });
  }
  const body = { kind: "add", name: "pears" };
  const next = JSON.parse(await ask(server, { client: "dora", id: "1", name: "pears", body }));
  t.like(next, { ok: true, result: { value: 4, note: "none" } });
  t.true(next.sequence > content.sequence);
});

test("a store of release 0.2 opens: what has a date comes when it is due, once, and what was cancelled does not (rule 20)", async (t) => {
  const content = await contentKept("0.2");
  const disk = await diskOf(await copyOf(t, "0.2"));
  const registry = new MemoryRegistry("alpha");
  registry.record = RegistryRecord.parse(content.registry);
  const server = new OneServer({
    application: timedApplication(),
    disk,
    registry,
    settings,
    incarnation: "alpha-2",
  });
  await server.run(2_000);
  t.is(server.life.replica.state, "hot.alone");
  const rings = () => contentOf(server.life.application.state).tables["rings"] ?? {};
  t.deepEqual(contentOf(server.life.application.state), content.inAll);
  for (const request of content.requests) t.is(await ask(server, request), request.reply ?? "");
  await server.run(70_000);
  t.deepEqual(Object.keys(rings()).sort(), ["in tables", "soon"]);
  await server.run(70_000);
  t.deepEqual(Object.keys(rings()).sort(), ["in tables", "in the log", "soon"]);
  for (const [name, ring] of Object.entries(rings())) {
    const { times, dueMs, atMs } = ring as { times: number; dueMs: number; atMs: number };
    t.is(times, 1, name);
    t.true(atMs >= dueMs && atMs < dueMs + 3_000, name);
  }
  t.deepEqual(contentOf(server.life.application.state).tables["$timers"], {});
});

const stores = [
  { release: "0.1", application: keptApplication(() => true) },
  { release: "0.2", application: timedApplication() },
];
for (const { release, application } of stores) {
  test(`a backup of release ${release} is sound, is restored, and holds every row and item`, async (t) => {
    const { inTables, sequence } = await contentKept(release);
    const file = `${kept(release)}.backup`;
    const verified = await twinlog(["verify", file]);
    t.is(verified.status, 0, verified.stderr);
    const data = join(await temporaryDirectory(t), "alpha");
    const restored = await twinlog(["restore", file, "--data", data, "--server", "alpha"]);
    t.is(restored.status, 0, restored.stderr);
    for (const source of [file, data, await copyOf(t, release)]) {
      const { state, sequence: found } = await readState(source, application, clock);
      t.true(found > 0 && found <= sequence);
      t.deepEqual(contentOf(state), inTables, source);
      const inspected = await twinlog(["inspect", data, "--verify"]);
      t.is(inspected.status, 0, inspected.stderr);
    }
    const disk = await diskOf(data);
    const meta = disk.base.get(Buffer.from(metaKey).toString("latin1"))?.[1];
    t.like(readMeta(meta ?? Buffer.alloc(0)), { history: "h1", server: "alpha", restored: { sequence } });
  });
}
