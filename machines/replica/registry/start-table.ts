/**
 * What a server that is no member does, by PROTOCOL.md's table "Modes and start": at its start, and again whenever it has
 * lost the primary that it was joining. A pure reading of the registry, the own disk and who is present.
 */

import type { InSyncMember, Member, RegistryRecord } from "../../../schemas/registry.ts";
import type { Limits, Settings } from "../../../schemas/settings.ts";
import type { Rules } from "../rules.ts";
import type { Recovered } from "../types.ts";

export interface OwnDisk {
  /** Which one it is. */
  readonly id: string;
  readonly history: string;
  /** Epoch of the last record, and its sequence. */
  readonly lastEpoch: number;
  readonly last: number;
  /** The log's hash at the record's base; undefined where this log does not reach. */
  readonly hashAtBase: number | undefined;
  /** The highest epoch in which the registry counted on this disk. */
  readonly memberEpoch: number;
  /** The highest epoch in which it had all that was acknowledged. */
  readonly syncedEpoch: number;
  /** It came from a backup, and was no member's since. */
  readonly restored?: Recovered["restored"];
}

/** Another configured server, if it was heard of after the registry was read (its echo names this incarnation). */
export interface Presence {
  readonly server: string;
  readonly incarnation: string;
  readonly hot: boolean;
  readonly lastEpoch: number;
  readonly last: number;
  readonly history: string;
  /** Which disk it runs on; empty where an older program does not say it. */
  readonly disk: string;
  /** The proof that it is alive is newer than the registry record that is judged. */
  readonly proven: boolean;
}

export interface Verdict {
  readonly event:
    | "verdict.refuse"
    | "verdict.wait"
    | "verdict.claim"
    | "verdict.newHistory"
    | "verdict.join"
    | "verdict.member";
  /** For people: why, and what would help. */
  readonly why: string;
}

export interface StartFacts {
  readonly record: RegistryRecord;
  /** Where force would be used, if at all: the end of a sentence. */
  readonly recovery: string;
  readonly self: Member;
  readonly schema: string;
  /** The own program's; undefined where none is known. */
  readonly application: string | undefined;
  readonly disk: OwnDisk;
  readonly present: readonly Presence[];
  /** Names that more than one process speaks under. */
  readonly doubled: readonly string[];
  readonly configured: readonly string[];
  readonly afterTotalLoss: Settings["afterTotalLoss"];
  /** An operator's word stands that nobody takes over (rule 21). */
  readonly isFailoverPaused: boolean;
  readonly limits: Limits;
  readonly rules: Rules;
}

const verdict = (event: Verdict["event"], why: string): Verdict => ({ event, why });

