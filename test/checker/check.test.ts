/** The checker finds each kind of violation in a small history made by hand, and none in an honest one. */
import test from "ava";
import { type CheckOptions, checkHistory } from "../../machines/checker/check.ts";
import type { CommittedRecord, HistoryEvent, SequentialModel } from "../../machines/checker/history.ts";

const reply = (id: string, sequence: number, total: number, epoch = 1) =>
  JSON.stringify({ client: "c", id, ok: true, result: { total }, sequence, epoch });

const final = (id: string, sequence: number, total: number, more: Partial<CommittedRecord> = {}): CommittedRecord => ({
  sequence,
  epoch: 1,
  hash: 1000 + sequence,
  kind: "final",
  client: "c",
  id,
  name: "",
  resultNumber: sequence,
  reply: reply(id, sequence, total),
  ...more,
});

const invoke = (atMs: number, id: string, amount: number, copy = 1, after?: string): HistoryEvent => ({
  type: "invoke",
  atMs,
  client: "c",
  id,
  copy,
  body: { amount },
  ...(after === undefined ? {} : { after }),
});
const answered = (atMs: number, id: string, bytes: string, copy = 1): HistoryEvent => ({
  type: "reply",
  atMs,
  client: "c",
  id,
  copy,
  bytes,
  duplicate: copy > 1,
});
const refused = (atMs: number, id: string, copy = 1, code = "BUSY"): HistoryEvent =>
  answered(
    atMs,
    id,
    JSON.stringify({ client: "c", id, ok: false, error: { code, message: "", executed: false } }),
    copy,
  );
const commit = (atMs: number, records: readonly CommittedRecord[], server = "alpha", history = "h1"): HistoryEvent => ({
  type: "commit",
  atMs,
  server,
  incarnation: `${server}1`,
  history,
  records,
});
const result = (atMs: number, record: CommittedRecord): HistoryEvent => ({
  type: "result",
  atMs,
  integrator: "i",
  history: "h1",
  number: record.resultNumber,
  sequence: record.sequence,
  epoch: record.epoch,
  bytes: record.reply,
});

function sum(): SequentialModel {
  let total = 0;
  return {
    run: (record, body) => {
      if (record.kind === "final") total += (body as { amount: number }).amount;
      return { total };
    },
    query: () => ({ total }),
  };
}

const strict: CheckOptions = {
  makeModel: sum,
  mayBeginHistory: false,
  mustRecover: true,
  resultsAreComplete: true,
};

const a = final("a", 1, 5);
const b = final("b", 2, 12);
/** Two requests, one sent again, one refused, a query, results; then healed and served again. */
const honest: readonly HistoryEvent[] = [
  { type: "epoch", atMs: 0, server: "alpha", incarnation: "alpha1", epoch: 1 },
  invoke(1, "a", 5),
  { type: "made", atMs: 2, server: "alpha", incarnation: "alpha1", epoch: 1, sequence: 1 },
  commit(3, [a]),
  answered(4, "a", a.reply),
  result(4, a),
  refusedPair(5)[0],
  refusedPair(5)[1],
  { type: "query", atMs: 6, client: "c", id: "q", body: {} },
  {
    type: "answer",
    atMs: 7,
    client: "c",
    id: "q",
    bytes: JSON.stringify({ client: "c", id: "q", ok: true, result: { total: 5 }, sequence: 1, epoch: 1 }),
  },
  { type: "healed", atMs: 8 },
  invoke(9, "b", 7, 1, "a"),
  invoke(10, "b", 7, 2, "a"),
  commit(11, [b]),
  commit(11, [a, b], "beta"),
  answered(12, "b", b.reply),
  answered(13, "b", b.reply, 2),
  result(13, b),
  { type: "digest", atMs: 14, server: "alpha", incarnation: "alpha1", history: "h1", sequence: 2, digest: "d" },
  { type: "digest", atMs: 14, server: "beta", incarnation: "beta1", history: "h1", sequence: 2, digest: "d" },
  invoke(15, "unknown", 1),
];

function refusedPair(atMs: number): [HistoryEvent, HistoryEvent] {
  return [invoke(atMs, "r", 9), refused(atMs, "r")];
}

test("an honest history has no violations, and is counted", (t) => {
  const report = checkHistory(honest, strict);
  t.deepEqual(report.violations, []);
  t.like(report, { requests: 4, acknowledged: 2, refused: 1, unknown: 1, duplicates: 1, lost: 0, committed: 2 });
});

