/** Who may speak for the service: incarnations, fences, configurations, the registry, the start table, stops and switches. */
import { confirming, inheriting, rebasing } from "../explore/scopes.ts";
import { deposals, type Mutation, pair, races, three, totalLoss, within } from "./mutation.ts";
import { firstWhereNothingIs, takingOneLinkForBoth, takingSilenceForLoss, withoutTheKernelsWord } from "./worlds.ts";

export const membershipMutations: readonly Mutation[] = [
  {
    name: "a restarted server is taken for its old incarnation",
    rule: "1",
    rules: {
      isSameMember: (one, other) => one.server === other.server,
      isNamed: (record, self) => record.inSync.some(({ server }) => server === self.server),
    },
    plan: { ...within, faults: ["kill", "flap"] },
  },
  {
    name: "a candidate goes on confirming while its compare-and-set is open",
    rule: "2",
    rules: { mayConfirm: () => true },
    plan: { ...pair, faults: ["lateTakeover"] },
  },
  {
    name: "a fenced primary goes on mirroring and acknowledging",
    rule: "2",
    rules: { mayCommit: () => true },
    plan: { ...pair, faults: ["slowFence"] },
  },
  {
    name: "asks for the sole membership before its log is synced",
    rule: "2",
    rules: { isSyncedForCas: () => true },
    plan: { ...pair, faults: ["chase", "kill", "slowDisk"] },
  },
  {
    name: "an open compare-and-set does not count",
    rule: "3",
    rules: { configurations: (settled) => [settled] },
    plan: races,
  },
  {
    name: "only the asked-for configuration counts",
    rule: "3",
    rules: { configurations: (settled, open) => [open ?? settled] },
    plan: races,
  },
  {
    name: "what any one other member confirmed is committed",
    rule: "3",
    rules: {
      commitPoint: ([first], { self, last, synced, confirmed }) => {
        const others = first?.inSync.filter(({ incarnation }) => incarnation !== self) ?? [];
        if (others.length === 0) return synced;
        return Math.min(last, Math.max(...others.map(({ incarnation }) => confirmed(incarnation))));
      },
    },
    plan: { ...three, faults: ["chase", "kill", "cutMain", "failsafe"] },
  },
  {
    name: "a joiner is added while it holds only part",
    rule: "8",
    rules: { mayBeAdded: () => true },
    plan: {
      ...pair,
      faults: ["kill", "killOnJoin", "slowDisk", "failsafe", "cutMain", "flap"],
      retainedBytes: 0,
      flushMs: 20,
    },
  },
  {
    name: "a joiner is added without the inherited log",
    rule: "8",
    rules: { mayBeAdded: (confirmed, committed) => confirmed >= committed },
    scope: { servers: three.servers, after: inheriting },
  },
  {
    name: "a confirm of an earlier epoch makes a member",
    rule: "8",
    rules: { isOfThisEpoch: () => true },
    scope: { servers: pair.servers, after: rebasing, bases: 1, stops: 1 },
  },
  {
    name: "the name of a server counts, not the joiner's incarnation",
    rule: "8",
    rules: { isNamed: (record, self) => record.inSync.some(({ server }) => server === self.server) },
    plan: { ...pair, faults: ["addLate"], flushMs: 1_000 },
  },
  {
    name: "an adding is asked for again though the joiner is gone",
    rule: "8",
    rules: { isInVain: () => false },
    plan: { ...pair, faults: ["addInVain"], heartbeatMs: 50, suspicionMs: 400, registryTimeoutMs: 400 },
  },
  {
    name: "a joiner that loses its primary starts again without its memory",
    rule: "8",
    restarts: (event, from) => event.startsWith("primary.lost") && from === "following.joining",
    plan: { ...within, faults: ["kill", "killOnJoin"] },
  },
  {
    name: "the registry goes back, and a server that restarts remembers no epoch",
    rule: "registry",
    rules: { epochAtStart: () => 0 },
    plan: { faultClass: "registry", faults: ["restartAfterRollBack"] },
  },
  {
    name: "a registry that goes backwards is followed",
    rule: "registry",
    rules: { wentBack: () => false },
    plan: { faultClass: "registry", faults: ["rollBackRegistry", "kill"] },
  },
  {
    name: "the old value settles an unknown compare-and-set",
    rule: "registry",
    rules: { isSettled: (revision, expected) => revision >= expected },
  },
  {
    name: "an unknown compare-and-set counts as lost, and what the registry says then as the proof",
    rule: "registry",
    rules: { isClearlyLost: () => true, isSettled: (revision, expected) => revision >= expected },
    world: takingSilenceForLoss,
    plan: races,
  },
  {
    name: "a missing key is a first start, and no epoch that was seen stands against it",
    rule: "registry",
    rules: { wentBack: () => false },
    world: firstWhereNothingIs,
    plan: { ...pair, faultClass: "registry", faults: ["restartWithoutRegistry"] },
  },
  {
    name: "a registry that was lost is put back without asking a server that is silent",
    rule: "registry",
    rules: { mayRestore: () => true },
    plan: { ...pair, faultClass: "registry", faults: ["restoreWithoutOne"], faultMs: 15_000 },
  },
  {
    name: "a registry that was lost is put back below what servers have seen",
    rule: "registry",
    rules: { restoredEpoch: () => 1 },
    plan: { ...pair, faultClass: "registry", faults: ["createAgain"], faultMs: 15_000 },
  },
  {
    name: "the base of one that is alone never moves",
    rule: "registry",
    rules: { mustRebase: () => false },
    plan: { ...pair, faultClass: "beyond", faults: ["oldSoleDisk"], clients: 4, limits: { baseMs: 500 } },
  },
  {
    name: "a disk that is too old may go on alone",
    rule: "start",
    rules: { holdsBase: () => true },
    plan: { servers: ["alpha", "beta"], faultClass: "beyond", faults: ["ageSoleDisk"] },
  },
  {
    name: "another one's sole disk is not waited for",
    rule: "start",
    rules: { isOwnDisk: () => true },
    plan: { ...pair, faults: ["loseSoleMember"] },
  },
  {
    name: "the longest log of those present goes on",
    rule: "start",
    rules: { mayChooseLongest: () => true },
    plan: { ...within, faults: ["split", "kill", "chase"] },
  },
  {
    name: "a restarted server waits neither for a living in-sync one nor for all",
    rule: "start",
    rules: { mayTakeOver: () => false, mayChooseLongest: () => true },
    plan: { ...within, faults: ["kill"] },
  },
  {
    name: "after a total loss a shorter log goes on",
    rule: "start",
    rules: {
      isBetter: (other, own) => other.last < own.last || (other.last === own.last && other.server < own.server),
    },
    plan: { ...totalLoss, ...three, faultClass: "beyond", confirm: "synced", faults: ["loseAllButStale"] },
  },
  {
    name: "after a total loss a server goes on though an operator must decide",
    rule: "start",
    rules: { mayGoOn: () => true },
    plan: { ...totalLoss, afterTotalLoss: "wait" },
  },
  {
    name: "after a total loss the old history goes on",
    rule: "start",
    rules: { keepsHistory: () => true },
    plan: totalLoss,
  },
  {
    name: "the confirm level of now says that no disk was lost",
    rule: "start",
    rules: { keepsHistory: (_record, _disk, isForced) => !isForced },
    plan: { ...totalLoss, confirm: "synced", faults: ["ageAllDisks"] },
  },
  {
    name: "an empty disk in the name of one that was in sync proves that it restarted",
    rule: "start",
    rules: { provesRestart: () => true, isMembersDisk: () => true },
    plan: { ...pair, faults: ["strangerForMember"], heartbeatMs: 30, suspicionMs: 150, faultMs: 9_000 },
  },
  {
    name: "any disk that knows the history is taken for the one that was in sync",
    rule: "start",
    rules: { isMembersDisk: () => true },
    plan: { ...pair, faults: ["formerForMember"], heartbeatMs: 30, suspicionMs: 150, faultMs: 16_000 },
  },
  {
    name: "an operator's force goes on with the old history",
    rule: "18",
    rules: { keepsHistory: () => true },
    plan: { ...totalLoss, faults: ["forceRecovery"] },
  },
  {
    name: "a server that nobody counts on takes the place of another one of its name",
    rule: "1",
    rules: { mayGoOnBeside: () => true },
    plan: { ...pair, faultClass: "beyond", faults: ["takeName"], faultMs: 20_000 },
  },
  {
    name: "a command is obeyed by whoever has the name",
    rule: "1",
    rules: { isMeant: () => true },
    plan: { ...pair, faultClass: "beyond", faults: ["takeName"], faultMs: 20_000 },
  },
  {
    name: "a name that is heard twice counts as present, and whom nobody counts on goes on beside another of its name",
    rule: "1",
    rules: { mayGoOnBeside: () => true, countsAsPresent: () => true },
    plan: { ...totalLoss, faults: ["countStranger"], faultMs: 20_000 },
  },
  {
    name: "an operator's force goes on from an older copy while a newer one is at hand",
    rule: "18",
    rules: { isNewerCopy: () => false },
    plan: { ...pair, faultClass: "beyond", faults: ["recoverWrongOne"], faultMs: 20_000 },
  },
  {
    name: "an operator's force deposes a primary that serves, and takes no copy for newer",
    rule: "18",
    rules: { isServing: () => false, isNewerCopy: () => false },
    plan: { ...pair, faultClass: "beyond", faults: ["recoverBesidePrimary"], faultMs: 20_000 },
  },
  {
    name: "a server exits while the registry counts on it",
    rule: "clean stop",
    rules: { mayExit: () => true },
    plan: { ...within, faults: ["stopStart"] },
  },
  {
    name: "a joiner exits while its adding may have landed unseen",
    rule: "clean stop",
    rules: { mayExit: (isNamed) => !isNamed },
    plan: { ...within, faults: ["stopStart", "kill"] },
  },
  {
    name: "a joiner that stops waits for a primary that is gone",
    rule: "clean stop",
    rules: { mayLetItselfGo: () => false },
    scope: { servers: pair.servers, after: confirming, stops: 2 },
  },
  {
    name: "one that let itself go is taken in on the record that says so",
    rule: "clean stop",
    rules: { mayTakeIn: () => true },
    scope: { servers: pair.servers, after: confirming, stops: 1, silences: 1 },
  },
  {
    name: "the role is offered before everything is committed, and taken by one that lacks the end",
    rule: "planned switch",
    rules: { mayOffer: () => true, holdsOffer: () => true },
    plan: { ...pair, faults: ["switchOver"] },
  },
  {
    name: "requests are taken while the role is handed over",
    rule: "planned switch",
    rules: { isIntakeStopped: () => false },
    plan: { ...pair, faults: ["switchUnderLoad"], clients: 4, isWide: true },
  },
  {
    name: "a role that the registry does not settle is waited for",
    rule: "planned switch",
    rules: { isHandoverLate: () => false },
    plan: { ...pair, faults: ["switchWhileFull"], faultMs: 12_000 },
  },
  {
    name: "the one that takes the role names itself alone",
    rule: "planned switch",
    rules: {
      rolesSwitched: (heir, base) => ({
        primary: heir,
        inSync: [heir],
        mode: "primary-only",
        durability: "disk",
        base,
      }),
    },
    plan: { ...pair, faults: ["switchOver"] },
  },
  {
    name: "a main link that closes is taken for a peer that is gone",
    rule: "9",
    world: takingOneLinkForBoth,
    plan: { ...pair, faults: ["loseMain"] },
  },
  {
    name: "records go by the main link alone",
    rule: "9",
    rules: { linkFor: () => "main" },
    plan: { ...pair, faults: ["loseMain"] },
  },
  {
    name: "a role moves at once, and where both have lost NATS",
    rule: "9",
    rules: { reachesNats: () => true, mustHandOver: () => true },
    plan: { ...pair, faults: ["loseNatsForAll"] },
  },
  {
    name: "what the kernel and NATS say is waited out",
    rule: "9",
    world: withoutTheKernelsWord,
    plan: { ...pair, faults: ["killAndLook"], heartbeatMs: 100, suspicionMs: 1_500, faultMs: 10_000 },
  },
  {
    name: "servers that stood still take what they did not hear for silence",
    rule: "9",
    rules: { wasPaused: () => false },
    plan: { ...three, faults: ["sleepAll"] },
  },
  {
    name: "a primary that lost NATS keeps its role",
    rule: "9",
    rules: { mustHandOver: () => false },
    plan: { ...pair, faults: ["loseNats"], faultMs: 12_000 },
  },
  {
    name: "a backup that could not take over is counted on",
    rule: "9",
    rules: { mustLeaveOut: () => false },
    plan: { ...pair, faults: ["loseNatsOfBackup"], faultMs: 12_000, limits: { registryLostMs: 1_500 } },
  },
  {
    name: "a joiner that does not reach NATS is taken in",
    rule: "8",
    rules: { mayBackUp: () => true },
    plan: { ...pair, faults: ["joinWithoutNats"], faultMs: 12_000 },
  },
  {
    name: "a backup that keeps being dropped is taken in at once each time",
    rule: "9",
    rules: { mayRejoin: () => true },
    plan: { ...pair, faults: ["flapForLong"], faultMs: 15_000 },
  },
  {
    name: "a backup that confirms nothing is never removed",
    rule: "10",
    rules: { isStalled: () => false },
    plan: { ...pair, confirm: "synced", faults: ["stuckBackup"], faultMs: 9_000 },
  },
  {
    name: "a deposed server that is named forgets its memory",
    rule: "7",
    rules: { isNamed: () => false },
    plan: { ...within, faults: ["split", "cutNats", "chase"] },
  },
  {
    name: "a deposed server that is not named keeps its memory, and takes itself for a member",
    rule: "7",
    rules: { isNamed: () => true },
    plan: deposals,
  },
];
