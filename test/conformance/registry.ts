/**
 * What every Registry must do: run on registry-jetstream and on the simulated registry.
 *
 * The one question: may a server ever believe that it won when it did not, or that it lost when its write may still
 * land? Everything that is not a clear answer must come out as unknown.
 */
import test, { type ExecutionContext } from "ava";
import type { Registry } from "../../actors/world/ports.ts";
import type { RegistryRead, RegistryRecord, RegistryWrite } from "../../schemas/registry.ts";
import type { Rig } from "./rig.ts";

export interface RegistryRig extends Rig {
  /** The registry as one more server sees it. */
  make(): Registry;
  /** Until `recover`, no answer arrives; a write may land now, later, or never. */
  outage(): Promise<void>;
  recover(): Promise<void>;
  readonly service: string;
}

export function registryConformance(name: string, makeRig: (t: ExecutionContext) => Promise<RegistryRig>): void {
  const withRegistry = (title: string, body: (t: ExecutionContext, rig: RegistryRig) => Promise<void>) => {
    test.serial(`${name}: ${title}`, async (t) => {
      const rig = await makeRig(t);
      try {
        await body(t, rig);
      } finally {
        await rig.dispose();
      }
    });
  };

  const recordOf = (rig: RegistryRig, epoch: number, writeId: string): RegistryRecord => ({
    service: rig.service,
    history: "history-1",
    epoch,
    mode: "normal",
    writeId,
    previousWriteId: `before ${writeId} "ë"`,
    primary: { server: "alpha", incarnation: "a1" },
    inSync: [
      { server: "alpha", incarnation: "a1" },
      { server: "beta", incarnation: "b1" },
    ],
    durability: "memory",
    base: { sequence: 123_456_789_012, hash: 4_294_967_295 },
    schema: "digest",
  });

  const wonRevision = (t: ExecutionContext, write: RegistryWrite): number => {
    if (write.outcome === "won") return write.revision;
    t.fail(`expected won, got ${JSON.stringify(write)}`);
    return -1;
  };
  const found = (read: RegistryRead) => {
    if (read.outcome === "found") return read;
    throw new Error(`expected found, got ${JSON.stringify(read)}`);
  };

  /** After an outage the registry may be unavailable for a while yet. */
  const readAgain = async (rig: RegistryRig, registry: Registry) => {
    let last: RegistryRead = { outcome: "missing" };
    let isAsking = false;
    await rig.until(() => {
      if (!isAsking && last.outcome !== "found") {
        isAsking = true;
        void registry.read().then((answer) => {
          last = answer;
          isAsking = false;
        });
      }
      return last.outcome === "found";
    }, "the registry to answer again");
    return found(last);
  };

  withRegistry("nothing is there until it is created, and only once", async (t, rig) => {
    const [a, b] = [rig.make(), rig.make()];
    t.deepEqual(await rig.settle(a.read()), { outcome: "missing" });
    const first = recordOf(rig, 1, "w1");
    const revision = wonRevision(t, await rig.settle(a.create(first)));
    t.deepEqual(await rig.settle(b.read()), { outcome: "found", record: first, revision });
    t.deepEqual(await rig.settle(b.create(recordOf(rig, 1, "w2"))), { outcome: "lost" });
    t.deepEqual(await rig.settle(a.create(first)), { outcome: "lost" });
    t.deepEqual(await rig.settle(a.read()), { outcome: "found", record: first, revision });
  });

  withRegistry("a compare-and-set without a record is not won, and makes none", async (t, rig) => {
    const registry = rig.make();
    const write = await rig.settle(registry.compareAndSet(recordOf(rig, 2, "w1"), 5));
    t.not(write.outcome, "won");
    t.deepEqual(await rig.settle(registry.read()), { outcome: "missing" });
  });

  withRegistry("a compare-and-set wins only against the revision that it names", async (t, rig) => {
    const [a, b] = [rig.make(), rig.make()];
    const first = wonRevision(t, await rig.settle(a.create(recordOf(rig, 1, "w1"))));
    const second = wonRevision(t, await rig.settle(b.compareAndSet(recordOf(rig, 2, "w2"), first)));
    t.true(second > first, "revisions grow");
    t.deepEqual(await rig.settle(a.compareAndSet(recordOf(rig, 2, "w3"), first)), { outcome: "lost" });
    t.deepEqual(await rig.settle(a.compareAndSet(recordOf(rig, 2, "w3"), second + 1)), { outcome: "lost" });
    const read = found(await rig.settle(a.read()));
    t.is(read.revision, second);
    t.deepEqual(read.record, recordOf(rig, 2, "w2"));
    const third = wonRevision(t, await rig.settle(a.compareAndSet(recordOf(rig, 3, "w4"), second)));
    t.is(found(await rig.settle(b.read())).revision, third);
  });

  withRegistry("of two who write at once exactly one wins, and it is the one that is read", async (t, rig) => {
    const [a, b] = [rig.make(), rig.make()];
    const creates = await rig.settle(Promise.all([a.create(recordOf(rig, 1, "a")), b.create(recordOf(rig, 1, "b"))]));
    t.deepEqual(creates.map(({ outcome }) => outcome).toSorted(), ["lost", "won"]);
    let { revision } = found(await rig.settle(a.read()));
    for (let round = 2; round <= 25; round += 1) {
      const writes = await rig.settle(
        Promise.all([
          a.compareAndSet(recordOf(rig, round, `a${round}`), revision),
          b.compareAndSet(recordOf(rig, round, `b${round}`), revision),
        ]),
      );
      t.deepEqual(writes.map(({ outcome }) => outcome).toSorted(), ["lost", "won"]);
      const read = found(await rig.settle(b.read()));
      t.is(read.record.writeId, writes[0].outcome === "won" ? `a${round}` : `b${round}`);
      t.is(read.revision, wonRevision(t, writes[0].outcome === "won" ? writes[0] : writes[1]));
      revision = read.revision;
    }
  });

  withRegistry(
    "an outage makes reads unavailable and writes unknown, never lost; afterwards one value stands",
    async (t, rig) => {
      const [a, b] = [rig.make(), rig.make()];
      const first = wonRevision(t, await rig.settle(a.create(recordOf(rig, 1, "w1"))));
      await rig.settle(rig.outage());
      const [read, write, create] = await rig.settle(
        Promise.all([a.read(), a.compareAndSet(recordOf(rig, 2, "w2"), first), b.create(recordOf(rig, 1, "w3"))]),
      );
      t.is(read.outcome, "unavailable");
      t.is(write.outcome, "unknown");
      t.is(create.outcome, "unknown");
      for (const answer of [read, write, create]) t.true("reason" in answer && answer.reason.length > 0, "it says why");
      await rig.settle(rig.recover());
      // The unknown write has landed, may land still, or never will; a write of ours settles it (rule 3).
      const before = await readAgain(rig, b);
      t.true(["w1", "w2"].includes(before.record.writeId));
      let revision = before.revision;
      for (let tries = 0; tries < 10; tries += 1) {
        const forced = await rig.settle(b.compareAndSet(recordOf(rig, 3, "w4"), revision));
        if (forced.outcome === "won") break;
        const now = await readAgain(rig, b);
        if (now.record.writeId === "w4") break;
        revision = now.revision;
      }
      t.is((await readAgain(rig, a)).record.writeId, "w4");
    },
  );

  withRegistry("what was read is never older than what was read before", async (t, rig) => {
    const [a, b] = [rig.make(), rig.make()];
    let revision = wonRevision(t, await rig.settle(a.create(recordOf(rig, 1, "w1"))));
    const seen: number[] = [];
    for (let epoch = 2; epoch <= 20; epoch += 1) {
      const [write, ...reads] = await rig.settle(
        Promise.all([a.compareAndSet(recordOf(rig, epoch, `w${epoch}`), revision), b.read(), a.read(), b.read()]),
      );
      revision = wonRevision(t, write);
      // Reads that are under way at once may overtake each other; none may be older than the write before them all.
      const found = reads.map((read) => (read.outcome === "found" ? read.record.epoch : 0));
      t.true(
        found.every((one) => one === epoch - 1 || one === epoch),
        `${found.join(" ")} in epoch ${epoch}`,
      );
      const after = await rig.settle(b.read());
      seen.push(after.outcome === "found" ? after.revision : 0);
    }
    t.deepEqual(
      seen,
      seen.toSorted((x, y) => x - y),
    );
  });

  withRegistry("a record is its reader's and its writer's own: changing it changes nothing", async (t, rig) => {
    const registry = rig.make();
    const written = recordOf(rig, 1, "w1");
    wonRevision(t, await rig.settle(registry.create(written)));
    written.inSync.pop();
    const read = found(await rig.settle(registry.read()));
    t.is(read.record.inSync.length, 2);
    read.record.inSync.pop();
    t.is(found(await rig.settle(registry.read())).record.inSync.length, 2);
  });

  withRegistry(
    "after an outage, of those who count on the same revision one wins at most, the late one included",
    async (t, rig) => {
      const [a, b] = [rig.make(), rig.make()];
      const first = wonRevision(t, await rig.settle(a.create(recordOf(rig, 1, "w1"))));
      await rig.settle(rig.outage());
      const late = await rig.settle(a.compareAndSet(recordOf(rig, 2, "late"), first));
      t.is(late.outcome, "unknown");
      await rig.settle(rig.recover());
      await readAgain(rig, b);
      const other = await rig.settle(b.compareAndSet(recordOf(rig, 2, "other"), first));
      const now = found(await rig.settle(b.read())).record.writeId;
      if (other.outcome === "won") t.is(now, "other");
      else if (other.outcome === "lost") t.is(now, "late");
      // Whoever was the one, it stays so: what counts on the first revision can land no more.
      const settled = wonRevision(
        t,
        await rig.settle(b.compareAndSet(recordOf(rig, 3, "next"), found(await rig.settle(b.read())).revision)),
      );
      await readAgain(rig, a);
      t.deepEqual(await rig.settle(a.compareAndSet(recordOf(rig, 2, "again"), first)), { outcome: "lost" });
      t.is(found(await rig.settle(a.read())).revision, settled);
    },
  );

  withRegistry("warnings are sentences for people", async (t, rig) => {
    const registry = rig.make();
    wonRevision(t, await rig.settle(registry.create(recordOf(rig, 1, "w1"))));
    const warnings = await rig.settle(registry.warnings());
    t.true(
      warnings.every(({ says }) => says.length > 20),
      warnings.map(({ says }) => says).join("\n"),
    );
  });
}
