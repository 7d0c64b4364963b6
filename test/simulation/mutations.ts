/**
 * The rules of PROTOCOL.md, broken one at a time at composition: the simulator passes another function where the shipped
 * one would decide. A run with a mutation must find a violation; a rule that no run misses is not needed or not tested.
 * Rules that back each other up (4 and 7) are broken in pairs.
 */
import { type Rules, shippedRules } from "../../machines/replica/rules.ts";

export interface Mutation {
  readonly name: string;
  /** Of PROTOCOL.md. */
  readonly rule: string;
  readonly rules: Partial<Rules>;
}

export const mutations: readonly Mutation[] = [
  {
    name: "a restarted server is taken for its old incarnation",
    rule: "1",
    rules: { isSameMember: (one, other) => one.server === other.server },
  },
  { name: "confirms while fenced", rule: "2", rules: { mayConfirm: () => true } },
  { name: "acknowledges while fenced", rule: "2", rules: { mayCommit: () => true } },
  { name: "asks for the sole membership before its log is synced", rule: "2", rules: { isSyncedForCas: () => true } },
  { name: "an open compare-and-set does not count", rule: "3", rules: { configurations: (settled) => [settled] } },
  {
    name: "only the asked-for configuration counts",
    rule: "3",
    rules: { configurations: (settled, open) => [open ?? settled] },
  },
  {
    name: "the old value settles an unknown compare-and-set",
    rule: "3",
    rules: { isSettled: (revision, expected) => revision >= expected },
  },
  {
    name: "records are appended from any epoch, confirms fit any hash",
    rule: "4",
    rules: { mirrorFits: (message, facts) => message.to === facts.self, confirmFits: () => true },
  },
  {
    name: "confirms of any session, epoch and hash count",
    rule: "4",
    rules: { confirmFits: (message, facts) => message.to === facts.self && message.from === facts.follower },
  },
  { name: "replies leave above the commit point", rule: "5", rules: { mayAnswer: () => true } },
  { name: "reads and refusals need no echo", rule: "5", rules: { isProven: () => true } },
  { name: "tables take what is not committed", rule: "6", rules: { mayApply: (last) => last } },
  {
    name: "an uncommitted tail is kept, confirms fit any hash",
    rule: "7",
    rules: { truncatesTo: (_agreed, last) => last, confirmFits: () => true },
  },
  { name: "a deposed server that is named forgets its memory", rule: "7", rules: { isNamed: () => false } },
  { name: "a joiner is added while it holds only part", rule: "8", rules: { mayBeAdded: () => true } },
  {
    name: "a joiner is added without the inherited log",
    rule: "8",
    rules: { mayBeAdded: (confirmed, committed) => confirmed >= committed },
  },
  { name: "a disk that is too old may go on alone", rule: "start", rules: { holdsBase: () => true } },
  { name: "the longest log of those present goes on", rule: "start", rules: { mayChooseLongest: () => true } },
  { name: "a registry that goes backwards is followed", rule: "registry", rules: { wentBack: () => false } },
  { name: "requests run before the one that they name", rule: "11", rules: { mayRunAfter: () => true } },
  { name: "duplicates are run again", rule: "12", rules: { isDuplicate: () => false } },
  { name: "another body under the same id gets the stored reply", rule: "12", rules: { isReused: () => false } },
  { name: "requests older than what is remembered are run", rule: "12", rules: { isExpired: () => false } },
  {
    name: "a new primary skips the results that may be missing",
    rule: "13",
    rules: { publishFrom: (published) => shippedRules.publishFrom(published) + 1 },
  },
  { name: "a resumed request does everything again", rule: "16", rules: { completed: () => [] } },
  { name: "a request that kills is tried without end", rule: "17", rules: { isPoisoned: () => false } },
  { name: "a server exits while the registry counts on it", rule: "clean stop", rules: { mayExit: () => true } },
];
