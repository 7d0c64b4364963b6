/** What clients and integrators are promised: order, duplicates, results, limits, resumed requests, requests that kill. */
import { shippedRules } from "../../../machines/replica/rules.ts";
import { brisk, type Mutation, pair, totalLoss, within } from "./mutation.ts";
import { replacingWhatDoesNotFit, sendingWhatDoesNotFit, takingStandInsForResults } from "./worlds.ts";

/** More clients than have floors of their own. */
const crowded = { rememberReplies: 20, clients: 6, limits: { rememberClients: 2, skewMs: 0 } } as const;

/** No reply stays in memory once its record is on the disk. */
const letGo = { retainedBytes: 0, flushMs: 20, limits: { maxRememberedBytes: 0 } } as const;

export const requestMutations: readonly Mutation[] = [
  {
    name: "requests run before the one that they name",
    rule: "11",
    rules: { mayRunAfter: () => true },
    plan: { ...within, faults: ["kill", "brokerLoss", "cutNats"] },
  },
  { name: "duplicates are run again", rule: "12", rules: { isDuplicate: () => false } },
  { name: "another body under the same id gets the stored reply", rule: "12", rules: { isReused: () => false } },
  {
    name: "a reply that memory has let go of is read from another record",
    rule: "12",
    rules: { recalls: (sequence) => Math.max(1, sequence - 1) },
    plan: { ...pair, ...letGo, faults: ["kill", "cutNats"] },
  },
  {
    name: "requests older than what is remembered are run",
    rule: "12",
    rules: { isExpired: () => false },
    plan: { rememberReplies: 20 },
  },
  {
    name: "what is in progress is begun again",
    rule: "12",
    rules: { isInProgress: () => false },
  },
  {
    name: "the floor itself is let in",
    rule: "12",
    rules: { isExpired: (issuedAtMs, floorMs) => issuedAtMs !== undefined && issuedAtMs < floorMs },
    plan: { ...pair, rememberReplies: 20 },
  },
  {
    name: "the floor is what was forgotten last",
    rule: "12",
    rules: { floorAfter: (_floorMs, forgottenMs) => forgottenMs },
    plan: { ...within, rememberReplies: 10, clients: 8, faults: ["brokerLoss", "cutNats", "kill", "jumpClients"] },
  },
  {
    name: "each server forgets by itself",
    rule: "12",
    rules: { forgetsThrough: (_carried, sequence) => sequence - 15 },
    plan: { ...within, rememberReplies: 20, faults: ["kill"] },
  },
  {
    name: "stamps of the future are taken",
    rule: "12",
    rules: { isFromFuture: () => false },
    plan: { ...within, faults: ["futureClient"], rememberReplies: 20, clients: 3 },
  },
  {
    name: "one client's stamp is everybody's floor",
    rule: "12",
    rules: { floorFor: (_ownMs, _commonMs, highestMs) => highestMs },
    plan: { ...within, faults: ["jumpClients"], rememberReplies: 20, clients: 3 },
  },
  {
    name: "a floor is dropped and the common one is not lifted",
    rule: "12",
    rules: { commonAfter: (commonMs) => commonMs },
    plan: {
      ...within,
      ...crowded,
      faults: ["brokerLoss", "cutNats", "kill"],
    },
  },
  {
    name: "any number of clients may be ahead of the clock",
    rule: "12",
    rules: { maxAhead: () => Number.POSITIVE_INFINITY },
    plan: { ...within, ...crowded, faults: ["jumpClients"] },
  },
  {
    name: "stamps are judged by the primary's own clock",
    rule: "12",
    rules: { futureAfter: (_latestMs, ownMs) => ownMs },
    plan: { ...pair, faults: ["slowPrimary"], clients: 3 },
  },
  {
    name: "a new primary takes results for published that may be missing",
    rule: "13",
    rules: { publishFrom: (published) => shippedRules.publishFrom(published) + 1_000 },
    plan: { ...pair, ...brisk, faults: ["listenAfterKill"] },
  },
  {
    name: "a new history forgets those before it",
    rule: "13",
    rules: { remembersHistories: () => [] },
    plan: { ...totalLoss, faults: ["killAll", "slowIntegrator"], faultMs: 15_000, flushMs: 20 },
  },
  {
    name: "results are published before they are committed",
    rule: "13",
    rules: { mayPublish: (last) => last },
    plan: { ...within, faults: ["split", "isolate", "kill", "pause"] },
  },
  {
    name: "what NATS forbids counts as published",
    rule: "13",
    rules: { isHeldBack: () => false },
    plan: { ...pair, ...brisk, faults: ["forbid"] },
  },
  {
    name: "what stands in for a result counts as the result",
    rule: "13",
    world: takingStandInsForResults,
    plan: { ...pair, ...brisk, workload: "exchange", faults: ["narrowResults"] },
  },
  {
    name: "a stored reply that the broker does not take is replaced",
    rule: "13",
    world: replacingWhatDoesNotFit,
    plan: { ...pair, ...brisk, workload: "exchange", faults: ["shrinkBroker"] },
  },
  {
    name: "messages are sent that are larger than the broker takes",
    rule: "15",
    world: sendingWhatDoesNotFit,
    plan: { ...pair, ...brisk, workload: "exchange", faults: ["shrinkBroker"] },
  },
  {
    name: "requests are taken past the limit",
    rule: "15",
    rules: { isFull: () => false },
    plan: { ...pair, faults: ["split"], clients: 4, limits: { maxInFlight: 4 } },
  },
  {
    name: "what one client takes of a limit is refused to all",
    rule: "15",
    rules: { isBeyondShare: () => true },
    plan: { ...pair, faults: ["crowd"], clients: 1, limits: { maxInFlight: 16 } },
  },
  {
    name: "a record may be larger than what is sent",
    rule: "15",
    rules: { recordRoom: () => 1_000_000 },
    plan: { ...pair, workload: "exchange", faults: ["flap"], limits: { maxRequestBytes: 400, maxRecordBytes: 1_024 } },
  },
  {
    name: "mirrors take no notice of what their link takes",
    rule: "15",
    rules: { mirrorRoom: () => Number.POSITIVE_INFINITY },
    plan: {
      ...pair,
      workload: "exchange",
      faults: ["burst", "narrowBroker"],
      limits: { maxRequestBytes: 512, maxRecordBytes: 1_024, maxBatchBytes: 64 * 1_024 },
    },
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
    name: "a death that a watchdog told does not count as an attempt",
    rule: "17",
    rules: { toldAttempts: () => 0 },
    plan: { ...within, faults: ["blockedRequest"] },
  },
  {
    name: "a request that may have killed a server is run again without a word",
    rule: "17",
    rules: { needsAttempt: () => false },
    plan: { ...within, faults: ["lethalRequest"] },
  },
  {
    name: "a timer that may have killed a server comes again without a word",
    rule: "17",
    rules: { mayHaveBeenTried: () => false },
    plan: { ...within, timers: true, faults: ["lethalRequest"], limits: { cautionMs: 0 } },
  },
];
