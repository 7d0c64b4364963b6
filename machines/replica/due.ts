/**
 * A lifecycle event that the facts call for. What always holds: at most one is due at a time; while a compare-and-set is open, or
 * the registry went backwards, nothing is due but the exit of a server that nothing names, and the end of a switch that
 * takes too long.
 */
import type { Member } from "../../schemas/registry.ts";
import type { LifecycleEvent } from "../lifecycle.ts";

/** What a successor must have beyond a session: a connection to NATS, and answers from the registry too. */
export type SuccessorNeeds = "session" | "bus" | "registry";

export interface Due {
  readonly event: LifecycleEvent["type"];
  /** For operators. */
  readonly why: string;
  /** Whom the compare-and-set that follows leaves out, or takes in. */
  readonly leavingOut?: readonly Member[];
  readonly takingIn?: Member;
  /** Who is to take the role over, and what whoever does must have. */
  readonly successor?: string;
  readonly needs?: SuccessorNeeds;
}
