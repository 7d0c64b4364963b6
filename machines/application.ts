/**
 * The application process of one server (claims 15, 16): hot, it processes requests; warm, it follows the log and is
 * ready to become hot at once. What always holds: it is hot or draining only when it was warm before, which is only
 * with the whole state in memory; a state that ran ahead of the commit point is never followed on from: it is loaded again.
 *
 *   cold      nothing in memory              loading   rows and the log's tail are being read
 *   warm      follows committed records      hot       processes requests
 *   draining  hot, but takes no new requests, until what was begun is committed (a planned switch)
 *   stopped   for good
 */
import { setup } from "xstate";

export type ApplicationEvent =
  /** The store is being read into memory. */
  | { type: "load.started" }
  /** Tables, queues and views are what the store's applied records make them. */
  | { type: "load.finished" }
  /** Another state is to be loaded: a snapshot was adopted, or the log's tail was dropped. */
  | { type: "state.outdated" }
  /** The registry made this server primary, and what it inherited is applied. */
  | { type: "role.primary" }
  /** Intake is closed for a planned switch. */
  | { type: "drain.started" }
  /** The switch did not come about: this server stays primary. */
  | { type: "drain.cancelled" }
  /** Another server is primary, and every effect in memory is committed. */
  | { type: "role.backup" }
  /** This server is not primary any more, and its memory may hold what was never committed. */
  | { type: "role.lost" }
  | { type: "stop" };

export const applicationMachine = setup({
  types: { events: {} as ApplicationEvent },
  actions: {
    clearState: () => {},
    loadState: () => {},
    followLog: () => {},
    takeRequests: () => {},
    refuseRequests: () => {},
    abandonHandlers: () => {},
  },
}).createMachine({
  id: "application",
  initial: "cold",
  on: { stop: ".stopped" },
  states: {
    cold: {
      on: { "load.started": { target: "loading", actions: "loadState" } },
    },
    loading: {
      on: {
        "load.finished": { target: "warm", actions: "followLog" },
        "state.outdated": { target: "cold", actions: "clearState" },
      },
    },
    warm: {
      on: {
        "role.primary": { target: "hot", actions: "takeRequests" },
        "state.outdated": { target: "cold", actions: "clearState" },
      },
    },
    hot: {
      on: {
        "drain.started": { target: "draining", actions: "refuseRequests" },
        "role.lost": { target: "cold", actions: ["refuseRequests", "abandonHandlers", "clearState"] },
      },
    },
    draining: {
      on: {
        "drain.cancelled": { target: "hot", actions: "takeRequests" },
        "role.backup": { target: "warm", actions: ["abandonHandlers", "followLog"] },
        "role.lost": { target: "cold", actions: ["abandonHandlers", "clearState"] },
      },
    },
    stopped: { type: "final", entry: ["refuseRequests", "abandonHandlers"] },
  },
});
