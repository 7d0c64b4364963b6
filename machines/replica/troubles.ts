/**
 * What troubles a replica now (schemas/troubles.ts): asked each tick, for operators. What always holds: it is read from how
 * the replica stands, never kept, and every code that the replica answers for is in the answer: null where all is well.
 */
import type { TroubleCode } from "../../schemas/troubles.ts";
import type { ReplicaView } from "./view.ts";

/** The replica's fields that are read here. */
export interface TroubledView extends ReplicaView {
  readonly role: "primary" | "backup" | "none";
  readonly waitingFor: string;
  readonly intake: { readonly isPaused: boolean };
}

export type ReplicaTroubles = readonly (readonly [code: TroubleCode, message: string | null])[];

export function troublesOf(view: TroubledView): ReplicaTroubles {
  return [
    ["server.waiting", whyWaiting(view)],
    ["backup.lost", whyNoBackup(view)],
    ["backup.missing", whyBackupMissing(view)],
    ["registry.frozen", view.membership.frozen || null],
    ["intake.paused", view.hot && view.intake.isPaused ? "an operator paused the intake: `twinlog resume`" : null],
  ];
}

function whyWaiting({ role, waitingFor }: TroubledView): string | null {
  return role === "none" && waitingFor !== "" ? waitingFor : null;
}

function whyNoBackup(view: TroubledView): string | null {
  const absent = outOfSync(view);
  if (absent.length === 0 || isAnyInSync(view)) return null;
  return `no backup is in sync (${absent.join(", ")}): a failover would not work`;
}

function whyBackupMissing(view: TroubledView): string | null {
  const absent = outOfSync(view);
  return absent.length > 0 && isAnyInSync(view) ? `not in sync: ${absent.join(", ")}` : null;
}

/** On the primary: configured servers that the newest record does not count on. */
function outOfSync({ hot, options, membership }: TroubledView): string[] {
  if (!hot) return [];
  const inSync = membership.record?.inSync ?? [];
  return options.servers.filter((name) => !inSync.some(({ server }) => server === name));
}

function isAnyInSync({ self, membership }: TroubledView): boolean {
  return membership.record?.inSync.some(({ incarnation }) => incarnation !== self) ?? false;
}
