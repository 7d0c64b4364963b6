/** A clone of a replica: the same state, the same answers to the same inputs, and neither touches the other. */

import test from "ava";
import { cloneOf } from "../../machines/clone.ts";
import type { Replica } from "../../machines/replica/replica.ts";
import { inside } from "../helpers/inside.ts";
import { factsOf } from "../simulation/explore/facts.ts";
import { Stage } from "./stage.ts";

/** What a replica did with an input, and where it stands then. The names of what it makes are the same too. */
function after(replica: Replica, input: (replica: Replica) => void, nowMs: number): string {
  const replies: string[] = [];
  input(replica);
  replica.endTurn(nowMs, 0);
  replica.release((to, bytes) => replies.push(`${to} ${Buffer.from(bytes)}`));
  return JSON.stringify([replica.outbox, replies, factsOf(replica, nowMs), inside(replica).heartbeats.beat]);
}

const arrival = {
  client: "c",
  key: "k",
  bodyHash: 1,
  issuedAtMs: undefined,
  after: undefined,
  resend: false,
  body: {},
  replyTo: "r",
};

function request(id: string, resend = false): (replica: Replica) => void {
  return (replica) => {
    if (!replica.takesRequests) return;
    const running = replica.onRequest({ ...arrival, id, resend }, inside(replica).core.nowMs, 0);
    if (running !== null)
      replica.onResult(
        running,
        { name: "t", effects: new Uint8Array(0), outcome: '"ok":true,"result":0' },
        inside(replica).core.nowMs,
      );
  };
}

/** What may come to any server, in every state. */
function inputs(stage: Stage, server: string): Record<string, (replica: Replica) => void> {
  const other = server === "alpha" ? "beta" : "alpha";
  const record = { ...stage.record, epoch: stage.record.epoch + 1, writeId: "other.1" };
  const named = { outcome: "found", record, revision: 99 } as const;
  const unnamed = { ...named, record: { ...record, inSync: [{ server: "gamma", incarnation: "gamma.1" }] } };
  const all: Record<string, (replica: Replica) => void> = {
    tick: (replica) => replica.onTick(stage.nowMs + 100, 0),
    silence: (replica) => {
      for (let ms = 100; ms <= 700; ms += 100) replica.onTick(stage.nowMs + ms, 0);
    },
    gone: (replica) => {
      replica.onLink(other, "main", false, stage.nowMs);
      replica.onLink(other, "failsafe", false, stage.nowMs);
    },
    request: request("new"),
    "a request that may kill": request("new", true),
    "a duplicate": request("1"),
    query: (replica) =>
      replica.takesRequests &&
      replica.onAnswer({ client: "c", id: "q", replyTo: "q" }, Buffer.from("seen"), replica.log.last, stage.nowMs),
    "everything synced": (replica) => replica.onSynced(replica.log.last, stage.nowMs),
    "the disk fails": (replica) => replica.onDiskFailed("full", stage.nowMs),
    "a record that names it": (replica) => replica.onRegistryRead(named, stage.nowMs),
    "a record that does not": (replica) => replica.onRegistryRead(unnamed, stage.nowMs),
    "its question is answered": (replica) => {
      const open = inside(replica).core.membership.open?.writeIds.at(-1) ?? "";
      replica.onCasAnswer(open, { outcome: "won", revision: 99 }, stage.nowMs);
    },
    stop: (replica) => replica.onStop(stage.nowMs),
    switch: (replica) => void replica.onSwitch(stage.nowMs),
    pause: (replica) => void replica.onPause(true, undefined, stage.nowMs),
  };
  for (const type of ["heartbeat", "follow", "accept", "mirror", "confirm"] as const) {
    const found = stage.sent.findLast((one) => one.to === server && one.message.type === type);
    if (found !== undefined)
      all[type] = (replica) => replica.onMessage(found.from, "failsafe", found.message, new Uint8Array(0), stage.nowMs);
  }
  return all;
}

/** Stages in the middle of something. */
const moments: Record<string, () => Stage> = {
  "just started": () => new Stage(),
  "in sync": () => {
    const stage = Stage.normal();
    stage.do("alpha", "1");
    return stage;
  },
  "unconfirmed records, and a request that runs": () => {
    const stage = Stage.normal();
    stage.do("alpha", "1");
    stage.cuts.add("beta>alpha");
    stage.ask("alpha", "2", { isSlow: true });
    stage.transaction("alpha", "2", "part");
    stage.do("alpha", "3", { resend: true });
    stage.do("alpha", "4");
    return stage;
  },
  "the backup asks to be alone": () => {
    const stage = Stage.normal();
    stage.do("alpha", "1");
    stage.server("beta").held.add("compareAndSet");
    stage.kill("alpha");
    stage.tellGone("alpha");
    stage.tick(6);
    return stage;
  },
  "the primary asks to be alone": () => {
    const stage = Stage.normal();
    stage.server("alpha").held.add("compareAndSet");
    stage.do("alpha", "1");
    stage.kill("beta");
    stage.tick(6);
    return stage;
  },
  "the role is handed over": () => {
    const stage = Stage.normal();
    stage.do("alpha", "1");
    stage.server("beta").held.add("compareAndSet");
    stage.replica("alpha").onSwitch(stage.nowMs);
    stage.run();
    stage.tick();
    return stage;
  },
};

