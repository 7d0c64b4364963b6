/**
 * The registry record that each proposal asks for, as changes of the known one (rules 2, 3, 8). What always holds: alone
 * means `disk` and a base, two or more means `memory`; who proposes is the primary of what it proposes; whoever is counted on is
 * named with the disk that it has, as far as that is known.
 */
import type { InSyncMember, Member, Position, RegistryRecord } from "../../../schemas/registry.ts";
import type { LifecycleAction } from "../../lifecycle.ts";
import type { Core } from "../core.ts";
import type { Primary } from "../primary/primary.ts";
import type { Candidacy } from "./candidacy.ts";

export type Proposal = Extract<LifecycleAction, `propose${string}`>;

/** Who proposes: `candidacy` is what it asks for, `primary` its role, null where it has none. */
export interface Proposer {
  readonly core: Core;
  readonly candidacy: Candidacy;
  readonly primary: Primary | null;
  /** An operator accepted a loss (rule 18). */
  readonly isForced: boolean;
}

export function proposed(proposal: Proposal, proposer: Proposer): Partial<RegistryRecord> {
  const { core, candidacy, primary, isForced } = proposer;
  const { own, options, rules, membership } = core;
  const { record } = membership;
  switch (proposal) {
    case "proposeClaim":
      return { ...sole(core), mode: record?.mode === "backup-only" ? "backup-only" : "primary-only" };
    case "proposeNewHistory": {
      const disk = { history: own.history, syncedEpoch: membership.syncedEpoch };
      const keeps = record !== null && rules.keepsHistory(record, disk, isForced);
      const begun = {
        ...sole(core),
        mode: "primary-only" as const,
        history: keeps ? record.history : core.newName("h"),
      };
      return { ...begun, failoverPause: isForced ? undefined : pauseThatStands(core) };
    }
    case "proposeTakeover":
      return { ...without(candidacy, "backup-only", own.position, core), failoverPause: pauseThatStands(core) };
    case "proposeRemoval":
      // What was appended after the fence was confirmed by nobody, and may not be on the disk yet.
      return without(candidacy, "primary-only", candidacy.fence ?? own.position, core);
    case "proposeRoles":
      return rules.rolesSwitched(options.self, own.position);
    case "proposeAddition": {
      const joiner = candidacy.takingIn as Member;
      const stay = (record?.inSync ?? []).filter((member) => member.server !== joiner.server);
      return { inSync: counted([...stay, joiner], core), mode: "normal", durability: "memory" };
    }
    case "proposePause":
      return {
        pause: primary?.pausing.current ?? undefined,
        failoverPause: primary?.failoverPausing.current ?? undefined,
      };
    case "proposeBase":
      return { base: { sequence: own.synced, hash: own.log.hashAt(own.synced) ?? own.position.hash } };
  }
}

/** Rule 21: who takes over does so because none stands, or to stop, and writes that. */
function pauseThatStands({ failover, membership, wallMs, nowMs, stopping }: Core): RegistryRecord["failoverPause"] {
  if (stopping) return undefined;
  return failover.standing(membership.record, wallMs, nowMs) ?? undefined;
}

function sole(core: Core): Partial<RegistryRecord> & { base: Position } {
  const { options, own } = core;
  return {
    primary: options.self,
    inSync: counted([options.self], core),
    durability: "disk",
    schema: options.schema,
    ...(options.program === undefined ? {} : { application: options.program.application }),
    base: own.position,
  };
}

/** The known configuration without those who are left out. */
function without(
  { leavingOut }: Candidacy,
  aloneMode: "primary-only" | "backup-only",
  base: Position,
  core: Core,
): Partial<RegistryRecord> {
  const isOut = (member: Member) => leavingOut.some((other) => core.rules.isSameMember(member, other));
  const stay = (core.membership.record?.inSync ?? []).filter((member) => !isOut(member));
  const alone = stay.length === 1;
  return {
    primary: core.options.self,
    inSync: counted(stay, core),
    mode: alone ? aloneMode : "normal",
    durability: alone ? "disk" : "memory",
    ...(alone ? { base } : {}),
  };
}

/** With their disks: an incarnation has one, which the record says, or that incarnation itself. */
function counted(members: readonly InSyncMember[], { self, disk, peers }: Core): InSyncMember[] {
  return members.map(({ server, incarnation, disk: known }) => {
    const heard = peers.get(server)?.heartbeat;
    const told = incarnation === self ? disk : heard?.incarnation === incarnation ? heard.disk : undefined;
    const its = known ?? told ?? "";
    return its === "" ? { server, incarnation } : { server, incarnation, disk: its };
  });
}
