/** A server's status as a test wants it: by default alpha, the primary of a pair that is in sync. */
import type { ServerStatus } from "../../schemas/status.ts";

export function statusOf(changes: Partial<ServerStatus>): ServerStatus {
  return {
    service: "exchange",
    name: "alpha",
    pid: 1,
    version: "0.0.0",
    role: "primary",
    state: "hot.normal",
    application: "hot",
    incarnation: "i1",
    epoch: 3,
    history: "h1",
    mode: "normal",
    sequence: 10,
    committed: 10,
    flushed: 8,
    synced: 8,
    links: { main: "up", failsafe: "up" },
    why: "backup joined",
    waitingFor: "",
    troubles: [],
    record: null,
    peers: [],
    statusMs: 250,
    inFlight: 0,
    testService: false,
    atMs: 0,
    ...changes,
  };
}
