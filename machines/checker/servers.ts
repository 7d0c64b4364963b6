/** What servers told of themselves: epochs, and the digests of tables and queues (invariants 5 and 8). */
import type { DigestEvent, HistoryEvent, Violation } from "./history.ts";

export function checkServers(events: readonly HistoryEvent[]): Violation[] {
  const violations: Violation[] = [];
  const epochs = new Map<string, number>();
  const digests = new Map<string, DigestEvent>();
  for (const event of events) {
    if (event.type === "epoch") {
      const before = epochs.get(event.server) ?? 0;
      if (event.epoch < before)
        violations.push({
          of: "invariant 8",
          atMs: event.atMs,
          text: `${event.server}/${event.incarnation} accepted epoch ${event.epoch} after ${before}`,
        });
      epochs.set(event.server, Math.max(before, event.epoch));
    } else if (event.type === "disk") epochs.delete(event.server);
    else if (event.type === "digest") {
      const place = `${event.history} ${event.sequence}`;
      const known = digests.get(place);
      if (known === undefined) digests.set(place, event);
      else if (known.digest !== event.digest)
        violations.push({
          of: "invariant 5",
          atMs: event.atMs,
          text: `at sequence ${event.sequence} ${event.server} has digest ${event.digest}, ${known.server} had ${known.digest}`,
        });
    }
  }
  return violations;
}
