/** What the disk is given of the log, and how far its word about it holds (rule 7). */

import test from "ava";
import { KeyHasher } from "../../machines/log/key-index.ts";
import { MemoryLog } from "../../machines/log/memory-log.ts";
import { OwnLog } from "../../machines/replica/log/own-log.ts";
import { RequestTable } from "../../machines/replica/log/requests.ts";
import type { Outbox } from "../../machines/replica/outbox.ts";
import { fieldsOf } from "../helpers/records.ts";

function ownLog(): { own: OwnLog; out: Outbox[]; make: (epoch: number) => void; given: () => number[][] } {
  const own = new OwnLog({
    startCount: 1,
    disk: "d",
    record: null,
    history: "h",
    ancestors: [],
    epochSeen: 1,
    memberEpoch: 1,
    syncedEpoch: 0,
    log: new MemoryLog(),
    requests: new RequestTable({
      through: 0,
      resultNumber: 0,
      rememberClients: 9,
      maxRememberedBytes: Number.POSITIVE_INFINITY,
      hasher: new KeyHasher("test"),
    }),
    committed: 0,
    published: 0,
    oldestOnDisk: 1,
  });
  const out: Outbox[] = [];
  const make = (epoch: number) => {
    own.log.append(fieldsOf({ sequence: own.log.last + 1, epoch }));
    own.log.close();
  };
  const given = () =>
    out.flatMap((entry) => (entry.type === "append" ? entry.batches.map(({ first, last }) => [first, last]) : []));
  return { own, out, make, given };
}

test("the disk is given each batch once, before anything that speaks of it, and anew what was made after a cut", (t) => {
  const { own, out, make, given } = ownLog();
  make(1);
  make(1);
  own.sync(2, out);
  own.append(out);
  t.deepEqual(
    out.map(({ type }) => type),
    ["append", "sync"],
  );
  make(1);
  own.log.truncate(1);
  own.onCut(out);
  make(2);
  own.write(2, out);
  t.deepEqual(
    out.map(({ type }) => type),
    ["append", "sync", "truncate", "append", "write"],
  );
  t.deepEqual(given(), [
    [1, 1],
    [2, 2],
    [2, 2],
  ]);
});

test("a word of a disk that was not told of a cut yet says nothing of what was made since", (t) => {
  const { own, out, make } = ownLog();
  for (let at = 0; at < 4; at += 1) make(1);
  own.sync(4, out);
  out.length = 0;
  own.log.truncate(2);
  own.onCut(out);
  make(2);
  make(2);
  // Of the four of epoch 1, which were under way to the disk.
  own.onWritten(4, out);
  t.is(own.written, 2);
  own.onSynced(4, out);
  t.is(own.synced, 2);
  out.length = 0;
  own.onSynced(4, out);
  t.is(own.synced, 4, "told of the cut, it speaks of the log that there is");
});

test("the commit point neither falls nor passes the log's end (invariant 1)", (t) => {
  const { own, make } = ownLog();
  make(1);
  make(1);
  own.commitTo(1);
  own.commitTo(1);
  own.commitTo(2);
  t.throws(() => own.commitTo(1), { message: /the commit point fell from 2 to 1/ });
  t.throws(() => own.commitTo(3), { message: /beyond the log's end 2/ });
  t.is(own.committed, 2);
});
