/**
 * The rules of PROTOCOL.md, broken one at a time at composition: the simulator passes another function where the shipped
 * one would decide. A run with a mutation must find a violation; a rule that no run misses is not needed or not tested.
 * Rules that back each other up are broken in pairs,
 * and the name says so.
 */
import { type Rules, shippedRules } from "../../machines/replica/rules.ts";
import type { SeedPlan } from "./seed-run.ts";

export interface Mutation {
  readonly name: string;
  /** Of PROTOCOL.md. */
  readonly rule: string;
  readonly rules: Partial<Rules>;
  /** The unit test in test/replica/ that asserts the rule itself, where seeds seldom come to it or others back it up. */
  readonly asserted?: string;
  /** Where the rule matters: the rest of the plan is the seed's. */
  readonly plan?: Partial<SeedPlan>;
}

const within = { faultClass: "within", confirm: "memory" } as const;
const pair = { ...within, servers: ["alpha", "beta"] } as const;
/** Both sides race for the registry and die at the worst moment. */
const races = { ...pair, faults: ["split", "registry", "chase", "kill"] } as const;
const deposals = { ...within, faults: ["split", "pause", "isolate", "kill"] } as const;

export const mutations: readonly Mutation[] = [
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
    name: "confirms while its compare-and-set is open",
    rule: "2",
    rules: { mayConfirm: () => true },
    asserted: "a candidate's fence is lifted when its primary is back before the asking (rule 2)",
    plan: races,
  },
  {
    name: "acknowledges while fenced",
    rule: "2",
    rules: { mayCommit: () => true },
    asserted:
      "a fenced primary acknowledges nothing, and what is confirmed again leaves when the fence is lifted (rule 2)",
    plan: { ...pair, faults: ["split", "chase", "slowDisk", "registry", "kill"] },
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
    name: "the old value settles an unknown compare-and-set",
    rule: "3",
    rules: { isSettled: (revision, expected) => revision >= expected },
  },
  {
    name: "records are appended from any epoch and session, confirms fit any hash",
    rule: "4",
    rules: { mirrorFits: (message, facts) => message.to === facts.self, confirmFits: () => true },
    asserted:
      "mirrors of another session, epoch or primary, damaged or out of order, are not appended (rule 4, danger 19)",
    plan: { ...deposals, faults: ["split", "failsafe", "pause", "isolate"] },
  },
  {
    name: "confirms of any session, epoch and hash count",
    rule: "4",
    rules: { confirmFits: () => true },
    asserted: "confirms of another session, epoch, incarnation or hash count for nothing (rule 4, danger 18)",
    plan: { ...deposals, faults: ["split", "failsafe", "flap", "cutMain", "kill"] },
  },
  { name: "replies leave above the commit point", rule: "5", rules: { mayAnswer: () => true } },
  {
    name: "reads and refusals need no echo",
    rule: "5",
    rules: { isProven: () => true },
    asserted:
      "a refusal waits for an echo of something sent after it arrived; what was in flight proves nothing (rule 5, danger 45)",
    plan: { ...pair, faults: ["pauseBehindSplit"], faultMs: 10_000 },
  },
  { name: "tables take what is not committed", rule: "6", rules: { mayApply: (last) => last }, plan: deposals },
  {
    name: "an uncommitted tail is kept, confirms fit any hash",
    rule: "7",
    rules: { truncatesTo: (_agreed, last) => last, confirmFits: () => true },
    plan: deposals,
  },
  {
    name: "a deposed server that is named forgets its memory",
    rule: "7",
    rules: { isNamed: () => false },
    plan: { ...within, faults: ["split", "cutNats", "chase"] },
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
    asserted: "a joiner that lacks a record, or confirmed in an earlier epoch, is not asked for (rule 8, danger 46)",
    plan: {
      ...within,
      servers: ["alpha", "beta", "gamma", "delta"],
      faults: ["chase", "killOnJoin", "cutMain", "failsafe", "flap"],
    },
  },
  {
    name: "a confirm of an earlier epoch makes a member",
    rule: "8",
    rules: { isOfThisEpoch: () => true },
    plan: { ...within, faults: ["split", "chase", "killOnJoin", "registry"] },
  },
  {
    name: "a disk that is too old may go on alone",
    rule: "start",
    rules: { holdsBase: () => true },
    plan: { servers: ["alpha", "beta"], faultClass: "beyond", faults: ["ageSoleDisk"] },
  },
  {
    name: "the longest log of those present goes on",
    rule: "start",
    rules: { mayChooseLongest: () => true },
    plan: { ...within, faults: ["split", "kill", "chase"] },
  },
  {
    name: "a registry that goes backwards is followed",
    rule: "registry",
    rules: { wentBack: () => false },
    plan: { faultClass: "registry", faults: ["rollBackRegistry", "kill"] },
  },
  {
    name: "requests run before the one that they name",
    rule: "11",
    rules: { mayRunAfter: () => true },
    plan: { ...within, faults: ["kill", "brokerLoss", "cutNats"] },
  },
  { name: "duplicates are run again", rule: "12", rules: { isDuplicate: () => false } },
  { name: "another body under the same id gets the stored reply", rule: "12", rules: { isReused: () => false } },
  {
    name: "requests older than what is remembered are run",
    rule: "12",
    rules: { isExpired: () => false },
    plan: { rememberReplies: 20 },
  },
  {
    name: "a new primary skips a result that may be missing",
    rule: "13",
    rules: { publishFrom: (published) => shippedRules.publishFrom(published) + 1 },
    plan: { ...within, faults: ["kill", "chase", "split"] },
  },
  {
    name: "a resumed request does everything again",
    rule: "16",
    rules: { completed: () => [] },
    plan: { ...within, workload: "ledger", faults: ["kill", "chase", "split"] },
  },
  {
    name: "a request that kills is tried without end",
    rule: "17",
    rules: { isPoisoned: () => false },
    plan: { ...within, faults: ["lethalRequest"] },
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
    asserted: "a joiner that stops while its adding is open waits until it is settled (danger 48)",
    plan: { ...within, faults: ["stopStart", "kill"] },
  },
];
