/**
 * What PROTOCOL.md's invariants say about one server, asserted after every turn while it runs (invariants 1, 2, 5, 8, 10; rule 15):
 * a server in which one does not hold stops before it says anything more. Cheap: a few comparisons a turn.
 */
import type { Core } from "./core.ts";
import { InvariantError } from "./invariant-error.ts";

/** What a primary answers for. */
interface CheckedPrimary {
  readonly inFlight: number;
  readonly followers: Iterable<{ readonly name: string; readonly confirmed: number }>;
}

function assert(holds: boolean, text: string): void {
  if (!holds) throw new InvariantError(text);
}

export class Invariants {
  private epochSeen = 0;

  check(core: Core, primary: CheckedPrimary | null): void {
    const { own, membership, limits, applied, lifecycle, state } = core;
    const { committed, synced, log } = own;
    assert(committed <= log.last, `the commit point ${committed} is beyond the log's end ${log.last}`);
    assert(synced <= log.last, `${synced} records are on the disk, the log ends at ${log.last}`);
    assert(membership.epochSeen >= this.epochSeen, `the accepted epoch fell to ${membership.epochSeen}`);
    this.epochSeen = membership.epochSeen;
    // One that asks, and has no question, asks for ever (invariant 10).
    const asks = lifecycle.isAsking;
    assert(
      lifecycle.isFinal || asks === (membership.open !== null),
      `${state}, and ${asks ? "nothing" : "a question"} is open`,
    );
    if (primary !== null) {
      const members = membership.record?.inSync.length ?? 0;
      const isAlone = state === "hot.alone";
      if (isAlone || state === "hot.normal") assert((members === 1) === isAlone, `${state}, with ${members} in sync`);
      // What an earlier primary had begun comes on top of what this one takes.
      assert(primary.inFlight <= 2 * limits.maxInFlight, `${primary.inFlight} requests are in flight`);
      assert(membership.isPrimary, `hot, and epoch ${membership.epoch} has another primary`);
      for (const { name, confirmed } of primary.followers)
        assert(confirmed <= log.last, `${name} confirmed what is not in this log`);
    } else if (applied.isLoaded)
      assert(applied.requests.through <= committed, `applied ${applied.requests.through}, committed ${committed}`);
  }
}
