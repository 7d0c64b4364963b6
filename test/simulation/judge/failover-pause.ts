/**
 * Rule 21, as the registry shows it: while an operator's pause of failover stands in the record, the role goes to nobody in the place of
 * a server that is lost, and no new history begins. Who takes over because it stands no more writes the record without it. What always
 * holds: only a record that follows upon the one before is judged, so that what a fault did to the registry is nobody's step.
 */
import type { RegistryRecord } from "../../../schemas/registry.ts";

/** Null: as it must be. */
export function whyTakenOver(before: RegistryRecord | null, record: RegistryRecord): string | null {
  if (before === null || record.previousWriteId !== before.writeId) return null;
  const { failoverPause: pause } = record;
  if (pause === undefined || pause.sinceMs !== before.failoverPause?.sinceMs) return null;
  if (record.history !== before.history)
    return `a new history began in epoch ${record.epoch} while failover was paused`;
  const isSame = record.primary.server === before.primary.server;
  const isLeftOut = !record.inSync.some(({ incarnation }) => incarnation === before.primary.incarnation);
  if (isSame || !isLeftOut) return null;
  return `${record.primary.server} took the place of ${before.primary.server} in epoch ${record.epoch} while failover was paused`;
}