for (const [moment, stageAt] of Object.entries(moments))
  test(`a clone goes on as its original, and neither touches the other: ${moment}`, (t) => {
    const stage = stageAt();
    if (moment === "just started") stage.start("alpha");
    for (const { name, replica } of stage.servers.values()) {
      if (replica === null) continue;
      const standing = JSON.stringify(factsOf(replica, stage.nowMs));
      for (const [what, input] of Object.entries(inputs(stage, name))) {
        const clone = cloneOf(replica);
        t.is(JSON.stringify(factsOf(clone, stage.nowMs)), standing, `${name}, before ${what}`);
        const first = after(cloneOf(clone), input, stage.nowMs);
        t.is(JSON.stringify(factsOf(clone, stage.nowMs)), standing, `${name}: ${what} to a clone's clone`);
        t.is(JSON.stringify(factsOf(replica, stage.nowMs)), standing, `${name}: ${what} to a clone`);
        t.is(after(clone, input, stage.nowMs), first, `${name}: ${what}`);
      }
      // The original last: what its clones did was all its own.
      const untouched = cloneOf(replica);
      after(replica, request("last"), stage.nowMs);
      t.is(JSON.stringify(factsOf(untouched, stage.nowMs)), standing, `${name}: the original goes on`);
    }
  });

test("what is open in a log is copied: both go on writing", (t) => {
  const stage = Stage.normal();
  const replica = stage.replica("alpha");
  request("open")(replica);
  const clone = cloneOf(replica);
  t.is(clone.log.last, 1);
  t.is(clone.log.closed.sequence, 0, "the clone's batch is as open as the original's");
  request("another")(clone);
  request("other")(replica);
  const text = ({ log }: Replica) => Buffer.from(log.close()?.bytes ?? []).toString("latin1");
  t.regex(text(replica), /open.*other/s);
  t.regex(text(clone), /open.*another/s);
});

/** What of a replica a copy would not find, or would share though it changes: each with the way to it. */
function hidden(value: unknown, path: string, seen: Set<unknown>): string[] {
  if (typeof value !== "object" || value === null || seen.has(value) || ArrayBuffer.isView(value)) return [];
  seen.add(value);
  const prototype: object | null = Object.getPrototypeOf(value);
  const isValue = prototype === Object.prototype;
  // A machine's snapshot is a value, whatever it holds on to.
  if (isValue && "machine" in value) return [];
  if (!isValue && "clone" in value) return [];
  const inner = value instanceof Map || value instanceof Set ? [...value.entries()] : Object.entries(value);
  const found = inner.flatMap(([name, each]) => {
    const isPart = typeof each === "object" && each !== null && !isPlain(each);
    if (isValue && isPart) return [`${path}.${name} is an instance in a value`];
    return hidden(each, `${path}.${String(name)}`, seen);
  });
  const text = isValue || !isOwnClass(value) ? "" : value.constructor.toString();
  return /[\s.]#\w/.test(text) ? [...found, `${path} keeps something to itself`] : found;
}

function isPlain(value: object): boolean {
  return Array.isArray(value) || ArrayBuffer.isView(value) || Object.getPrototypeOf(value) === Object.prototype;
}

function isOwnClass(value: object): boolean {
  return !Array.isArray(value) && !(value instanceof Map) && !(value instanceof Set);
}

for (const [moment, stageAt] of Object.entries(moments))
  test(`a copy finds all that a replica keeps, and shares nothing that changes: ${moment}`, (t) => {
    const stage = stageAt();
    if (moment === "just started") stage.start("alpha");
    for (const { name, replica } of stage.servers.values())
      if (replica !== null) t.deepEqual(hidden(replica, name, new Set()), []);
  });

test("what hides something from a copy is found", (t) => {
  class Hiding {
    #kept = 1;
    get kept(): number {
      return this.#kept;
    }
  }
  t.is(new Hiding().kept, 1);
  t.deepEqual(hidden({ part: new Hiding() }, "a", new Set()), ["a.part is an instance in a value"]);
  t.deepEqual(hidden([new Hiding()], "a", new Set()), ["a.0 keeps something to itself"]);
});
