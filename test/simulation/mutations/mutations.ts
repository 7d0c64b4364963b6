/**
 * The rules of PROTOCOL.md, broken one at a time at composition: the simulator passes another function where the shipped
 * one would decide, or another world. A run with a mutation must find a violation; a rule that no run misses is not
 * needed or not tested. Rules that back each other up are broken in pairs, and the name says so.
 */
import { logMutations } from "./log.ts";
import { membershipMutations } from "./membership.ts";
import type { Mutation } from "./mutation.ts";
import { requestMutations } from "./requests.ts";
import { timeMutations } from "./time.ts";

export type { Mutation } from "./mutation.ts";

const order = [...Array.from({ length: 20 }, (_, index) => String(index + 1)), "registry", "start", "clean stop"];
const placeOf = ({ rule }: Mutation) => (order.includes(rule) ? order.indexOf(rule) : order.length);

export const mutations: readonly Mutation[] = [
  ...membershipMutations,
  ...logMutations,
  ...requestMutations,
  ...timeMutations,
].sort((a, b) => placeOf(a) - placeOf(b));
