/**
 * How a machine without context is stepped: from a snapshot and an event to the next snapshot and what to do, in order.
 * What always holds: the result depends on the state and the event's type alone, so each step is worked out by XState
 * once and remembered; equal states are one object; an event that a state does not know changes nothing, and nor does
 * any event once the machine has ended (XState's `transition` alone would still take those of its root).
 */
import { type AnyStateMachine, initialTransition, type StateValue, transition } from "xstate";

export interface Steps<Snapshot, Event, Action> {
  readonly initial: Snapshot;
  step(snapshot: Snapshot, event: Event): readonly [next: Snapshot, actions: readonly Action[]];
}

/** `Event` and `Action` name what the machine takes and says; its events carry nothing but their type. */
export function stepsOf<Snapshot extends { value: StateValue }, Event extends { type: string }, Action extends string>(
  machine: AnyStateMachine,
): Steps<Snapshot, Event, Action> {
  const [start] = initialTransition(machine);
  const states = new Map<string, Snapshot>();
  const known = new WeakMap<Snapshot, Map<string, readonly [Snapshot, readonly Action[]]>>();
  const theOne = (snapshot: Snapshot): Snapshot => {
    const key = JSON.stringify(snapshot.value);
    const same = states.get(key);
    if (same !== undefined) return same;
    states.set(key, snapshot);
    known.set(snapshot, new Map());
    return snapshot;
  };
  const work = (snapshot: Snapshot, event: Event): readonly [Snapshot, readonly Action[]] => {
    if ((snapshot as { status?: string }).status === "done") return [snapshot, []];
    const [next, actions] = transition(machine, snapshot as never, event);
    return [theOne(next as unknown as Snapshot), actions.map(({ type }) => type as Action)];
  };
  return {
    initial: theOne(start as unknown as Snapshot),
    step(snapshot, event) {
      const results = known.get(snapshot) ?? known.get(theOne(snapshot));
      const result = results?.get(event.type) ?? work(snapshot, event);
      results?.set(event.type, result);
      return result;
    },
  };
}

/** The state's name with dots, as operators see it: `hot.normal`, `candidate.syncing`. Regions that run side by side are joined by `, `. */
export function stateName({ value }: { value: StateValue }): string {
  if (typeof value === "string") return value;
  return Object.entries(value)
    .map(([name, inner]) => (inner === undefined ? name : `${name}.${stateName({ value: inner })}`))
    .join(", ");
}
