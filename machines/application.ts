/**
 * The application process of one server (claims 15, 16): hot, it processes requests; otherwise it is warm and follows
 * the log, ready to become hot at once. What always holds: it is hot or warm only with the whole state in memory; when
 * the state in memory is not to be followed on from, it is loaded again first, and no handler of before can change it. The
 * application's actor performs what it says; only the first loading is done before there is an actor (actors/loader.ts).
 *
 *   loading   tables, queues and views are being built from the store and the log
 *   warm      committed records are applied as they come
 *   hot       requests are processed
 *   stopped   for good
 */
import { type SnapshotFrom, setup } from "xstate";
import { stepsOf } from "./step.ts";

export type ApplicationEvent =
  /** The state in memory is what the store and the log make it. */
  | { type: "state.loaded" }
  /** It holds what was never committed, or a snapshot has taken its place on disk. */
  | { type: "state.outdated" }
  /** This server is primary, and what it inherited is applied. */
  | { type: "role.hot" }
  /** This server is not primary any more. */
  | { type: "role.cold" }
  | { type: "stop" };

export type ApplicationAction =
  /** Build the state again, then say `state.loaded`. */
  | "loadState"
  /** Let requests in, resumed ones first, and publish results. */
  | "takeRequests"
  /** End the handlers that still run, without a word to their clients, and let nothing in or out. */
  | "abandonHandlers";

const say = () => {};

export const applicationMachine = setup({
  types: { events: {} as ApplicationEvent },
  actions: { loadState: say, takeRequests: say, abandonHandlers: say },
}).createMachine({
  id: "application",
  initial: "loading",
  on: { stop: ".stopped" },
  states: {
    loading: {
      entry: "loadState",
      on: { "state.loaded": "warm", "state.outdated": { target: "loading", reenter: true } },
    },
    warm: { on: { "role.hot": "hot", "state.outdated": "loading" } },
    hot: {
      entry: "takeRequests",
      exit: "abandonHandlers",
      on: { "role.cold": "warm", "state.outdated": "loading" },
    },
    stopped: { type: "final" },
  },
});

export type ApplicationSnapshot = SnapshotFrom<typeof applicationMachine>;

const steps = stepsOf<ApplicationSnapshot, ApplicationEvent, ApplicationAction>(applicationMachine);

/** The state of a server that has just started; `loadState` is due. */
export const loadingApplication: ApplicationSnapshot = steps.initial;

/** One step: the next snapshot and what to do, in order. An event that the state does not know changes nothing. */
export const applicationStep: (
  snapshot: ApplicationSnapshot,
  event: ApplicationEvent,
) => readonly [ApplicationSnapshot, readonly ApplicationAction[]] = steps.step;
