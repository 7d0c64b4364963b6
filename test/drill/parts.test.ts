/** The parts of a drill that need no servers: the plan, the gaps, the verdict, and what may be signalled. */
import process from "node:process";
import test from "ava";
import { acksSince, gapOf, longestGap } from "../../deploy/drill/gaps.ts";
import { localServer } from "../../deploy/drill/local-server.ts";
import { faultKinds, planFaults } from "../../deploy/drill/plan.ts";
import { judge, medianOf, reportText } from "../../deploy/drill/verdict.ts";
import { workloadFrom, workloadOf } from "../../deploy/drill/workload.ts";
import type { HistoryEvent } from "../../machines/checker/history.ts";
import { ServerStatus } from "../../schemas/status.ts";
import { type LedgerBody, PlainLedger } from "../models/plain-ledger.ts";

function planOf(seed: number, count: number) {
  const plan = planFaults(seed, faultKinds);
  return Array.from({ length: count }, () => plan.next().value);
}

test("a seed repeats its plan, another one has another; each kind comes once in a round", (t) => {
  t.deepEqual(planOf(7, 40), planOf(7, 40));
  t.notDeepEqual(planOf(7, 40), planOf(8, 40));
  for (let round = 0; round < 10; round += 1) {
    const kinds = planOf(7, 40).slice(4 * round, 4 * round + 4);
    t.is(new Set(kinds.map(({ kind }) => kind)).size, 4);
  }
  for (const { kind, suspicions } of planOf(7, 40))
    t.true(kind !== "stop" || (suspicions >= 1 && suspicions <= 3), "a stop lasts one to three times the suspicion");
});

test("a gap is the longest silence that touches the fault, also one that ends after it or began before", (t) => {
  t.is(longestGap([0, 10, 50, 55, 200], 20, 60), 145);
  t.is(longestGap([0, 10, 50, 55, 200], 20, 52), 40);
  t.is(longestGap([0, 100, 101, 102, 103], 102, 103), 1);
  t.is(longestGap([], 0, 1), 0);
  t.is(medianOf([5, 1, 9]), 5);
  t.is(medianOf([5, 1, 9, 6]), 5.5);
});

test("the gap ends with the first answer of a new primary; what comes after it is told apart, refusals are no answers", (t) => {
  const answer = (atMs: number, epoch: number, isRefused = false): HistoryEvent => {
    const error = { code: "BUSY", message: "", executed: false };
    const bytes = isRefused ? { client: "c", id: "1", ok: false, error } : { ok: true, sequence: 1, epoch };
    return { type: "reply", atMs, client: "c", id: "1", copy: 1, bytes: JSON.stringify(bytes), duplicate: false };
  };
  const events = [answer(0, 1), answer(90, 1), answer(120, 1, true), answer(150, 2), answer(260, 2), answer(300, 2)];
  const acks = acksSince(events, 100);
  t.deepEqual(
    acks.map(({ atMs }) => atMs),
    [90, 150, 260, 300],
  );
  t.deepEqual(gapOf(acks, { startMs: 100, normalMs: 290, epoch: 1 }), { gapMs: 60, laterMs: 110 });
  t.deepEqual(gapOf(acks, { startMs: 100, normalMs: 290, epoch: 2 }), { gapMs: 110, laterMs: 0 }, "nobody took over");
});

const reply = (id: string, sequence: number) =>
  JSON.stringify({ client: "c", id, ok: true, result: {}, sequence, epoch: 1 });