/** One lie each: what it must be called, and how the honest history is changed. */
const lies: Record<string, { of: string; text: RegExp; lie: (events: HistoryEvent[]) => HistoryEvent[] }> = {
  "an acknowledged request is not in the log": {
    of: "invariant 4",
    text: /b: acknowledged at sequence 2 and not in the log: lost$/,
    lie: (events) => events.map((event) => (event.type === "commit" ? { ...event, records: [a] } : event)),
  },
  "a request is in the log twice": {
    of: "invariant 6",
    text: /is in the log twice/,
    lie: (events) => [...events, commit(20, [final("a", 3, 17)])],
  },
  "a duplicate's answer is different": {
    of: "invariant 6",
    text: /two different answers/,
    lie: (events) => [...events, answered(20, "b", reply("b", 2, 13), 2)],
  },
  "another body under the same id gets the stored reply": {
    of: "rule 12",
    text: /another body under the same id/,
    lie: (events) => [...events, invoke(20, "b", 8, 3, "a"), answered(21, "b", b.reply, 3)],
  },
  "two servers commit different records": {
    of: "invariant 3",
    text: /beta.*at 2 of history h1/,
    lie: (events) => [...events, commit(20, [{ ...b, hash: 7 }], "beta")],
  },
  "the log has a hole": {
    of: "invariant 3",
    text: /from 2 to 4/,
    lie: (events) => [...events, commit(20, [final("unknown", 4, 13)])],
  },
  "two incarnations make records in one epoch": {
    of: "invariant 1",
    text: /both alpha.*and beta/,
    lie: (events) => [
      ...events,
      { type: "made", atMs: 20, server: "beta", incarnation: "beta1", epoch: 1, sequence: 3 },
    ],
  },
  "a reply leaves before its record is committed": {
    of: "invariant 7",
    text: /answered at sequence 2 before/,
    lie: (events) =>
      events.map((event) => (event.type === "commit" && event.atMs === 11 ? { ...event, atMs: 12.5 } : event)),
  },
  "a refused request was executed": {
    of: "checker",
    text: /every copy was refused/,
    lie: (events) => [...events, commit(20, [final("r", 3, 21)])],
  },
  "the result is not what the model says": {
    of: "checker",
    text: /the model {"total":12}/,
    lie: (events) =>
      JSON.parse(
        JSON.stringify(events).replaceAll(String.raw`\"total\":12`, String.raw`\"total\":11`),
      ) as HistoryEvent[],
  },
  "a query misses what was acknowledged before it": {
    of: "rule 5",
    text: /saw 0 when 1 was known/,
    lie: (events) =>
      events.map((event) =>
        event.type === "answer"
          ? { ...event, bytes: event.bytes.replace('"sequence":1', '"sequence":0').replace('"total":5', '"total":0') }
          : event,
      ),
  },
  "a query's answer is not the state at its sequence": {
    of: "rule 5",
    text: /the model {"total":5}/,
    lie: (events) =>
      events.map((event) =>
        event.type === "answer" ? { ...event, bytes: event.bytes.replace('"total":5', '"total":6') } : event,
      ),
  },
  "a query sees what was sent after its answer": {
    of: "rule 5",
    text: /answered before c\/b \(2\) was first sent/,
    lie: (events) =>
      events.map((event) =>
        event.type === "answer"
          ? { ...event, bytes: event.bytes.replace('"sequence":1', '"sequence":2').replace('"total":5', '"total":12') }
          : event,
      ),
  },
  "the log turns real time around": {
    of: "checker",
    text: /first sent after .* was answered/,
    lie: (events) =>
      [...events]
        .map((event) => (event.type === "invoke" && event.id === "a" ? { ...event, atMs: 12.1 } : event))
        .map((event) => (event.type === "reply" && event.id === "b" ? { ...event, atMs: 1 } : event))
        .map((event) => (event.type === "invoke" && event.id === "b" ? { ...event, atMs: 0 } : event)),
  },
  "a request runs before the one that it names": {
    of: "rule 11",
    text: /which is not in the log/,
    lie: (events) =>
      events.map((event) => (event.type === "invoke" && event.id === "b" ? { ...event, after: "r" } : event)),
  },
  "an integrator misses a result": {
    of: "invariant 9",
    text: /result 1 never came/,
    lie: (events) => events.filter((event) => event.type !== "result" || event.number !== 1),
  },
  "a result was never committed": {
    of: "invariant 7",
    text: /result 3 was published and is not committed/,
    lie: (events) => [...events, result(20, final("x", 3, 0))],
  },
  "an epoch falls across a restart": {
    of: "invariant 8",
    text: /accepted epoch 0 after 1/,
    lie: (events) => [...events, { type: "epoch", atMs: 20, server: "alpha", incarnation: "alpha2", epoch: 0 }],
  },
  "two servers have different states": {
    of: "invariant 5",
    text: /has digest e/,
    lie: (events) => [
      ...events,
      { type: "digest", atMs: 20, server: "beta", incarnation: "beta1", history: "h1", sequence: 2, digest: "e" },
    ],
  },
  "it does not recover": {
    of: "invariant 10",
    text: /nothing that was sent/,
    lie: (events) => events.map((event) => (event.type === "healed" ? { ...event, atMs: 16 } : event)),
  },
  "a new history begins within the promise": {
    of: "invariant 4",
    text: /a new history began/,
    lie: (events) => [...events, commit(20, [final("unknown", 3, 13)], "alpha", "h2")],
  },
};

