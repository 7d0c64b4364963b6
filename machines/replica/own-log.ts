/**
 * The log that this server holds, the history it belongs to, and how far it has come: written, synced, committed,
 * published. What always holds: committed never falls; written and synced never pass the log's end, nor what the disk
 * was given of it.
 */
import type { Ancestor } from "../../schemas/checkpoint.ts";
import type { Position, RegistryRecord } from "../../schemas/registry.ts";
import type { MemoryLog } from "../log/memory-log.ts";
import type { Outbox } from "./outbox.ts";
import type { RequestTable } from "./requests.ts";
import type { Rules } from "./rules.ts";
import type { Recovered } from "./types.ts";

interface LettingGo {
  readonly applied: { readonly isLoaded: boolean; readonly requests: RequestTable };
  readonly limits: { readonly maxRetainedBytes: number };
}

export class OwnLog {
  readonly log: MemoryLog;
  history: string;
  /** The histories before it whose log this one goes on with, the oldest first. */
  ancestors: readonly Ancestor[];
  /** It names a record as the primary's log does, and holds another one: it is no part of this history, whatever it says. */
  differs = false;
  committed: number;
  synced: number;
  written: number;
  /** The disk was given the log through here. */
  given: number;
  /** Results of records up to here reached NATS, as far as this server knows. */
  published: number;
  /** The first record that is still on this server's disk. */
  oldestOnDisk: number;
  /** Tables are on disk through here. */
  flushed: number;

  constructor(recovered: Recovered) {
    this.log = recovered.log;
    this.history = recovered.history;
    this.ancestors = recovered.ancestors;
    this.committed = Math.max(recovered.committed, recovered.requests.through);
    this.synced = recovered.log.last;
    this.written = recovered.log.last;
    this.given = recovered.log.last;
    this.published = recovered.published;
    // Where nothing is left to flush, no flush will say it.
    this.flushed = recovered.requests.through;
    this.oldestOnDisk = recovered.oldestOnDisk;
  }

  /** The history as others are told of it. */
  get told(): string {
    return this.differs ? "differs" : this.history;
  }

  clone(): OwnLog {
    return Object.assign(Object.create(OwnLog.prototype) as OwnLog, this, { log: this.log.clone() });
  }

  /** The end of the last closed batch. */
  get position(): Position {
    return { sequence: this.log.closed.sequence, hash: this.log.closed.hash };
  }

  onSynced(sequence: number, out: readonly Outbox[]): void {
    this.synced = Math.max(this.synced, Math.min(sequence, this.agreedWithDisk(out)));
    this.written = Math.max(this.written, this.synced);
  }
  onWritten(sequence: number, out: readonly Outbox[]): void {
    this.written = Math.max(this.written, Math.min(sequence, this.agreedWithDisk(out)));
  }

  /** How far a word of the disk can hold: of a cut that waits in the outbox it was not told, and speaks of the log before that. */
  agreedWithDisk(out: readonly Outbox[]): number {
    let through = this.log.last;
    for (const entry of out) if (entry.type === "truncate") through = Math.min(through, entry.after);
    return through;
  }

  /** Gives the disk what was added to the log since. */
  append(out: Outbox[]): void {
    const { sequence } = this.log.closed;
    if (sequence <= this.given) return;
    out.push({ type: "append", batches: Array.from(this.log.batches(this.given + 1, sequence)) });
    this.given = sequence;
  }
  sync(through: number, out: Outbox[]): void {
    this.append(out);
    out.push({ type: "sync", through });
  }
  write(through: number, out: Outbox[]): void {
    this.append(out);
    out.push({ type: "write", through });
  }
  onPublished(sequence: number): void {
    this.published = Math.max(this.published, sequence);
  }

  /** The log was cut: what the disk holds above its end does not count, and is dropped (rule 7). */
  onCut(out: Outbox[]): void {
    out.push({ type: "truncate", after: this.log.last });
    this.synced = Math.min(this.synced, this.log.last);
    this.written = Math.min(this.written, this.log.last);
    this.given = Math.min(this.given, this.log.last);
  }

  /** The log belongs to this history from now on, which goes on with the log of these. */
  adopt(history: string, ancestors: readonly Ancestor[], out: Outbox[]): void {
    if (history !== this.history || ancestors.length !== this.ancestors.length)
      out.push({ type: "saveHistory", history, ancestors });
    this.history = history;
    this.ancestors = ancestors;
    this.differs = false;
  }

  /** Those before a history that begins now, behind everything in this log; `requests` knows all of that. */
  ancestorsOfNext(requests: RequestTable, rules: Rules): readonly Ancestor[] {
    const { sequence, hash } = this.position;
    const end = { sequence, hash, epoch: this.log.lastEpoch };
    const ended = { history: this.history, start: this.startOf(requests), end, results: requests.resultNumber };
    return rules.remembersHistories(this.ancestors, ended);
  }

  /** The record with which this history began, 0 where it is the first; the log on disk may no longer have it. */
  startOf({ historyStart }: RequestTable): number {
    const before = this.ancestors.at(-1);
    return Math.max(historyStart, before === undefined ? 0 : before.end.sequence + 1);
  }

  /** A history began behind all of this log, and the record with which it begins was lost. */
  get lacksItsStart(): boolean {
    return this.ancestors.at(-1)?.end.sequence === this.log.last;
  }

  /** Tables are on disk through `applied`, records from `oldestOnDisk` on. */
  onFlushed(applied: number, oldestOnDisk: number): void {
    this.flushed = applied;
    this.oldestOnDisk = oldestOnDisk;
  }

  /** Memory drops what nobody needs from it: flushed, applied, its results with NATS. */
  letGo({ applied, limits }: LettingGo): void {
    // What is being built again starts from an earlier flush, and needs the log from there: the newest flush may have been
    // under way, and then it ends above where the state starts.
    if (!applied.isLoaded) return;
    const { requests } = applied;
    const through = Math.min(this.flushed, this.committed, requests.through, this.published);
    requests.done.compact(through);
    this.log.trim(through, limits.maxRetainedBytes);
  }

  /** Below what memory holds the log was checked when the disk was opened: it is dense and of this history. */
  hashAtBase(record: RegistryRecord): number | undefined {
    if (record.base.sequence < this.log.base.sequence)
      return this.told === record.history ? record.base.hash : undefined;
    return this.log.hashAt(record.base.sequence);
  }
}
