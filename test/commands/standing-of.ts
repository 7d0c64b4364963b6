/** What a server says of its log where it waits, for tests of commands that ask. */
import type { Standing } from "../../schemas/standing.ts";

export const standingOf = (server: string, changes: Partial<Standing> = {}): Standing => ({
  server,
  incarnation: `${server}.1`,
  disk: `disk of ${server}`,
  configured: ["alpha", "beta"],
  state: "waiting",
  hot: false,
  epochSeen: 5,
  memberEpoch: 5,
  frozen: "",
  record: null,
  revision: 0,
  history: "h1",
  lastEpoch: 5,
  last: 10,
  hash: 1,
  lastResult: 8,
  lastStampMs: Date.UTC(2026, 0, 2),
  ...changes,
});
