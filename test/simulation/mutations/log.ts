/** What is in the log and on the disk, and what leaves: mirrors, confirms, commits, tables, snapshots, disk errors. */
import { chainHash } from "../../../machines/codec/record.ts";
import { restarting } from "../explore/scopes.ts";
import { brisk, deposals, type Mutation, pair, three, within } from "./mutation.ts";
import { believingTheSecondTry, inTwoWrites, refusingAtTheDoor, withoutProof, withoutSideDirectory } from "./worlds.ts";

/** A primary that was left behind, and can hear clients before it can hear of its successor. */
const stale = { ...pair, faults: ["staleReader"], faultMs: 12_000, clients: 4, registryTimeoutMs: 200 } as const;

/** An operator goes on with one of two copies, and the other comes back (rule 18). */
const forced = { ...pair, faultClass: "beyond", faults: ["forceOlderCopy"], flushMs: 20 } as const;

/** A stored reply, with another epoch in it. */
function inThisEpoch(reply: Uint8Array, epoch: number): Uint8Array {
  return Buffer.from(
    Buffer.from(reply)
      .toString()
      .replace(/"epoch":\d+}$/, `"epoch":${epoch}}`),
  );
}

export const logMutations: readonly Mutation[] = [
  {
    name: "a snapshot takes the store's place whoever has come to count on that",
    rule: "7",
    rules: { isSnapshotWanted: () => true, isOvertaken: () => false },
    plan: { ...three, faults: ["overtakenSnapshot"] },
  },
  {
    name: "records of any epoch and session are appended, confirms fit any hash",
    rule: "4",
    rules: { mirrorFits: (message, facts) => message.to === facts.self, confirmFits: () => true },
    plan: { ...three, ...brisk, faults: ["lateMirrors"] },
  },
  {
    name: "records are appended whatever they follow, an uncommitted tail is kept, confirms fit any hash",
    rule: "4",
    rules: {
      asMade: (batch, hash) => ({ ...batch, previousHash: hash, lastHash: chainHash(batch.bytes, hash) }),
      truncatesTo: (_agreed, last) => last,
      confirmFits: () => true,
    },
    plan: deposals,
  },
  {
    name: "confirms of any session, epoch and incarnation count",
    rule: "4",
    rules: { confirmFits: () => true },
    scope: { servers: pair.servers, after: restarting },
  },
  {
    name: "nothing is sent again that was sent, and no session begins anew",
    rule: "4",
    rules: { resendsFrom: (_confirmed, _start, sent) => sent, mayBeginAnew: () => false },
    plan: { ...within, faults: ["flap", "cutMain", "failsafe"] },
  },
  { name: "replies leave above the commit point", rule: "5", rules: { mayAnswer: () => true } },
  {
    name: "what a read saw need not be committed",
    rule: "5",
    rules: { answerNeeds: () => 0 },
    plan: { ...pair, ...brisk, faults: ["loseSlowSoleMember"] },
  },
  { name: "reads and refusals need no echo", rule: "5", rules: { isProven: () => true }, plan: stale },
  {
    name: "an echo of what was in flight already is a proof",
    rule: "5",
    rules: { isFreshProbe: () => true },
    plan: stale,
  },
  {
    name: "a primary that hears nobody takes itself for alone",
    rule: "5",
    rules: { isAlone: () => true },
    plan: stale,
  },
  { name: "no other member's echo is asked for", rule: "5", rules: { otherMembers: () => [] }, plan: stale },
  {
    name: "a duplicate's reply names the present epoch",
    rule: "5",
    rules: { storedReply: inThisEpoch },
    plan: { ...within, faults: ["chase", "kill"] },
  },
  {
    name: "ready is said before what was inherited is committed",
    rule: "5",
    rules: { mayAnnounce: () => true },
    plan: { ...three, ...brisk, faults: ["chase", "kill", "split"] },
  },
  { name: "tables take what is not committed", rule: "6", rules: { mayApply: (last) => last }, plan: deposals },
  {
    name: "a backup confirms however much it has not applied",
    rule: "6",
    rules: { isFarBehind: () => false },
    plan: { ...pair, faults: ["kill", "pause"], clients: 4, limits: { maxUnappliedRecords: 16 } },
  },
  {
    name: "effects and applied sequence go in two writes",
    rule: "6",
    world: inTwoWrites,
    plan: { ...within, faults: ["crashAtBoundary", "kill", "slowDisk"] },
  },
  {
    name: "an uncommitted tail is kept, confirms fit any hash",
    rule: "7",
    rules: { truncatesTo: (_agreed, last) => last, confirmFits: () => true },
    plan: deposals,
  },
  {
    name: "a snapshot goes over the old store as it comes",
    rule: "7",
    world: withoutSideDirectory,
    plan: { ...pair, faults: ["longGone"], retainedBytes: 0, flushMs: 20, rememberReplies: 20, faultMs: 10_000 },
  },
  {
    name: "a snapshot is adopted unproved",
    rule: "7",
    world: withoutProof,
    plan: { ...pair, faults: ["damagedSnapshot"], retainedBytes: 0, flushMs: 20, rememberReplies: 20, faultMs: 10_000 },
  },
  {
    name: "a snapshot's adoption deletes the store that was there, whatever it held",
    rule: "7",
    rules: { isHeldBy: () => true },
    plan: forced,
  },
  {
    name: "the log of another history is cut where the two part",
    rule: "7",
    rules: { mayGoOnInPlace: () => true },
    // The log is on the disk before its commit point is.
    plan: { ...forced, confirm: "written", flushMs: 2_000 },
  },
  {
    name: "who is deposed says that it did nothing of what it was asked",
    rule: "7",
    world: refusingAtTheDoor,
    plan: { ...pair, ...brisk, faults: ["split", "isolate"] },
  },
  {
    name: "after a disk error the write is tried again, and the second try is believed",
    rule: "14",
    world: believingTheSecondTry,
    plan: { ...within, faults: ["failDisk", "kill", "split"] },
  },
  {
    name: "a disk is opened whose tables are not those that were flushed",
    rule: "14",
    rules: { isAsFlushed: () => true },
    plan: { ...within, faults: ["loseRow"], flushMs: 20 },
  },
];
