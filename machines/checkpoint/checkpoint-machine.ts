/**
 * The checkpoint agent's states (rules 7 and 14). Rare events go through the pure `transition`; group commits do not.
 * What always holds: a store is scanned before it is used, after a snapshot was adopted too; a scan, a flush and an adoption
 * that have begun end before the store is closed; a snapshot that was not adopted leaves the agent where it was; after a
 * failure nothing is accepted but `close`, and the failure is reported once (while opening, by whoever opens).
 */
import { assign, initialTransition, type SnapshotFrom, setup, transition } from "xstate";

export type CheckpointEvent =
  | { type: "open" }
  | { type: "found.state" }
  | { type: "found.nothing" }
  | { type: "created" }
  | { type: "flush.begun" }
  | { type: "flush.ended" }
  | { type: "snapshot.begun" }
  | { type: "snapshot.verified" }
  | { type: "snapshot.adopted" }
  | { type: "snapshot.dropped" }
  | { type: "store.failed" }
  | { type: "close" };

/** What the agent does, in the order given. */
export type CheckpointAction = "openStore" | "scanStore" | "dropSide" | "reportFailure" | "closeStore";

/** The actions only name what is to be done. */
const name = () => undefined;
const failing = { target: "failed", actions: "reportFailure" } as const;
const closing = { target: "closed", actions: "closeStore" } as const;

export const checkpointMachine = setup({
  types: { events: {} as CheckpointEvent, context: {} as { hasState: boolean } },
  actions: {
    openStore: name,
    scanStore: name,
    dropSide: name,
    reportFailure: name,
    closeStore: name,
    noteState: assign({ hasState: true }),
    noteNothing: assign({ hasState: false }),
  },
  guards: { hasState: ({ context }) => context.hasState },
}).createMachine({
  id: "checkpoint",
  initial: "closed",
  context: { hasState: false },
  states: {
    closed: { on: { open: { target: "recovering", actions: ["openStore", "scanStore"] } } },
    recovering: {
      on: { "found.state": "idle", "found.nothing": "fresh", "store.failed": "failed", close: "abandoning" },
    },
    fresh: {
      entry: "noteNothing",
      on: { created: "idle", "snapshot.begun": "receiving", "store.failed": failing, close: closing },
    },
    idle: {
      entry: "noteState",
      on: {
        "flush.begun": "flushing",
        "snapshot.begun": "receiving",
        "store.failed": failing,
        close: closing,
      },
    },
    flushing: { on: { "flush.ended": "idle", "store.failed": failing, close: "stopping" } },
    stopping: {
      on: {
        "flush.ended": closing,
        "store.failed": { target: "failed", actions: ["reportFailure", "closeStore"] },
      },
    },
    abandoning: {
      on: {
        "found.state": closing,
        "found.nothing": closing,
        "snapshot.adopted": closing,
        "store.failed": { target: "failed", actions: ["reportFailure", "closeStore"] },
      },
    },
    receiving: {
      on: {
        "snapshot.verified": "adopting",
        "snapshot.dropped": [
          { guard: "hasState", target: "idle", actions: "dropSide" },
          { target: "fresh", actions: "dropSide" },
        ],
        "store.failed": { target: "failed", actions: ["dropSide", "reportFailure"] },
        close: { target: "closed", actions: ["dropSide", "closeStore"] },
      },
    },
    adopting: { on: { "snapshot.adopted": "adopted", "store.failed": failing, close: "abandoning" } },
    adopted: { on: { open: { target: "recovering", actions: "scanStore" }, close: closing } },
    failed: { on: { close: { actions: "closeStore" } } },
  },
});

export type CheckpointSnapshot = SnapshotFrom<typeof checkpointMachine>;
export type CheckpointState = CheckpointSnapshot["value"];

export function checkpointStart(): CheckpointSnapshot {
  return initialTransition(checkpointMachine)[0];
}

/** The state after the event and what is to be done; null where the event is not allowed. */
export function checkpointNext(
  snapshot: CheckpointSnapshot,
  event: CheckpointEvent,
): { snapshot: CheckpointSnapshot; actions: CheckpointAction[] } | null {
  if (!snapshot.can(event)) return null;
  const [next, actions] = transition(checkpointMachine, snapshot, event);
  return { snapshot: next, actions: actions.map(({ type }) => type as CheckpointAction) };
}
