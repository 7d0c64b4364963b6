/**
 * Why what an operator asks cannot be done now, for a person to read; null where it can. What always holds: they look, and
 * change nothing.
 */
import { heirsOf } from "./handover.ts";
import type { ReplicaView } from "./view.ts";

export function whyNotPrimary({ hot }: ReplicaView): string | null {
  return hot ? null : "this server is not the primary: ask the primary";
}

export function whyNoSwitch(view: ReplicaView): string | null {
  const { record } = view.membership;
  if (!view.hot) return whyNotPrimary(view);
  if (view.state !== "hot.normal" || record === null)
    return `no switch in state ${view.state}: a backup must be in sync`;
  return heirsOf(record, "session", view).length === 0 ? "no backup is ready to take the role" : null;
}

export function whyNoRecovery({ state, membership }: ReplicaView): string | null {
  if (state !== "waiting" && state !== "refusing")
    return `this server is not waiting or refusing, its state is ${state}`;
  if (membership.known === null) return "there is no registry record: create it with `twinlog init`, then recover";
  return null;
}