/** Two requests answered, the second after the faults were over; and the log with `logged` of them. */
function story(logged: readonly string[]): HistoryEvent[] {
  const told = ["a", "b"];
  return [
    {
      type: "commit",
      atMs: 0,
      server: "log",
      incarnation: "results",
      history: "h",
      records: logged.map((id, at) => ({
        sequence: at + 1,
        epoch: 1,
        hash: 0,
        kind: "final",
        client: "c",
        id,
        name: "",
        resultNumber: at + 1,
        reply: reply(id, told.indexOf(id) + 1),
      })),
    },
    { type: "invoke", atMs: 1, client: "c", id: "a", copy: 1, body: {} },
    { type: "reply", atMs: 2, client: "c", id: "a", copy: 1, bytes: reply("a", 1), duplicate: false },
    { type: "healed", atMs: 10 },
    { type: "invoke", atMs: 11, client: "c", id: "b", copy: 1, body: {} },
    { type: "reply", atMs: 12, client: "c", id: "b", copy: 1, bytes: reply("b", 2), duplicate: false },
  ];
}

const fault = { kind: "kill", what: "alpha", startMs: 3, normalMs: 9, epoch: 1 } as const;
const outcome = { service: "s", seed: 1, startMs: 0, faults: [fault], trouble: "" };

test("all there: passed, with the gap of each fault", (t) => {
  const report = judge({ ...outcome, events: story(["a", "b"]) });
  t.deepEqual(report.violations, []);
  t.true(report.passed);
  t.deepEqual(report.gaps, { kill: { times: 1, medianMs: 10, worstMs: 10 } });
  t.regex(reportText(report), /lost 0, duplicated 0\n.*PASSED/s);
});

test("lost, done twice, an empty log, trouble: each is a failure that says so", (t) => {
  const lost = judge({ ...outcome, events: story(["a"]) });
  t.like(lost, { passed: false, lost: 1, duplicated: 0 });
  t.regex(reportText(lost), /lost 1, duplicated 0\n.*acknowledged at sequence 2 and not in the log: lost\n.*FAILED/s);
  t.like(judge({ ...outcome, events: story(["a", "b", "a"]) }), { passed: false, duplicated: 1 });
  t.like(judge({ ...outcome, events: story([]).slice(1) }), { passed: false });
  const early = judge({ ...outcome, events: story(["a", "b"]), trouble: "beta does not come back" });
  t.false(early.passed);
  t.regex(reportText(early), /beta does not come back/);
  const refused = JSON.stringify({
    client: "c",
    id: "a",
    ok: false,
    error: { code: "TOO_LARGE", message: "no", executed: false },
  });
  const none = judge({
    ...outcome,
    events: [{ type: "reply", atMs: 2, client: "c", id: "a", copy: 1, bytes: refused, duplicate: false }],
  });
  t.false(none.passed);
  t.regex(reportText(none), /no request was taken; the first was refused with TOO_LARGE: no/);
});

test("a process that is not the server of the status is never signalled", (t) => {
  const status = ServerStatus.partial().parse({ service: "s", name: "alpha", pid: process.pid }) as ServerStatus;
  t.is(typeof localServer(status), "string");
  t.is(typeof localServer({ ...status, pid: 2 ** 22 + 1 }), "string");
});

test("requests for the applications at hand, and for any other by a template", (t) => {
  for (const name of ["exchange", "ledger"]) {
    const workload = workloadOf(name);
    t.truthy(workload?.keyOf(workload.makeBody(1, "u", "c")));
  }
  const plain = new PlainLedger();
  const booked = Array.from({ length: 600 }, (_, n) => {
    const client = `c${n % 3}`;
    return plain.execute(workloadOf("ledger")?.makeBody(n, `u${n}`, client) as LedgerBody, client);
  });
  t.true(
    booked.slice(300).every((result) => result.status === "done" || result.reason !== "unknown-account"),
    "each client moves money between accounts of its own",
  );
  t.is(workloadOf("other"), undefined);
  const { makeBody, keyOf } = workloadFrom('{"name":"{id}","n":{n}}', () => "k");
  t.deepEqual([makeBody(3, "u3", "c"), keyOf({})], [{ name: "u3", n: 3 }, "k"]);
  t.throws(() => workloadFrom("{", () => "k"), { instanceOf: SyntaxError });
});