export function consultTable(facts: StartFacts): Verdict {
  const { record, recovery, self, disk, present, rules } = facts;
  if (rules.isNamed(record, self)) return verdict("verdict.member", "the registry counts on this server's memory");
  if (isOtherApplication(facts))
    return verdict(
      "verdict.refuse",
      "the service runs another application or schema than this server; start the same program on all servers",
    );
  const primary = present.find(({ incarnation }) => incarnation === record.primary.incarnation);
  if (disk.restored) {
    if (primary?.hot) return verdict("verdict.join", `joins ${primary.server}`);
    return verdict("verdict.refuse", restoredText(disk.restored, recovery));
  }
  if (record.inSync.length === 1 && record.durability === "disk") {
    const sole = record.inSync[0] as InSyncMember;
    if (!rules.isOwnDisk(sole.server, self.server)) {
      if (primary?.hot) return verdict("verdict.join", `joins ${primary.server}`);
      return verdict(
        "verdict.wait",
        `waits for ${sole.server}: only its disk has everything that was acknowledged; start it`,
      );
    }
    if (!rules.isMembersDisk(sole, disk.id))
      return verdict(
        "verdict.refuse",
        `this is disk ${disk.id}, but ${sole.server} was alone on disk ${sole.disk}, which has everything that was acknowledged: bring that one back (\`twinlog inspect\` names a disk), or ${recovery}`,
      );
    // A new history's base is the old one's end: the right hash there tells this disk from a stranger's.
    const isContinued = record.base.sequence > 0 && disk.hashAtBase === record.base.hash;
    if (disk.last > 0 && disk.history !== record.history && !isContinued)
      return verdict(
        "verdict.refuse",
        `this disk belongs to another history than the registry; bring back the right disk, or ${recovery}`,
      );
    if (rules.holdsBase(record, disk.last, disk.hashAtBase, disk.memberEpoch))
      return verdict("verdict.claim", "is the sole member and its disk holds everything that was acknowledged");
    const proof =
      disk.last < record.base.sequence || disk.hashAtBase !== record.base.hash
        ? `ends at record ${disk.last}, but ${record.base.sequence} were acknowledged`
        : `counted last in epoch ${disk.memberEpoch}, but the right one did in epoch ${record.epoch}`;
    return verdict(
      "verdict.refuse",
      `this disk ${proof}: it is older than what clients were told; bring back the right disk, or ${recovery}`,
    );
  }
  if (primary?.hot) return verdict("verdict.join", `joins ${primary.server}`);
  const living = record.inSync.filter((member) =>
    present.some(({ incarnation }) => incarnation === member.incarnation),
  );
  if (rules.mayTakeOver(living.length > 0))
    return verdict(
      "verdict.wait",
      `waits for ${living[0]?.server} to take over${facts.isFailoverPaused ? ", which it does when failover goes on" : ""}`,
    );
  const proven = present.filter(
    (peer) => peer.proven && !record.inSync.some((member) => member.incarnation === peer.incarnation),
  );
  const absent = facts.configured.filter(
    (name) => name !== self.server && !proven.some(({ server }) => server === name),
  );
  const twice = absent.find((name) => facts.doubled.includes(name));
  if (twice !== undefined)
    return verdict(
      "verdict.wait",
      `two servers named ${twice} speak, and it is not known which has what: stop one of both`,
    );
  if (!rules.mayChooseLongest(proven.length + 1, facts.configured.length))
    return verdict(
      "verdict.wait",
      `all in-sync servers restarted; waits for ${absent.join(", ")}, which may hold more; start it, or ${recovery}`,
    );
  const strange = strangersOf(facts, proven);
  if (strange.length > 0)
    return verdict(
      "verdict.wait",
      `${strange.join(", ")} came without the disk that was in sync, so it is not known whether the process with that name has ended: start it on that disk, or end it if it has not ended and ${recovery}`,
    );
  if (!rules.mayGoOn(facts.afterTotalLoss))
    return verdict(
      "verdict.wait",
      `all in-sync servers died together; an operator decides which server to go on with: ${recovery}`,
    );
  if (!rules.mayFailOver(facts.isFailoverPaused))
    return verdict(
      "verdict.wait",
      "all in-sync servers died together, and an operator has paused failover: `twinlog resume --failover --server NAME` on one that waits, and they settle it",
    );
  const own = { server: self.server, lastEpoch: disk.lastEpoch, last: disk.last };
  const better = proven.find((peer) => rules.isBetter(peer, own));
  if (better !== undefined)
    return verdict("verdict.wait", `all in-sync servers restarted; ${better.server} has the longest log and goes on`);
  return verdict(
    "verdict.newHistory",
    rules.keepsHistory(record, disk, false)
      ? "all in-sync servers died together and this one's disk has everything that was acknowledged"
      : "all in-sync servers died together and this one has the longest log: records since the last flush may be missing",
  );
}

/** A backup may be older than what clients were told: that it goes on all the same an operator alone can say (rule 18). */
function restoredText({ sequence, takenAt }: NonNullable<OwnDisk["restored"]>, recovery: string): string {
  return `this store was restored from a backup of ${takenAt}, which ends at record ${sequence}, and goes on only as a new history, by \`twinlog recover\`: ${recovery}`;
}

/** Whether it can make something of the state is judged where that is read; a record from before names no application. */
function isOtherApplication({ record, application, schema }: StartFacts): boolean {
  if (record.application === undefined || application === undefined)
    return record.schema !== "" && record.schema !== schema;
  return record.application !== application;
}

/** In-sync servers in whose name one is here that does not prove that they restarted, and on which disk that is. */
function strangersOf({ record, self, disk, rules }: StartFacts, proven: readonly Presence[]): string[] {
  const told = new Map([
    [self.server, { history: disk.history, disk: disk.id }],
    ...proven.map((peer) => [peer.server, { history: peer.history, disk: peer.disk }] as const),
  ]);
  const strange: string[] = [];
  for (const member of record.inSync) {
    const { server } = member;
    const one = told.get(server);
    if (one === undefined) continue;
    if (!rules.isMembersDisk(member, one.disk))
      strange.push(
        `${server} (on ${one.disk === "" ? "a disk without a name" : `disk ${one.disk}`}, not ${member.disk})`,
      );
    else if (!rules.provesRestart(one.history, record.history)) strange.push(server);
  }
  return strange;
}
