/**
 * Told what a server does, as it does it and before anything leaves: for those who record a history to be checked. An
 * observer changes nothing, and a server without one does nothing more.
 */
import type { LogBatch } from "../machines/log/batch.ts";
import type { Outbox } from "../machines/replica/outbox.ts";
import type { Replica } from "../machines/replica/replica.ts";

export interface Observer {
  /** A life begins, with this replica: to look at, not to touch. */
  onLife?(replica: Replica): void;
  /** Records of the current epoch were made by this server, up to this sequence. */
  onMade?(epoch: number, sequence: number): void;
  /** These records are committed, as far as this server knows. */
  onCommitted?(history: string, batch: LogBatch): void;
  /** This epoch is accepted and on the disk. */
  onEpoch?(epoch: number): void;
  /** Tables and queues on disk stand at this sequence; equal texts mean equal contents. */
  onDigest?(history: string, sequence: number, digest: string): void;
  onEvent?(event: string, from: string, to: string, why: string): void;
}

/** Watches one life of a server for an observer. */
export class Watcher {
  readonly #observer: Observer;
  #made: number;
  #committed: number;
  readonly #links = new Map<string, string>();

  constructor(observer: Observer, replica: Replica) {
    this.#observer = observer;
    this.#made = replica.log.last;
    this.#committed = replica.committed;
    observer.onLife?.(replica);
  }

  onTurn(replica: Replica): void {
    const { sequence } = replica.log.closed;
    if (replica.hot && sequence > this.#made) this.#observer.onMade?.(replica.epoch, sequence);
    this.#made = sequence;
    if (replica.committed <= this.#committed) return;
    for (const batch of replica.log.batches(this.#committed + 1, replica.committed))
      this.#observer.onCommitted?.(replica.history, batch);
    this.#committed = replica.committed;
  }

  onEntry(entry: Outbox, replica: Replica): void {
    const event = (name: string) => this.#observer.onEvent?.(name, replica.state, replica.state, "");
    if (entry.type === "event") this.#observer.onEvent?.(entry.event, entry.from, entry.to, entry.why);
    else if (entry.type === "truncate") event("uncommitted tail dropped");
    else if (entry.type === "hot" && replica.inherited > replica.committed) event("inherited tail");
    else if (entry.type === "receiveSnapshot") event("snapshot asked for");
    else if (entry.type === "send" && entry.message.type === "mirror") {
      const { session } = entry.message;
      const before = this.#links.get(entry.to);
      this.#links.set(entry.to, `${session} ${entry.link}`);
      if (before?.startsWith(`${session} `) && before !== `${session} ${entry.link}`) event("mirror changed links");
    }
  }

  onEpoch(epoch: number): void {
    this.#observer.onEpoch?.(epoch);
  }
  onFlushed(history: string, sequence: number, digest: string): void {
    this.#observer.onDigest?.(history, sequence, digest);
  }
}
