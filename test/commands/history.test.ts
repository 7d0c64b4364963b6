/** `twinlog history`: what changed between two revisions of the registry's record, who wrote it, and nothing that no record says. */
import test from "ava";
import { historyText, type Revision, withGaps } from "../../deploy/commands/history.ts";
import type { RegistryRecord } from "../../schemas/registry.ts";
import type { ServerEvent } from "../../schemas/status.ts";
import { bytesOf } from "../helpers/hand-world.ts";
import { makeRig } from "./rig.ts";

const alpha = { server: "alpha", incarnation: "a1" };
const beta = { server: "beta", incarnation: "b1" };
const pair: RegistryRecord = {
  service: "exchange",
  history: "h1",
  epoch: 3,
  mode: "normal",
  writeId: "a1.2",
  previousWriteId: "a1.1",
  primary: alpha,
  inSync: [alpha, beta],
  durability: "memory",
  base: { sequence: 0, hash: 0 },
  schema: "",
};
const alone: RegistryRecord = { ...pair, mode: "primary-only", inSync: [alpha], durability: "disk" };
const at = (seconds: number) => new Date(Date.UTC(2026, 10, 29, 6, 0, seconds)).toISOString();
const told = (...records: Revision["record"][]) =>
  historyText(records.map((record, n) => ({ revision: n + 1, at: at(10 * n), record })))
    .trim()
    .split("\n");
const change = (before: RegistryRecord, after: Partial<RegistryRecord>) => {
  const [, line = ""] = told(before, { ...before, epoch: before.epoch + 1, ...after });
  return line.split("  by ")[1];
};

test("each change is told by what differs, and by whom", (t) => {
  t.is(change(pair, { ...alone, writeId: "a1.3" }), "alpha: beta left out");
  t.is(change(alone, { ...pair, writeId: "a1.3" }), "alpha: beta taken in");
  t.is(change(pair, { primary: beta, writeId: "b1.1" }), "beta: beta in the place of alpha");
  t.is(
    change(pair, { primary: beta, inSync: [beta], mode: "backup-only", durability: "disk", writeId: "b1.1" }),
    "beta: beta in the place of alpha, alpha left out",
  );
  t.is(change(pair, { pause: { sinceMs: 1 }, writeId: "a1.3" }), "alpha: intake paused");
  t.is(change({ ...pair, pause: { sinceMs: 1 } }, { pause: undefined } as object), "alpha: intake resumed");
  t.is(change(pair, { restoredFrom: 3, writeId: "restore.x" }), "`init --restore`: put back by an operator");
  t.is(change(pair, { history: "h2" }), "alpha: a new history, h2");
  t.is(change(pair, { left: ["x"], writeId: "x.1" }), "incarnation x: a server let itself go");
  t.is(change(pair, {}), "alpha: the same configuration again");
});

test("the first that is kept is no first start unless it is one; what is no record is said", (t) => {
  t.regex(told(pair)[0] ?? "", /revision 1 .*the oldest that is kept/);
  t.regex(told({ ...alone, epoch: 1, writeId: "init" })[0] ?? "", /by `init`: created/);
  t.regex(told(pair, null)[1] ?? "", /revision 2 {2}deleted/);
  t.regex(told(pair, "it is not JSON")[1] ?? "", /no record: it is not JSON/);
});

test("a server that is alone and says how far it is takes one line", (t) => {
  const base = (sequence: number) => ({ ...alone, epoch: 3 + sequence, base: { sequence, hash: 1 } });
  const lines = told(alone, base(1), base(2), base(3), { ...pair, epoch: 9 });
  t.is(lines.length, 3);
  t.regex(lines[1] ?? "", /its base moved forward, and 2 times more within 20 s$/);
});

test("the bucket is read to its end, and what is wrong with it is said", async (t) => {
  const { bus, run } = makeRig();
  const answers = [
    {
      message: {
        subject: "$KV.twinlog.exchange",
        seq: 4,
        time: at(0),
        data: Buffer.from(JSON.stringify(pair)).toString("base64"),
      },
    },
    { error: { code: 404, err_code: 10_037 } },
    { error: { code: 404, err_code: 10_059 } },
    { error: { code: 400, err_code: 1, description: "no" } },
  ];
  const asked: unknown[] = [];
  bus.subscribe("$JS.API.STREAM.MSG.GET.KV_twinlog", ({ data, reply }) => {
    asked.push(JSON.parse(Buffer.from(data).toString()));
    bus.publish(reply, bytesOf(answers.shift()));
  });
  const whole = await run(["history", "--json"]);
  t.is(whole.status, 0);
  t.like(JSON.parse(whole.out), { revision: 4, record: { epoch: 3 } });
  t.deepEqual(asked, [
    { seq: 1, next_by_subj: "$KV.twinlog.exchange" },
    { seq: 5, next_by_subj: "$KV.twinlog.exchange" },
  ]);
  t.regex((await run(["history"])).err, /no record of exchange in the bucket twinlog/);
  t.regex((await run(["history"])).err, /the registry refuses: no/);
  t.regex((await run(["history", "--bucket", "none", "--timeout", "50"])).err, /does not answer/);
});

test("the gap of a failover stands where that incarnation became the primary, the last time before it was ready", (t) => {
  const record = (epoch: number, primary: typeof alpha): RegistryRecord => ({ ...pair, epoch, primary });
  const records = [
    record(3, alpha),
    record(4, beta),
    record(5, beta),
    record(6, alpha),
    record(8, beta),
    record(9, beta),
  ];
  const revisions = [...records, null].map((each, n) => ({ revision: n + 1, at: at(n), record: each }));
  const event = (incarnation: string, epoch: number, gapMs?: number): ServerEvent =>
    ({ machine: "failover", incarnation, epoch, gapMs }) as ServerEvent;
  const gaps = (...events: ServerEvent[]) =>
    withGaps(revisions, events).flatMap(({ revision, gapMs }) => (gapMs === undefined ? [] : [[revision, gapMs]]));
  t.deepEqual(gaps(event("b1", 5, 40), event("b1", 9, 50)), [
    [2, 40],
    [5, 50],
  ]);
  t.deepEqual(gaps(event("b1", 7, 40)), [[2, 40]]);
  t.deepEqual(
    gaps(event("c1", 9, 40), event("a1", 3, 40), event("b1", 9)),
    [],
    "the first that is kept tells of nobody before",
  );
  t.regex(
    historyText(withGaps(revisions, [event("b1", 9, 50)])),
    /beta in the place of alpha; clients were without answers for some 50 ms\n/,
  );
});
