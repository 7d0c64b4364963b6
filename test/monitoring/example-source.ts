/** A server of which everything is known, as metrics read it: each of them has something to tell. */
import { Meters } from "../../actors/operator/meters.ts";
import { type MetricsSource, metrics } from "../../actors/operator/metrics.ts";
import { PrometheusText } from "../../actors/world/metrics-prometheus.ts";
import { statusOf } from "../helpers/status-of.ts";

export function exampleSource(): MetricsSource {
  const meters = new Meters();
  meters.onRegistry({ outcome: "unavailable", reason: "timeout" }, 1_764_000_000_000);
  meters.requests.observe(3);
  const status = statusOf({
    results: 7,
    troubles: [{ code: "backup.lost", message: "beta is silent", sinceMs: 0 }],
    peers: [{ name: "beta", silentMs: 40, aheadMs: 2 }],
    machines: {
      application: "hot",
      checkpoint: "idle",
      links: [],
      mirrors: [{ peer: "beta", state: "open.inSync", confirmed: 9 }],
    },
    surroundings: {
      disk: { freeBytes: 500, sizeBytes: 1_000, storeBytes: 100 },
      broker: null,
      certificates: [
        { file: "late.crt", untilMs: 1_900_000_000_000 },
        { file: "soon.crt", untilMs: 1_800_000_000_000 },
        { file: "unread.crt", untilMs: null },
      ],
      backup: { atMs: 1_764_000_060_000, sequence: 8 },
    },
  });
  return {
    version: "1.2.3",
    application: "exchange",
    meters,
    process: {
      cpuSeconds: 1,
      residentBytes: 2,
      heapBytes: 3,
      startedAtSeconds: 4,
      delaySeconds: { p99: 0.01, max: 0.2 },
    },
    facts: {
      status,
      beatAgeMs: 10,
      takesRequests: true,
      isConnected: true,
      lag: 0,
      memory: { logBytes: 1, unsyncedBytes: 2, replies: 3, replyBytes: 7, floors: 4, unconfirmedBytes: 5 },
      registry: { isAnswered: true, silentMs: 0, isFrozen: false },
      load: { waiting: 1, waitingBytes: 2, handlers: 3, rows: 4 },
      unpublished: 6,
    },
  };
}

/** What `/metrics` would answer of it. */
export function exampleText(): Promise<string> {
  return new PrometheusText(metrics, { service: "s", server: "alpha" }).text(exampleSource());
}
