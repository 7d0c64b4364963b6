/**
 * The lifecycle machine at work. What always holds: events are taken one at a time, in the order in which they were said,
 * and all that one leads to is done before the next; the plain fields, which the hot path reads, are those of the last
 * transition.
 */
import {
  type LifecycleAction,
  type LifecycleEvent,
  type LifecycleSnapshot,
  lifecycleStep,
  startingLifecycle,
  stateName,
} from "../lifecycle.ts";

/** An event that changed the state, or asks for something. */
export interface Transition {
  readonly event: LifecycleEvent["type"];
  readonly from: string;
  readonly to: string;
  readonly why: string;
  readonly actions: readonly LifecycleAction[];
}

interface Said {
  readonly event: LifecycleEvent["type"];
  readonly why: string;
}

export class RunningLifecycle {
  state = stateName(startingLifecycle);
  hot = false;
  fenced = false;
  /** No new request is taken: the role is being handed over. */
  held = false;
  isFollowing = false;
  isFinal = false;
  #snapshot: LifecycleSnapshot = startingLifecycle;
  readonly #said: Said[] = [];
  readonly #onTransition: (transition: Transition) => void;

  constructor(onTransition: (transition: Transition) => void) {
    this.#onTransition = onTransition;
  }

  /** As a copy, which tells its own transitions. Between events. */
  goOnFrom(original: RunningLifecycle): void {
    this.#take(original.#snapshot);
  }

  /** `why`: for operators. An event that is said while another is being worked out waits for its turn. */
  dispatch(event: LifecycleEvent["type"], why: string): void {
    this.#said.push({ event, why });
    if (this.#said.length > 1) return;
    while (this.#said.length > 0) {
      this.#step(this.#said[0] as Said);
      this.#said.shift();
    }
  }

  #step({ event, why }: Said): void {
    const from = this.state;
    const [snapshot, actions] = lifecycleStep(this.#snapshot, { type: event } as LifecycleEvent);
    this.#take(snapshot);
    if (from !== this.state || actions.length > 0) this.#onTransition({ event, from, to: this.state, why, actions });
  }

  #take(snapshot: LifecycleSnapshot): void {
    this.#snapshot = snapshot;
    this.state = stateName(snapshot);
    this.hot = snapshot.hasTag("hot");
    this.fenced = snapshot.hasTag("fenced");
    this.held = snapshot.hasTag("held");
    this.isFollowing = snapshot.hasTag("following");
    this.isFinal = snapshot.status === "done";
  }
}
