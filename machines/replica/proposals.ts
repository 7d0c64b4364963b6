/**
 * The registry record that each proposal asks for, as changes of the known one (rules 2, 3, 8). What always holds: alone
 * means `disk` and a base, two or more means `memory`; who proposes is the primary of what it proposes.
 */
import type { Member, Position, RegistryRecord } from "../../schemas/registry.ts";
import type { LifecycleAction } from "../lifecycle.ts";
import type { Pausing, PausingView } from "./pausing.ts";
import type { Plans } from "./plans.ts";

export type Proposal = Extract<LifecycleAction, `propose${string}`>;

export interface ProposalView extends PausingView {
  readonly pausing: Pausing;
  readonly plans: Plans;
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
      return { inSync: [...stay, joiner], mode: "normal", durability: "memory" };
    }
    case "proposePause":
      return { pause: view.pausing.current(view) ?? undefined };
    case "proposeBase":
      return { base: { sequence: own.synced, hash: own.log.hashAt(own.synced) ?? own.position.hash } };
  }
}

function sole({ options, own }: ProposalView): Partial<RegistryRecord> & { base: Position } {
  return {
    primary: options.self,
    inSync: [options.self],
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
    inSync: stay,
    mode: alone ? aloneMode : "normal",
    durability: alone ? "disk" : "memory",
    ...(alone ? { base } : {}),
  };
}
