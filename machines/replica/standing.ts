/**
 * How a replica stands, for those who read it: its state and role, its epoch, its log and commit point. What always holds:
 * reading changes nothing, and nothing is kept here that is known elsewhere.
 */
import type { MemoryLog } from "../log/memory-log.ts";
import { Parts } from "./parts.ts";
import type { Rules } from "./rules.ts";
import type { RunningLifecycle } from "./running-lifecycle.ts";

export abstract class Standing extends Parts {
  abstract readonly lifecycle: RunningLifecycle;
  abstract readonly rules: Rules;
  abstract readonly stopping: boolean;

  get state(): string {
    return this.lifecycle.state;
  }
  get hot(): boolean {
    return this.lifecycle.hot;
  }
  get fenced(): boolean {
    return this.lifecycle.fenced;
  }
  get isFinal(): boolean {
    return this.lifecycle.isFinal;
  }
  get epoch(): number {
    return this.membership.epoch;
  }
  get role(): "primary" | "backup" | "none" {
    if (this.hot) return "primary";
    return this.membership.isNamed && this.lifecycle.isFollowing ? "backup" : "none";
  }
  get log(): MemoryLog {
    return this.own.log;
  }
  get history(): string {
    return this.own.told;
  }
  get committed(): number {
    return this.own.committed;
  }
  get inherited(): number {
    return this.serving.inherited;
  }
  /** Whether the server listens for requests: not while the role is handed over, nor when the last one stops. */
  get takesRequests(): boolean {
    const { hot, held, state } = this.lifecycle;
    const isOpen = hot && this.applied.isLoaded && !this.rules.isIntakeStopped(held);
    return isOpen && !(this.stopping && state === "hot.alone");
  }
}
