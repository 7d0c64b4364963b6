/** What was forgotten of whom, over a restart: on the disk, and on one that a program without floors of clients wrote (rule 12). */

import test from "ava";
import { z } from "zod";
import { defineApplication } from "../../actors/application/define.ts";
import { metaKey, metaValue } from "../../machines/checkpoint/layout.ts";
import { shippedRules } from "../../machines/replica/rules.ts";
import { CheckpointMeta } from "../../schemas/checkpoint.ts";
import { subjects } from "../../schemas/subjects.ts";
import { inside } from "../helpers/inside.ts";
import type { MemoryDisk } from "../helpers/memory-store.ts";
import { type MemoryRegistry, OneServer, service } from "../helpers/one-server.ts";

const adder = defineApplication({
  name: "adder",
  request: z.strictObject({ add: z.int() }),
  result: z.object({ value: z.int() }),
  key: () => "k",
  tables: { counters: z.object({ value: z.int() }) },
  handle: ({ add }, { transaction }) => transaction("add", () => ({ value: add })),
});

const settings = { limits: { cautionMs: 0, rememberReplies: 10 } };

async function ask(server: OneServer, client: string, id: string, issuedAt?: number): Promise<string> {
  const envelope = { client, id, body: { add: 1 }, ...(issuedAt === undefined ? {} : { issuedAt }) };
  const subject = subjects.request(service, "k", client);
  server.bus.publish(subject, Buffer.from(JSON.stringify(envelope)), undefined, `inbox.${client}.${id}`);
  await server.run(20);
  const reply = JSON.parse(server.published(`inbox.${client}.${id}`).at(-1) ?? "{}");
  return reply.ok === true ? "ok" : (reply.error?.code ?? "nothing");
}

/** One client is fast, and what it did is forgotten and on the disk. */
async function firstLife(): Promise<{ disk: MemoryDisk; registry: MemoryRegistry; nowMs: number; fastMs: number }> {
  const server = new OneServer({ application: adder, settings });
  await server.run(2_000);
  const nowMs = server.clock.wallMs();
  const fastMs = nowMs + 540_000;
  await ask(server, "fast", "1", fastMs);
  await ask(server, "unstamped", "1");
  for (let number = 1; number <= 20; number += 1) await ask(server, "alice", `r${number}`, nowMs + number);
  await server.run(1_000);
  const { disk } = server.store;
  disk.isOpen = false;
  return { disk, registry: server.registry, nowMs, fastMs };
}

async function nextLife(disk: MemoryDisk, registry: MemoryRegistry): Promise<OneServer> {
  const next = new OneServer({ application: adder, settings, disk, registry, incarnation: "alpha-2" });
  await next.run(2_000);
  return next;
}

test("rule 12: floors of clients outlive a restart: what was forgotten is not done again, and others go on", async (t) => {
  const { disk, registry, nowMs, fastMs } = await firstLife();
  const next = await nextLife(disk, registry);
  const { floors } = inside(next.life.replica).core.applied.requests.done;
  t.is(floors.commonMs, -1);
  t.is(floors.floorFor("fast", shippedRules), fastMs);
  t.true(floors.floorFor("alice", shippedRules) > nowMs);
  t.is(floors.floorFor("unstamped", shippedRules), -1);
  t.is(await ask(next, "fast", "1", fastMs), "EXPIRED");
  t.is(await ask(next, "alice", "r1", nowMs + 1), "EXPIRED");
  t.is(await ask(next, "alice", "later", nowMs + 21), "ok");
  t.is(await ask(next, "bob", "1", nowMs), "ok");
});

test("rule 12: the one floor of a disk that an older program wrote is everybody's, and an older program finds one that holds for everybody", async (t) => {
  const { disk, registry, nowMs, fastMs } = await firstLife();
  let written: CheckpointMeta | undefined;
  const old = disk.edit((entries) => {
    const key = Buffer.from(metaKey).toString("latin1");
    const [, value] = entries.get(key) ?? [metaKey, new Uint8Array(0)];
    const { floors, ...meta } = CheckpointMeta.parse(JSON.parse(Buffer.from(value.subarray(5)).toString()));
    written = { ...meta, floors };
    entries.set(key, [metaKey, metaValue(meta)]);
  });
  t.is(written?.floorMs, fastMs, "as it always was: the highest that was forgotten");
  const next = await nextLife(old, registry);
  t.is(await ask(next, "bob", "1", nowMs + 1_000), "EXPIRED");
  t.is(await ask(next, "bob", "2", fastMs + 1), "ok");
});