for (const [title, { of, text, lie }] of Object.entries(lies)) {
  test(`found: ${title}`, (t) => {
    const { violations } = checkHistory(lie([...honest]), strict);
    t.true(
      violations.some((violation) => violation.of === of && text.test(violation.text)),
      JSON.stringify(violations, undefined, 1),
    );
  });
}

/** The first copy never arrived, the second was refused as every server would: the id is free, and its next body is run. */
const reusedUnrun: readonly HistoryEvent[] = [
  invoke(16, "d", 900),
  invoke(17, "d", 900, 2),
  refused(18, "d", 2, "TOO_LARGE"),
  invoke(19, "d", 3, 3),
];
const d = final("d", 3, 15);

test("where the copy that was run was not the first, the model runs that one's body", (t) => {
  const check = (...more: HistoryEvent[]) =>
    checkHistory([...honest, ...reusedUnrun, ...more], { ...strict, resultsAreComplete: false }).violations;
  t.deepEqual(check(commit(20, [d]), answered(21, "d", d.reply, 3)), []);
  t.deepEqual(check(commit(20, [d])), [], "nobody was told");
  const late = [invoke(22, "d", 900, 4), answered(23, "d", d.reply, 4)];
  const [first] = check(commit(20, [d]), answered(21, "d", d.reply, 3), ...late);
  t.is(first?.of, "rule 12", "what was sent first and not run is another body");
});

test("a refusal that another server may not give leaves the body of the copies that were not answered", (t) => {
  const sent = [
    invoke(16, "d", 3),
    invoke(17, "d", 3, 2),
    refused(18, "d", 2),
    invoke(19, "d", 900, 3),
    commit(20, [d]),
  ];
  t.deepEqual(checkHistory([...honest, ...sent], { ...strict, resultsAreComplete: false }).violations, []);
});

const newHistory = (sequence: number): CommittedRecord => ({
  ...final("", sequence, 0, { epoch: 2, hash: 77, resultNumber: 0 }),
  kind: "history",
  client: "",
  name: "h2",
});

test("what a new history dropped may be run and answered again in it; what it took over may not", (t) => {
  const again = final("b", 3, 12, { epoch: 2, resultNumber: 1, reply: reply("b", 3, 12, 2) });
  const check = (begins: number) => {
    const events = [
      ...honest,
      commit(20, [newHistory(begins), again], "beta", "h2"),
      answered(21, "b", again.reply, 2),
    ];
    return checkHistory(events, { ...strict, mayBeginHistory: true, resultsAreComplete: false }).violations;
  };
  t.deepEqual(check(2), []);
  t.true(check(3).some(({ of, text }) => of === "invariant 6" && /two different answers/.test(text)));
});

test("a new history may not lack what it took over", (t) => {
  const events = [
    ...honest.filter((event) => event.type !== "commit"),
    commit(3, [a]),
    commit(20, [newHistory(3)], "beta", "h2"),
  ];
  const report = checkHistory(events, { ...strict, mayBeginHistory: true, resultsAreComplete: false });
  t.true(
    report.violations.some(({ of, text }) => of === "invariant 4" && /c\/b: acknowledged at sequence 2/.test(text)),
  );
});

test("beyond the promise a new history may lack what was acknowledged, and says so by its name", (t) => {
  const events = [
    ...honest.map((event) =>
      event.type === "commit" ? { ...event, records: [a, b].slice(0, event.records.length) } : event,
    ),
    commit(20, [newHistory(2)], "beta", "h2"),
  ];
  const report = checkHistory(events, { ...strict, mayBeginHistory: true, resultsAreComplete: false });
  t.deepEqual(report.violations, []);
  t.is(report.histories, 2);
});

