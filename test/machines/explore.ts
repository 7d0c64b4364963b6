/**
 * Every state of a machine that events can lead to, and every step out of it, by XState's own walk over the machine.
 * `walkPaths` walks the steps again together with a fact that a test keeps about the path (is it hot, whom does it follow), so that a
 * rule about *all* paths is checked on finitely many: every reachable pair of state and fact is visited once.
 */
import type { ExecutionContext } from "ava";
import { type AnyMachineSnapshot, type AnyStateMachine, initialTransition, transition } from "xstate";
import { getAdjacencyMap } from "xstate/graph";
import { stateName } from "../../machines/step.ts";

export interface Step {
  readonly from: string;
  readonly event: string;
  readonly to: string;
  readonly actions: readonly string[];
  readonly before: AnyMachineSnapshot;
  readonly after: AnyMachineSnapshot;
  /** False: the state does not know the event. */
  readonly isTaken: boolean;
}

export interface Walk {
  readonly machine: AnyStateMachine;
  readonly events: readonly string[];
  /** Every reachable state once (with its context, where it has one). */
  readonly states: readonly AnyMachineSnapshot[];
  /** For every reachable state, every event. */
  readonly steps: readonly Step[];
}

export function eventsOf(machine: AnyStateMachine): string[] {
  return machine.events.filter((name) => name !== "" && !name.startsWith("xstate.")).toSorted();
}

export function walk(machine: AnyStateMachine): Walk {
  const events = eventsOf(machine);
  const map = getAdjacencyMap(machine as never, {
    events: events.map((type) => ({ type })) as never,
    serializeState: (snapshot) => keyOf(snapshot as unknown as AnyMachineSnapshot),
  });
  const states = Object.values(map).map(({ state }) => state as unknown as AnyMachineSnapshot);
  const steps = states.flatMap((before) => events.map((event) => stepFrom(machine, before, event)));
  return { machine, events, states, steps };
}

function stepFrom(machine: AnyStateMachine, before: AnyMachineSnapshot, event: string): Step {
  const isOver = before.status !== "active";
  const [next, said] = isOver ? [before, []] : transition(machine, before, { type: event });
  const after = next as AnyMachineSnapshot;
  const actions = said.map(({ type }) => type);
  const isTaken = !isOver && before.can({ type: event } as never);
  return { from: stateName(before), event, to: stateName(after), actions, before, after, isTaken };
}

/** State and context, as one text. */
export function keyOf(snapshot: AnyMachineSnapshot): string {
  return `${stateName(snapshot)} ${JSON.stringify(snapshot.context)}`;
}

/**
 * Follows every path from the start. `onStep` gets the fact before the step and returns the one after it, or a sentence that says
 * which rule the step broke; the failure tells the whole path. Returns how many pairs of state and fact were seen.
 */
export function walkPaths<Fact>(
  t: ExecutionContext,
  machine: AnyStateMachine,
  start: Fact,
  onStep: (fact: Fact, step: Step) => { fact: Fact } | string,
): number {
  const events = eventsOf(machine);
  const [snapshot] = initialTransition(machine);
  const seen = new Set<string>();
  let waiting: { state: AnyMachineSnapshot; fact: Fact; path: readonly string[] }[] = [
    { state: snapshot as AnyMachineSnapshot, fact: start, path: [] },
  ];
  while (waiting.length > 0) {
    const next: typeof waiting = [];
    for (const { state, fact, path } of waiting) {
      const key = `${keyOf(state)} ${JSON.stringify(fact)}`;
      if (seen.has(key)) continue;
      seen.add(key);
      for (const event of events) {
        const step = stepFrom(machine, state, event);
        const here = [...path, event];
        const result = onStep(fact, step);
        if (typeof result === "string") {
          t.fail(`${result}: ${step.from} --${event}--> ${step.to}, by ${here.join(", ")}`);
          return seen.size;
        }
        next.push({ state: step.after, fact: result.fact, path: here });
      }
    }
    waiting = next;
  }
  return seen.size;
}

/** Names of all states that hold no others; those of regions that run side by side each for itself. */
export function leavesOf(machine: AnyStateMachine): string[] {
  const leaves: string[] = [];
  const visit = (node: AnyStateMachine["root"]): void => {
    const children = Object.values(node.states);
    if (children.length === 0) leaves.push(node.path.join("."));
    for (const child of children) visit(child);
  };
  visit(machine.root);
  return leaves;
}

/**
 * What holds for every machine: each state can be reached, each event is known somewhere, only final states are dead ends (and those
 * that the test names).
 */
export function checkSound(
  t: ExecutionContext,
  { machine, events, states, steps }: Walk,
  { deadEnds = [] }: { deadEnds?: readonly string[] } = {},
): void {
  const reached = new Set(states.flatMap((state) => stateName(state).split(", ")));
  t.deepEqual(
    leavesOf(machine).filter((leaf) => !reached.has(leaf)),
    [],
    "states that no events lead to",
  );
  const taken = new Set(steps.filter(({ isTaken }) => isTaken).map(({ event }) => event));
  t.deepEqual(
    events.filter((event) => !taken.has(event)),
    [],
    "events that no state takes",
  );
  const ways = new Set(steps.filter(({ from, to }) => from !== to).map(({ from }) => from));
  t.deepEqual(
    [...new Set(states.filter(({ status }) => status === "active").map(stateName))].filter((name) => !ways.has(name)),
    deadEnds,
    "states that are dead ends and not final",
  );
  for (const { from, event, to, actions, before, after, isTaken } of steps) {
    if (isTaken) continue;
    t.is(after.value, before.value, `${from} does not know ${event}`);
    t.deepEqual([to, actions], [from, []], `${from} does not know ${event}`);
  }
}
