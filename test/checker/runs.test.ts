/** The checker on requests without a stamp: once they may have been forgotten, and no earlier, they are done again (rule 12). */
import test from "ava";
import { type CheckOptions, checkHistory } from "../../machines/checker/check.ts";
import type { CommittedRecord, HistoryEvent, SequentialModel } from "../../machines/checker/history.ts";

/** Adds up the amounts; each request has one transaction, `add`, in its final record. */
function sum(): SequentialModel {
  let total = 0;
  return {
    run: ({ kind }, body) => {
      if (kind === "final") total += (body as { amount: number }).amount;
      return { total };
    },
    query: () => undefined,
  };
}

/** A log as it grows: each call is one record that is committed, answered and published at that time. */
class Service {
  readonly events: HistoryEvent[] = [];
  #sequence = 0;
  #results = 0;
  #total = 0;
  readonly #copies = new Map<string, number>();

  /** A copy: its number. */
  send(atMs: number, id: string, { amount = 1, issuedAt }: { amount?: number; issuedAt?: number } = {}): number {
    const copy = (this.#copies.get(id) ?? 0) + 1;
    this.#copies.set(id, copy);
    const stamp = issuedAt === undefined ? {} : { issuedAt };
    this.events.push({ type: "invoke", atMs, client: "c", id, copy, body: { amount }, ...stamp });
    return copy;
  }

  attempt(atMs: number, id: string): void {
    this.#commit(atMs, { kind: "attempt", id, name: "", resultNumber: 0, reply: "" });
  }

  transaction(atMs: number, id: string): void {
    this.#commit(atMs, { kind: "transaction", id, name: "add", resultNumber: 0, reply: "1" });
  }

  /** The request is done: the reply. */
  finish(atMs: number, id: string, amount = 1): string {
    this.#total += amount;
    this.#results += 1;
    const told = { client: "c", id, ok: true, result: { total: this.#total }, sequence: this.#sequence + 1, epoch: 1 };
    const reply = JSON.stringify(told);
    const number = this.#results;
    this.#commit(atMs, { kind: "final", id, name: "add", resultNumber: number, reply });
    const place = { sequence: this.#sequence, epoch: 1 };
    this.events.push({ type: "result", atMs, integrator: "i", history: "h1", number, ...place, bytes: reply });
    return reply;
  }

  answer(atMs: number, id: string, copy: number, bytes: string): void {
    this.events.push({ type: "reply", atMs, client: "c", id, copy, bytes, duplicate: false });
  }

  refuse(atMs: number, id: string, copy: number): void {
    const error = { code: "BUSY", message: "", executed: false };
    this.answer(atMs, id, copy, JSON.stringify({ client: "c", id, ok: false, error }));
  }

  /** Sent, done and answered at once. */
  run(atMs: number, id: string, sent: { amount?: number; issuedAt?: number } = {}): void {
    const copy = this.send(atMs, id, sent);
    this.answer(atMs, id, copy, this.finish(atMs, id, sent.amount));
  }

  #commit(atMs: number, record: Pick<CommittedRecord, "kind" | "id" | "name" | "resultNumber" | "reply">): void {
    this.#sequence += 1;
    const sequence = this.#sequence;
    const records = [{ sequence, epoch: 1, hash: 1000 + sequence, client: "c", ...record }];
    const previousHash = sequence === 1 ? 0 : 999 + sequence;
    const by = { server: "alpha", incarnation: "alpha1", history: "h1" };
    this.events.push({ type: "commit", atMs, ...by, previousHash, records });
  }

  check(more: Partial<CheckOptions> = {}): string[] {
    return checkHistory(this.events, {
      makeModel: sum,
      mayBeginHistory: false,
      mustRecover: false,
      resultsAreComplete: true,
      remembered: { replies: 2, ms: 100 },
      ...more,
    }).violations.map(({ text }) => text);
  }
}

const isDoubled = /request c\/a is in the log twice/;

test("what as many others as are remembered have followed may be done again, with another body too", (t) => {
  const service = new Service();
  service.run(1, "a");
  service.run(2, "b");
  service.run(3, "d");
  service.run(4, "a", { amount: 5 });
  t.deepEqual(service.check(), []);
  t.regex(service.check({ remembered: undefined }).join(), isDoubled);
  t.regex(service.check({ remembered: { replies: 3, ms: 100 } }).join(), isDoubled);
});

test("an attempt is no reply that others are forgotten for", (t) => {
  const service = new Service();
  service.run(1, "a");
  service.run(2, "b");
  service.attempt(3, "d");
  service.run(4, "a");
  service.run(5, "d");
  t.regex(service.check().join(), isDoubled);
});

test("the attempt of a request that was forgotten belongs to its next run", (t) => {
  const service = new Service();
  service.run(1, "a");
  service.run(2, "b");
  service.run(3, "d");
  const copy = service.send(4, "a", { amount: 5 });
  service.attempt(4, "a");
  service.answer(5, "a", copy, service.finish(5, "a", 5));
  t.deepEqual(service.check(), []);
});

test("a transaction is not done again within the run that it began", (t) => {
  const service = new Service();
  service.run(1, "a");
  service.run(2, "b");
  service.run(3, "d");
  service.send(4, "a");
  service.transaction(4, "a");
  service.finish(5, "a");
  t.deepEqual(service.check({ makeModel: undefined }), ["transaction add of c/a (run 2) was run again at 5"]);
});

test("a request with a stamp is done once, whatever was forgotten", (t) => {
  const service = new Service();
  service.run(1, "a", { issuedAt: 1 });
  service.run(2, "b");
  service.run(3, "d");
  service.run(4, "a", { issuedAt: 1 });
  t.regex(service.check().join(), isDoubled);
  const mixed = new Service();
  mixed.run(1, "a");
  mixed.run(2, "b");
  mixed.run(3, "d");
  mixed.run(4, "a", { issuedAt: 4 });
  t.regex(mixed.check().join(), isDoubled);
});

test("what is old enough may be done again, and each run is as old as the end of the one before it", (t) => {
  const service = new Service();
  service.run(1, "a");
  service.run(101, "a");
  t.deepEqual(service.check(), []);
  const young = new Service();
  young.run(2, "a");
  young.run(101, "a");
  t.regex(young.check().join(), isDoubled);
  const third = new Service();
  third.run(1, "a");
  third.run(102, "a");
  third.run(103, "a");
  // It was not remembered before the first run, which ended at 1, was forgotten.
  t.deepEqual(third.check(), []);
  third.run(104, "a");
  t.regex(third.check().join(), /request c\/a \(run 3\) is in the log twice/);
});

test("each copy is judged with the run that answered it, and one that got no answer with any", (t) => {
  const service = new Service();
  const first = service.send(1, "a");
  const second = service.send(1, "a");
  const late = service.send(1, "a");
  const reply = service.finish(2, "a");
  service.answer(3, "a", first, reply);
  service.answer(3, "a", second, reply);
  service.run(4, "b");
  service.run(5, "d");
  service.refuse(6, "a", service.send(6, "a"));
  // Done by the late copy, and nobody was told.
  service.finish(7, "a");
  t.deepEqual(service.check(), []);
  // Refused as well: then nobody sent what was done.
  service.refuse(8, "a", late);
  t.regex(service.check().join(), /c\/a \(run 2\): every copy was refused/);
});

test("two answers of one run are still two", (t) => {
  const service = new Service();
  service.run(1, "a");
  service.run(2, "b");
  service.run(3, "d");
  const copies = [service.send(4, "a"), service.send(4, "a")] as const;
  const reply = service.finish(4, "a");
  service.answer(5, "a", copies[0], reply);
  service.answer(5, "a", copies[1], reply.replace('"total":4', '"total":5'));
  t.regex(service.check().join(), /two different answers/);
});