/** alpha acknowledged a and b in the first history; beta has a alone, and is told by force to go on with it (rule 18). */
const forced = (begins: CommittedRecord, announced: CommittedRecord, more: readonly HistoryEvent[] = []) => {
  const first = honest.filter((event) => event.type !== "commit");
  const told = (event: HistoryEvent, previousHash: number) => ({ ...event, previousHash }) as HistoryEvent;
  const { sequence, hash } = announced;
  const fork = { type: "fork", atMs: 19, server: "beta", incarnation: "beta1", history: "h2", epoch: 2 } as const;
  const events = [
    told(commit(0, [a, b]), 0),
    ...first,
    { ...fork, sequence, hash },
    told(commit(20, [begins], "beta", "h2"), announced.hash),
    ...more,
  ];
  return checkHistory(events, { ...strict, mayBeginHistory: true, resultsAreComplete: false }).violations;
};

test("a recovery by force may lose what its server had not, and run it again once", (t) => {
  t.deepEqual(forced(newHistory(2), a), []);
  const again = final("b", 3, 12, { epoch: 2, resultNumber: 1, reply: reply("b", 3, 12, 2) });
  const run = { ...commit(21, [again], "beta", "h2"), previousHash: 77 } as HistoryEvent;
  t.deepEqual(forced(newHistory(2), a, [run, answered(22, "b", again.reply, 2)]), []);
});

test("a recovery by force may lose nothing that its server had, nor begin elsewhere than it said", (t) => {
  const tell = (violations: ReturnType<typeof forced>) => violations.map(({ of, text }) => `${of}: ${text}`).join("\n");
  const short = { ...newHistory(2), sequence: 2 };
  t.regex(tell(forced(short, b)), /invariant 3: history h2 was announced to begin after 2, and begins at 2/);
  const again = final("b", 4, 12, { epoch: 2, resultNumber: 1, reply: reply("b", 4, 12, 2) });
  const run = { ...commit(21, [again], "beta", "h2"), previousHash: 77 } as HistoryEvent;
  const violations = tell(forced(newHistory(3), b, [run, answered(22, "b", again.reply, 2)]));
  t.regex(violations, /invariant 6: c\/b: two different answers/);
  t.regex(violations, /invariant 6: request c\/b is in the log twice: at 2 and 4/);
});

test("a new history may take over an earlier epoch's record of a request whose later one was answered in the old history", (t) => {
  const told = (event: HistoryEvent, previousHash: number) => ({ ...event, previousHash }) as HistoryEvent;
  // beta made it again when it took over, and answered; alpha has its own record of it, which nobody had committed.
  const later = final("b", 2, 12, { epoch: 3, hash: 2_002, reply: reply("b", 2, 12, 3) });
  const events = (history: string, isForced: boolean): HistoryEvent[] => [
    invoke(1, "a", 5),
    told(commit(2, [a]), 0),
    answered(3, "a", a.reply),
    invoke(4, "b", 7),
    told(commit(5, [later], "beta"), a.hash),
    answered(6, "b", later.reply),
    ...(isForced
      ? [{ type: "fork", atMs: 9, server: "alpha", incarnation: "alpha2", history, epoch: 4, ...end } as const]
      : []),
    told(commit(10, isForced ? [b, { ...newHistory(3), epoch: 4 }] : [b], "alpha", history), a.hash),
    invoke(11, "b", 7, 2),
    answered(12, "b", b.reply, 2),
  ];
  const end = { sequence: 2, hash: b.hash };
  const found = (of: HistoryEvent[]) =>
    checkHistory(of, { ...strict, mustRecover: false, mayBeginHistory: true, resultsAreComplete: false }).violations;
  t.deepEqual(found(events("h2", true)), []);
  t.true(
    found(events("h1", false)).some(({ of }) => of === "invariant 6"),
    "in one history it has one answer",
  );
});

