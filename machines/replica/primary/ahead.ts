/**
 * Clients whose stamps run ahead of the service's clock (rule 12). Their floors will lie ahead of it too, and so would the
 * common floor if there were many: they are counted, and past the limit no further client's are taken. What always holds:
 * a client is counted from the request that is ahead until the clock has passed the highest stamp that it was let in with;
 * a new primary counts those that it finds in the table of requests.
 */
import type { RequestTable } from "../log/requests.ts";

/** Where the stamps that are remembered stand. */
type Stamped = Pick<RequestTable, "done" | "begun">;
/** One client in the table of requests, and a stamp of its requests. */
type Visit = (client: string, stampMs: number) => void;

export class AheadClients {
  /** The highest stamp of each. */
  private stamps: Map<string, number> | null = null;

  get facts() {
    return this.stamps === null ? null : [...this.stamps];
  }

  /** Whether a request that is stamped later than `latestMs` may be taken from this client. */
  admits(client: string, latestMs: number, limit: number, requests: Stamped): boolean {
    this.stamps ??= found(requests, latestMs);
    const stamps = this.stamps;
    if (stamps.has(client) || stamps.size < limit) return true;
    for (const [other, highestMs] of stamps) if (highestMs <= latestMs) stamps.delete(other);
    return stamps.size < limit;
  }

  /** Such a request is taken. */
  count(client: string, stampMs: number): void {
    this.stamps?.set(client, Math.max(this.stamps.get(client) ?? 0, stampMs));
  }
}

/** Rare: once in each time of being the primary, when the first request is ahead. */
function found(requests: Stamped, latestMs: number): Map<string, number> {
  const stamps = new Map<string, number>();
  const visit: Visit = (client, stampMs) => {
    if (stampMs > latestMs) stamps.set(client, Math.max(stamps.get(client) ?? 0, stampMs));
  };
  requests.done.eachStamp(visit);
  for (const { client, stampMs } of requests.begun.values()) visit(client, stampMs);
  return stamps;
}
