/**
 * The registry record that each proposal asks for, as changes of the known one (rules 2, 3, 8). What always holds: alone
 * means `disk` and a base, two or more means `memory`; who proposes is the primary of what it proposes; whoever is counted on is
 * named with the disk that it has, as far as that is known.
 */
import type { InSyncMember, Member, Position, RegistryRecord } from "../../schemas/registry.ts";
import type { LifecycleAction } from "../lifecycle.ts";
import type { Pausing, PausingView } from "./pausing.ts";
import type { Plans } from "./plans.ts";

export type Proposal = Extract<LifecycleAction, `propose${string}`>;

export interface ProposalView extends PausingView {
  readonly pausing: Pausing;
  readonly plans: Plans;
  readonly disk: string;
  readonly consultation: { readonly isForced: boolean };
  newId(kind: string): string;
}

export function proposed(proposal: Proposal, view: ProposalView): Partial<RegistryRecord> {
  const { own, options } = view;
  const { record } = view.membership;
  switch (proposal) {
    case "proposeClaim":
      return { ...sole(view), mode: record?.mode === "backup-only" ? "backup-only" : "primary-only" };
    case "proposeNewHistory": {
      const disk = { history: own.history, syncedEpoch: view.membership.syncedEpoch };
      const keeps = record !== null && view.rules.keepsHistory(record, disk, view.consultation.isForced);
      return { ...sole(view), mode: "primary-only", history: keeps ? record.history : view.newId("h") };
    }
    case "proposeTakeover":
      return without(view, "backup-only", own.position);
    case "proposeRemoval":
      // What was appended after the fence was confirmed by nobody, and may not be on the disk yet.
      return without(view, "primary-only", view.state === "hot.fencing.asking" ? view.plans.fence : own.position);
    case "proposeRoles":
      return view.rules.rolesSwitched(options.self, own.position);
    case "proposeAddition": {
      const joiner = view.plans.takingIn as Member;
      const stay = (record?.inSync ?? []).filter((member) => member.server !== joiner.server);
      return { inSync: counted([...stay, joiner], view), mode: "normal", durability: "memory" };
    }
    case "proposePause":
      return { pause: view.pausing.current(view) ?? undefined };
    case "proposeBase":
      return { base: { sequence: own.synced, hash: own.log.hashAt(own.synced) ?? own.position.hash } };
  }
}

function sole(view: ProposalView): Partial<RegistryRecord> & { base: Position } {
  const { options, own } = view;
  return {
    primary: options.self,
    inSync: counted([options.self], view),
    durability: "disk",
    schema: options.schema,
    base: own.position,
  };
}

/** The known configuration without those who are left out. */
function without(
  view: ProposalView,
  aloneMode: "primary-only" | "backup-only",
  base: Position,
): Partial<RegistryRecord> {
  const isOut = (member: Member) => view.plans.leavingOut.some((other) => view.rules.isSameMember(member, other));
  const stay = (view.membership.record?.inSync ?? []).filter((member) => !isOut(member));
  const alone = stay.length === 1;
  return {
    primary: view.options.self,
    inSync: counted(stay, view),
    mode: alone ? aloneMode : "normal",
    durability: alone ? "disk" : "memory",
    ...(alone ? { base } : {}),
  };
}

/** With their disks: an incarnation has one, which the record says, or that incarnation itself. */
function counted(members: readonly InSyncMember[], { self, disk, peers }: ProposalView): InSyncMember[] {
  return members.map(({ server, incarnation, disk: known }) => {
    const heard = peers.get(server)?.heartbeat;
    const told = incarnation === self ? disk : heard?.incarnation === incarnation ? heard.disk : undefined;
    const its = known ?? told ?? "";
    return its === "" ? { server, incarnation } : { server, incarnation, disk: its };
  });
}