test("a query of a new history knows what was acknowledged in it, from its first epoch on, also before it commits", (t) => {
  const fork = { type: "fork", server: "beta", incarnation: "beta1", sequence: 0, hash: 0 } as const;
  const asked = (atMs: number, id: string, sequence: number, epoch: number): HistoryEvent[] => {
    const bytes = JSON.stringify({ client: "c", id, ok: true, result: { total: 0 }, sequence, epoch });
    return [
      { type: "query", atMs, client: "c", id, body: {} },
      { type: "answer", atMs: atMs + 0.5, client: "c", id, bytes },
    ];
  };
  const violations = (events: readonly HistoryEvent[]) =>
    checkHistory([...honest, ...events], {
      ...strict,
      makeModel: undefined,
      mayBeginHistory: true,
      resultsAreComplete: false,
    }).violations.filter(({ of }) => of === "rule 5");
  const lost = [{ ...fork, atMs: 20, history: "h2", epoch: 2 }, ...asked(21, "q2", 0, 2)];
  t.deepEqual(violations(lost), [], "nothing is committed in it yet");
  // Its log was empty: what comes first in it is a request, of a later epoch.
  const x = final("x", 1, 5, { epoch: 3, hash: 5, resultNumber: 1, reply: reply("x", 1, 5, 3) });
  const more = [...lost, invoke(22, "x", 5), commit(23, [x], "beta", "h2"), answered(24, "x", x.reply)];
  t.deepEqual(violations(more), []);
  const [late] = violations([...more, ...asked(25, "q3", 0, 3)]);
  t.regex(late?.text ?? "", /q3 saw 0 when 1 was known/);
  const again = [{ ...fork, atMs: 26, history: "h3", epoch: 4 }, ...asked(27, "q4", 0, 4)];
  t.deepEqual(violations([...more, ...again]), [], "begun again, and silent");
  t.is(violations([...more, ...again, ...asked(28, "q5", 0, 3)]).length, 1, "an answer of the older one");
  t.is(violations(asked(20, "q6", 0, 1)).length, 1, "without a new history");
});

test("a reader of an old history may not be told that it is over while the new one goes on with more of it, and what that is counts as its results", (t) => {
  const told = (event: HistoryEvent, previousHash: number) => ({ ...event, previousHash }) as HistoryEvent;
  const begins = { ...newHistory(3), hash: 9 };
  const logs = [told(commit(0, [a]), 0), told(commit(20, [a, b, begins], "beta", "h2"), 0)];
  const moved = (last: number): HistoryEvent => ({
    type: "movedOn",
    atMs: 30,
    integrator: "i",
    from: "h1",
    last,
    to: "h2",
  });
  const violations = (...events: HistoryEvent[]) =>
    checkHistory([...logs, ...events], {
      ...strict,
      makeModel: undefined,
      mayBeginHistory: true,
      mustRecover: false,
      resultsAreComplete: false,
    }).violations.filter(({ of }) => of !== "checker");
  t.regex(violations(moved(1))[0]?.text ?? "", /h1 ends at result 1, and h2 goes on with 2 of it/);
  t.deepEqual(violations(result(25, a), result(26, b), moved(2)), []);
});

test("a history's records lie on one log", (t) => {
  const other = { ...final("x", 2, 1, { hash: 5 }), epoch: 1 };
  const next = final("y", 3, 1, { hash: 6 });
  const told = (event: HistoryEvent, previousHash: number) => ({ ...event, previousHash }) as HistoryEvent;
  const first = honest.filter((event) => event.type !== "commit");
  const events = [told(commit(0, [a, b]), 0), ...first, told(commit(9, [other, next], "beta"), a.hash)];
  const { violations } = checkHistory(events, { ...strict, makeModel: undefined, resultsAreComplete: false });
  t.true(violations.some(({ text }) => /history h1 ends at 3, and .* at 2 is not in that log/.test(text)));
});

test("where an integrator told the log, a gap is no violation, and what is lost or there twice still is", (t) => {
  const options: CheckOptions = {
    mayBeginHistory: false,
    mustRecover: false,
    resultsAreComplete: false,
    isSparse: true,
  };
  const late = final("late", 9, 1, { resultNumber: 2 });
  const sent = [invoke(1, "a", 5), answered(2, "a", a.reply), invoke(3, "late", 1), answered(4, "late", late.reply)];
  t.deepEqual(checkHistory([commit(0, [a, late]), ...sent], options).violations, []);
  t.is(checkHistory([commit(0, [a, late]), ...sent], { ...options, isSparse: false }).violations.length, 2);
  t.is(checkHistory([commit(0, [a]), ...sent], options).lost, 1);
  const again = final("a", 20, 5, { resultNumber: 3 });
  t.is(checkHistory([commit(0, [a, late, again]), ...sent], options).doubled, 1);
});

test("a server whose disk was replaced has seen no epoch", (t) => {
  const older = { type: "epoch", atMs: 20, server: "alpha", incarnation: "alpha2", epoch: 0 } as const;
  const replaced = { type: "disk", atMs: 19, server: "alpha", wasKept: false } as const;
  t.deepEqual(checkHistory([...honest, replaced, older], strict).violations, []);
});
