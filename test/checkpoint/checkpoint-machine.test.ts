/** Every reachable state and event of the checkpoint machine, against the rules that it stands for. */
import test from "ava";
import { getAdjacencyMap } from "xstate/graph";
import {
  type CheckpointEvent,
  type CheckpointState,
  checkpointMachine,
  checkpointNext,
  checkpointStart,
} from "../../machines/checkpoint/checkpoint-machine.ts";

const types = [
  "open",
  "found.state",
  "found.nothing",
  "created",
  "flush.begun",
  "flush.ended",
  "snapshot.begun",
  "snapshot.verified",
  "snapshot.adopted",
  "snapshot.dropped",
  "store.failed",
  "close",
] as const satisfies readonly CheckpointEvent["type"][];

const reached = Object.values(getAdjacencyMap(checkpointMachine, { events: types.map((type) => ({ type })) })).map(
  ({ state }) => state,
);

/** Each edge that is allowed: from, event, to and actions. */
const edges = reached.flatMap((state) =>
  types.flatMap((type) => {
    const next = checkpointNext(state, { type });
    return next === null ? [] : [{ from: state, type, to: next.snapshot, actions: next.actions }];
  }),
);

test("every state is reached", (t) => {
  const found = new Set(reached.map(({ value }) => value));
  t.deepEqual([...found].sort(), Object.keys(checkpointMachine.states).sort() as CheckpointState[]);
  t.is(checkpointStart().value, "closed");
});

test("every event is of use somewhere, and every state can be left", (t) => {
  t.deepEqual([...new Set(edges.map(({ type }) => type))].sort(), [...types].sort());
  for (const state of reached) t.true(edges.some(({ from }) => from === state));
});

test("after a failure nothing but closing is possible, and each failure is reported exactly when it is entered", (t) => {
  for (const { from, type, to, actions } of edges) {
    if (from.value === "failed") t.deepEqual([type, to.value, actions], ["close", "failed", ["closeStore"]]);
    const isEntered = from.value !== "failed" && to.value === "failed";
    t.is(actions.includes("reportFailure"), isEntered && from.value !== "recovering");
  }
});

test("a failure is possible in every state that holds an open store, but after adoption, when nothing is under way", (t) => {
  for (const state of reached)
    t.is(
      checkpointNext(state, { type: "store.failed" }) === null,
      ["closed", "failed", "adopted"].includes(state.value),
    );
});

test("a store is opened once, and scanned before it is used", (t) => {
  for (const { from, to, actions } of edges) {
    t.is(actions.includes("openStore"), from.value === "closed");
    t.is(actions.includes("scanStore"), to.value === "recovering");
    if (to.value === "flushing") t.is(from.value, "idle");
    if (to.value === "idle") t.true(["recovering", "fresh", "flushing", "receiving"].includes(from.value));
  }
});

test("a store is closed on every way to closed, and never while a flush is under way", (t) => {
  for (const { from, to, actions } of edges) {
    if (to.value === "closed") t.true(actions.includes("closeStore"));
    if (from.value === "flushing") t.false(actions.includes("closeStore"));
  }
});

test("a snapshot that is not adopted is dropped and leaves the agent where it was", (t) => {
  for (const { from, type, to, actions } of edges) {
    if (from.value !== "receiving") t.false(actions.includes("dropSide"));
    else t.is(actions.includes("dropSide"), to.value !== "adopting");
    if (type === "snapshot.dropped") t.is(to.value, from.context.hasState ? "idle" : "fresh");
    if (type === "snapshot.begun") t.is(to.context.hasState, from.value === "idle");
  }
});
