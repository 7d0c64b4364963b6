/** The checker on stamps: whose clock refused what, in small histories made by hand (rule 12, situation 57). */
import test from "ava";
import { checkHistory } from "../../machines/checker/check.ts";
import type { HistoryEvent } from "../../machines/checker/history.ts";

/** A service whose clock is right; stamps are times of the history. */
const stamps = {
  wallMs: (atMs: number) => atMs,
  rememberClients: 4,
  skewMs: 0,
  maxFutureMs: 10_000,
  serversAreRight: true,
  isRightOneKnown: true,
};

function judge(events: readonly HistoryEvent[]): string[] {
  const options = { mayBeginHistory: false, mustRecover: false, resultsAreComplete: false, stamps };
  return checkHistory(events, options).violations.flatMap(({ of, text }) => (of === "rule 12" ? [text] : []));
}

function sent(atMs: number, client: string, id: string, issuedAt: number): HistoryEvent {
  return { type: "invoke", atMs, client, id, copy: 1, body: {}, issuedAt };
}

function done(client: string, id: string, sequence = 1): HistoryEvent {
  const reply = JSON.stringify({ client, id, ok: true, result: {}, sequence, epoch: 1 });
  const record = {
    sequence,
    epoch: 1,
    hash: sequence,
    kind: "final",
    client,
    id,
    name: "",
    resultNumber: 1,
    reply,
  } as const;
  return { type: "commit", atMs: 40, server: "alpha", incarnation: "alpha1", history: "h1", records: [record] };
}

function told(client: string, id: string, code: string): HistoryEvent {
  const error = { code, message: "", executed: false, stamps: { now: 70, after: 0, until: 70 } };
  const bytes = JSON.stringify({ client, id, ok: false, error });
  return { type: "reply", atMs: 70, client, id, copy: 1, bytes, duplicate: false };
}

test("a client may be told EXPIRED for what it stamped itself", (t) => {
  t.deepEqual(
    judge([sent(10, "c", "a", 5_000), done("c", "a"), sent(60, "c", "b", 5_000), told("c", "b", "EXPIRED")]),
    [],
  );
});

test("a client that is told EXPIRED for another's stamp, or for one earlier than its own, is found", (t) => {
  t.regex(
    judge([sent(10, "d", "a", 5_000), done("d", "a"), sent(60, "c", "b", 60), told("c", "b", "EXPIRED")]).join(),
    /c\/b was told EXPIRED, and never had anything done that was stamped so late/,
  );
  t.is(
    judge([sent(10, "c", "a", 5_000), done("c", "a"), sent(60, "c", "b", 5_001), told("c", "b", "EXPIRED")]).length,
    1,
  );
});

test("others' stamps may become the common floor once the clock has passed them, and not before", (t) => {
  const others = ["d", "e", "f"].flatMap((client, at) => [sent(10, client, "a", 5_000), done(client, "a", at + 1)]);
  t.is(judge([...others, sent(60, "c", "b", 60), told("c", "b", "EXPIRED")]).length, 1);
  const later = { ...told("c", "b", "EXPIRED"), atMs: 6_000 };
  t.deepEqual(judge([...others, sent(5_900, "c", "b", 4_900), later]), []);
});

test("a client whose clock is right and that is told that it is not is found; one whose clock is fast is not", (t) => {
  t.is(judge([done("d", "a"), sent(60, "c", "b", 60), told("c", "b", "INVALID_REQUEST")]).length, 1);
  t.deepEqual(judge([done("d", "a"), sent(60, "c", "b", 99_000), told("c", "b", "INVALID_REQUEST")]), []);
});

test("what was stamped too far in the future and done is found", (t) => {
  t.regex(judge([sent(10, "c", "a", 99_000), done("c", "a")]).join(), /c stamped 98960 ms ahead, and it was done/);
  // A copy of it that came too late to be what was done explains nothing.
  const later = { ...sent(60, "c", "a", 60), copy: 2 } as const;
  t.is(judge([sent(10, "c", "a", 99_000), done("c", "a"), later]).length, 1);
});

test("what was too far in the future when it was sent, and not any more when it was taken, may be done", (t) => {
  const again = { ...sent(95_000, "c", "a", 99_000), copy: 2 } as const;
  t.deepEqual(judge([sent(10, "c", "a", 99_000), again, { ...done("c", "a"), atMs: 95_001 }]), []);
});

test("what was stamped anew, and in time, may be done", (t) => {
  const again = { ...sent(20, "c", "a", 20), copy: 2 } as const;
  t.deepEqual(judge([sent(10, "c", "a", 99_000), again, done("c", "a")]), []);
});
