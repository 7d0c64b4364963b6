/**
 * The lifecycle machine at work. What always holds: events are taken one at a time, in the order in which they were said,
 * and all that one leads to is done before the next; the plain fields, which the hot path reads, are those of the last
 * transition.
 */
import {
  type LifecycleAction,
  type LifecycleEvent,
  type LifecycleSnapshot,
  type LifecycleState,
  lifecycleState,
  lifecycleStep,
  startingLifecycle,
} from "../lifecycle.ts";
import type { Due } from "./due.ts";

/** An event that changed the state, or asks for something. */
export interface Transition {
  readonly due: Due;
  readonly from: LifecycleState;
  readonly to: LifecycleState;
  readonly actions: readonly LifecycleAction[];
}

export class RunningLifecycle {
  state = lifecycleState(startingLifecycle);
  hot = false;
  fenced = false;
  /** A compare-and-set is open, or about to be opened. */
  isAsking = false;
  /** No new request is taken: the role is being handed over. */
  held = false;
  isFollowing = false;
  isFinal = false;
  private snapshot: LifecycleSnapshot = startingLifecycle;
  private readonly said: Due[] = [];

  /** An event that is said while another is being worked out waits for its turn. */
  dispatch(due: Due, perform: (transition: Transition) => void): void {
    this.said.push(due);
    if (this.said.length > 1) return;
    while (this.said.length > 0) {
      this.step(this.said[0] as Due, perform);
      this.said.shift();
    }
  }

  private step(due: Due, perform: (transition: Transition) => void): void {
    const from = this.state;
    const [snapshot, actions] = lifecycleStep(this.snapshot, { type: due.event } as LifecycleEvent);
    this.take(snapshot);
    if (from !== this.state || actions.length > 0) perform({ due, from, to: this.state, actions });
  }

  private take(snapshot: LifecycleSnapshot): void {
    this.snapshot = snapshot;
    this.state = lifecycleState(snapshot);
    this.hot = snapshot.hasTag("hot");
    this.fenced = snapshot.hasTag("fenced");
    this.isAsking = snapshot.hasTag("asking");
    this.held = snapshot.hasTag("held");
    this.isFollowing = snapshot.hasTag("following");
    this.isFinal = snapshot.status === "done";
  }
}
