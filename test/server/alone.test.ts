/** A server that is alone: what a query may say and when, and what becomes of results that it could not publish. */

import test from "ava";
import { z } from "zod";
import { defineApplication } from "../../actors/application/define.ts";
import { subjects } from "../../schemas/subjects.ts";
import { inside } from "../helpers/inside.ts";
import { OneServer, service } from "../helpers/one-server.ts";

/** Its query throws, and says in the error what it saw. */
const tattler = defineApplication({
  name: "tattler",
  request: z.strictObject({ add: z.int() }),
  result: z.object({ value: z.int() }),
  key: () => "k",
  tables: { counters: z.object({ value: z.int() }) },
  handle: ({ add }, { transaction }) =>
    transaction("add", (tx) => {
      const value = (tx.get("counters", "c")?.value ?? 0) + add;
      tx.put("counters", "c", { value });
      return { value };
    }),
  queries: {
    value: {
      body: z.strictObject({}),
      answer: (_body, state) => {
        throw new Error(`the value is ${state.get("counters", "c")?.value ?? 0}`);
      },
    },
  },
});

const quiet = { limits: { cautionMs: 0, rememberReplies: 10 } };

function request(server: OneServer, id: string, add: number): void {
  const envelope = { client: "alice", id, body: { add } };
  server.bus.publish(
    subjects.request(service, "k", "alice"),
    Buffer.from(JSON.stringify(envelope)),
    undefined,
    "inbox",
  );
}

/** A door that stays shut until it is opened. */
function gate(): { promise: Promise<void>; open(): void } {
  let open = () => {};
  const promise = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { promise, open };
}

test("rule 5: an error of a query says nothing of what is not committed", async (t) => {
  const server = new OneServer({ application: tattler, settings: quiet });
  await server.run(2_000);
  t.is(server.life.replica.state, "hot.alone");
  const disk = gate();
  server.store.gate = disk.promise;
  request(server, "r1", 7);
  await server.run(5);
  server.bus.publish(
    subjects.query(service, "k", "alice"),
    Buffer.from(JSON.stringify({ client: "alice", id: "q1", body: { query: "value" } })),
    undefined,
    "answers",
  );
  await server.run(50);
  t.deepEqual(server.published("answers"), [], "the record is not on the disk");
  disk.open();
  await server.run(50);
  t.regex(server.published("answers").join(), /the value is 7/);
});

test("results that are not published hold nothing back in the log", async (t) => {
  const server = new OneServer({ application: tattler, settings: { ...quiet, publishResults: false } });
  await server.run(2_000);
  request(server, "r1", 1);
  await server.run(1_000);
  t.is(server.life.replica.committed, 1);
  request(server, "r2", 1);
  await server.run(1_000);
  t.true((server.life.checkpoint.meta?.published ?? 0) >= 1);
});

test("rule 13: what was committed and flushed and did not reach NATS is published by the next life", async (t) => {
  const first = new OneServer({ application: tattler, settings: quiet });
  first.bus.flush = async () => false;
  await first.run(2_000);
  for (const id of ["r1", "r2", "r3"]) request(first, id, 1);
  await first.run(1_000);
  t.is(first.life.checkpoint.applied, 3);
  first.life.stop();
  await first.run(1_000);
  t.deepEqual(first.end, { reason: "exit" });

  const { disk } = first.store;
  const next = new OneServer({
    application: tattler,
    settings: quiet,
    disk,
    registry: first.registry,
    incarnation: "alpha-2",
  });
  await next.run(2_000);
  t.is(next.life.replica.state, "hot.alone");
  t.is(next.published(subjects.result(service, "k", "alice")).length, 3);
  request(next, "r4", 1);
  await next.run(1_000);
  t.is(next.published(subjects.result(service, "k", "alice")).length, 4);
  t.is(next.life.replica.log.lastEpoch, next.life.replica.epoch);
});

test("rule 12: what a server chose to forget, and no committed record says, is remembered by its next life", async (t) => {
  const first = new OneServer({ application: tattler, settings: quiet });
  await first.run(2_000);
  for (let number = 1; number <= 11; number += 1) {
    request(first, `r${number}`, 1);
    await first.run(20);
  }
  await first.run(1_000);
  t.is(inside(first.life.replica).core.applied.requests.forgetThrough, 1, "chosen, and said by the next record");
  t.is(first.life.checkpoint.applied, 11);

  const { disk } = first.store;
  disk.isOpen = false;
  const { registry } = first;
  const next = new OneServer({ application: tattler, settings: quiet, disk, registry, incarnation: "alpha-2" });
  await next.run(2_000);
  request(next, "r1", 1);
  await next.run(1_000);
  t.is(next.life.replica.log.last, 11, "it is not run again");
  t.regex(next.published("inbox").join(), /"value":1}/, "its reply is stored");
});
