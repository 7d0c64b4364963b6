/**
 * The JetStream stream over a service's results: its name, and how much it keeps where nobody says otherwise.
 */
export const resultsStreamName = (service: string): string => `RESULTS_${service}`;

export interface ResultsLimits {
  /** Older results are dropped. */
  readonly maxAgeMs: number;
  /** Past it the oldest are dropped. */
  readonly maxBytes: number;
  /** A result that is published again within so long is stored once. A takeover, and a wait of results for NATS, is to be shorter. */
  readonly duplicateMs: number;
}

export const resultsLimits: ResultsLimits = {
  maxAgeMs: 7 * 86_400_000,
  maxBytes: 10 * 1024 * 1024 * 1024,
  duplicateMs: 600_000,
};
