/** What the log's time is (rule 20). */
import { timerRequestId } from "../../../schemas/timers.ts";
import { brisk, type Mutation, pair, within } from "./mutation.ts";

export const timeMutations: readonly Mutation[] = [
  {
    name: "one clock that is a day ahead is followed",
    rule: "20",
    rules: { isStepTaken: () => true },
    plan: { ...pair, ...brisk, faults: ["leapingClock"] },
  },
  {
    name: "a new primary goes by its own clock alone",
    rule: "20",
    rules: { timeFrom: () => 0 },
    plan: { ...pair, ...brisk, faults: ["slowSuccessor"] },
  },
  {
    name: "an operator's word that a clock is right moves nothing",
    rule: "20",
    rules: { acceptedTime: (_wallMs, ms) => ms },
    plan: { ...pair, ...brisk, faults: ["acceptTime"] },
  },
  {
    name: "what came due while all were down never comes",
    rule: "20",
    rules: { isTimerDue: (atMs, nowMs) => atMs <= nowMs && nowMs - atMs < 200 },
    plan: { ...pair, ...brisk, timers: true, faults: ["downOverDue"] },
  },
  {
    name: "a timer comes before its time",
    rule: "20",
    rules: { isTimerDue: (atMs, nowMs) => atMs <= nowMs + 500 },
    plan: { ...pair, timers: true },
  },
  {
    name: "a timer never comes",
    rule: "20",
    rules: { isTimerDue: () => false },
    plan: { ...pair, timers: true, faultMs: 10_000 },
  },
  {
    name: "its first record leaves the timer where it is",
    rule: "20",
    rules: { takesTimer: () => false },
    plan: { ...within, timers: true, faults: ["kill"] },
  },
  {
    name: "its first record leaves the timer where it is, and each server calls it otherwise: it comes twice",
    rule: "20",
    rules: {
      takesTimer: () => false,
      timerRequest: (name, epoch) => timerRequestId({ ...name, nth: epoch }),
    },
    plan: { ...within, timers: true, faults: ["kill"] },
  },
];
