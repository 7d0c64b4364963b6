/** A store that fails while something else reads it, or when the life is over: one end of the life, told once, whoever hears of it first (rule 14). */
import test from "ava";
import { StoreError } from "../../actors/world/ports.ts";
import { counter } from "../../deploy/examples/counter/counter.ts";
import { subjects } from "../../schemas/subjects.ts";
import { OneServer, service } from "../helpers/one-server.ts";

const settings = { limits: { cautionMs: 0, maxRetainedBytes: 0, flushMs: 10 } };

/** Alone, with three results that are on its disk and no more in its memory. */
async function started(): Promise<OneServer> {
  const server = new OneServer({ application: counter, settings });
  await server.run(2_000);
  for (let at = 1; at <= 3; at += 1) add(server, `r${at}`);
  await server.run(1_000);
  return server;
}

function add(server: OneServer, id: string): void {
  const envelope = { client: "alice", id, body: { counter: "c", add: 1 } };
  server.bus.publish(
    subjects.request(service, "c", "alice"),
    Buffer.from(JSON.stringify(envelope)),
    undefined,
    "inbox",
  );
}

function askAgain(server: OneServer, reply: string): void {
  server.bus.publish(subjects.replay(service), Buffer.from('{"from":1}'), undefined, reply);
}

const lines = ({ errors }: OneServer) => errors.map(({ line }) => line).filter((line) => !line.includes("waits"));

test("the disk cannot be read for a replay: that is the disk's failure", async (t) => {
  const server = await started();
  let fail = () => {};
  const failing = new Promise<void>((resolve) => {
    fail = resolve;
  });
  server.store.entries = async function* () {
    await failing;
    yield* [];
    throw new StoreError("failed", "it cannot be read");
  };
  askAgain(server, "_INBOX.a.1");
  await server.run(100);
  fail();
  await server.run(500);
  t.deepEqual(server.end, { reason: "failed", error: new Error("the disk failed: it cannot be read") });
  t.deepEqual(lines(server), ["the disk failed"]);
});

/** A write is under way that ends with an error as soon as it is told to. */
async function writing() {
  const server = await started();
  let fail = () => {};
  server.store.gate = new Promise((resolve) => {
    fail = resolve;
  });
  server.store.failAfter = 0;
  add(server, "r4");
  await server.run(100);
  return { server, fail: () => fail() };
}

test("a write fails while a replay waits to read: it hears of it first, and the end is the same", async (t) => {
  const { server, fail } = await writing();
  // While the first one reads, and the second one waits for its turn to.
  let came = 0;
  server.bus.subscribe(subjects.replay(service), () => {
    came += 1;
    if (came === 2) server.clock.soon(fail);
  });
  askAgain(server, "_INBOX.a.1");
  askAgain(server, "_INBOX.b.1");
  await server.run(500);
  t.deepEqual(server.end, { reason: "failed", error: new Error("the disk failed: the disk does not take it") });
  t.deepEqual(lines(server), ["the disk failed"]);
});

test("a write fails when the life is over already: its end stays what it was, and the log has the disk's error", async (t) => {
  const { server, fail } = await writing();
  server.life.replica.endTurn = () => {
    throw new Error("something else");
  };
  await server.run(200);
  t.is(server.end, null, "what is under way is waited for");
  fail();
  await server.run(500);
  t.like(server.end, { reason: "failed", error: { message: "something else" } });
  t.deepEqual(lines(server), [
    "an error ends this life",
    "the disk failed when this life was over: what it still had to write is not there",
  ]);
});
