/** What the log's time is (rule 20). */
import { brisk, type Mutation, pair } from "./mutation.ts";

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
];
