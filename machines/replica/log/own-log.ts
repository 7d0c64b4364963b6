/**
 * This room has what outlives the roles of the log: the log, what of it is applied, and the table of its requests.
 *
 * The log that this server holds, the history it belongs to, and how far it has come: written, synced, committed,
 * published. What always holds: committed never falls; written and synced never pass the log's end, nor what the disk
 * was given of it.
 */
import type { Ancestor } from "../../../schemas/checkpoint.ts";
import type { Position, RegistryRecord } from "../../../schemas/registry.ts";
import type { MemoryLog } from "../../log/memory-log.ts";
import { InvariantError } from "../invariant-error.ts";
import type { Outbox } from "../outbox.ts";
import type { Rules } from "../rules.ts";
import type { Recovered } from "../types.ts";
import type { RequestTable } from "./requests.ts";

interface LettingGo {
  readonly applied: { readonly isLoaded: boolean; readonly requests: RequestTable };
  readonly limits: { readonly maxRetainedBytes: number };
}

export class OwnLog {
  readonly log: MemoryLog;
  private belongsTo: string;
  private before: readonly Ancestor[];
  private isOther = false;
  private committedTo: number;
  private syncedTo: number;
  private writtenTo: number;
  /** The disk was given the log through here. */
  private givenTo: number;
  private publishedTo: number;
  private flushedTo: number;
  private keptFrom: number;
  /** Kept though the role is lost: a server that is hot again before its state is built anew is asked for it. */
  private lastResult = 0;

  constructor(recovered: Recovered) {
    this.log = recovered.log;
    this.belongsTo = recovered.history;
    this.before = recovered.ancestors;
    this.committedTo = Math.max(recovered.committed, recovered.requests.through);
    this.syncedTo = recovered.log.last;
    this.writtenTo = recovered.log.last;
    this.givenTo = recovered.log.last;
    this.publishedTo = recovered.published;
    // Where nothing is left to flush, no flush will say it.
    this.flushedTo = recovered.requests.through;
    this.keptFrom = recovered.oldestOnDisk;
  }

  get history(): string {
    return this.belongsTo;
  }
  /** The histories before it whose log this one goes on with, the oldest first. */
  get ancestors(): readonly Ancestor[] {
    return this.before;
  }
  /** It names a record as the primary's log does, and holds another one: it is no part of this history, whatever it says. */
  get differs(): boolean {
    return this.isOther;
  }
  /** The history as others are told of it. */
  get told(): string {
    return this.isOther ? "differs" : this.belongsTo;
  }
  get committed(): number {
    return this.committedTo;
  }
  get synced(): number {
    return this.syncedTo;
  }
  get written(): number {
    return this.writtenTo;
  }
  /** Results of records up to here reached NATS, as far as this server knows. */
  get published(): number {
    return this.publishedTo;
  }
  /** The first record that is still on this server's disk. */
  get oldestOnDisk(): number {
    return this.keptFrom;
  }
  /** Number of the newest committed result, as the primary counts them. */
  get results(): number {
    return this.lastResult;
  }

  /** Invariant 1. */
  commitTo(sequence: number): void {
    const { last } = this.log;
    if (sequence < this.committedTo)
      throw new InvariantError(`the commit point fell from ${this.committedTo} to ${sequence}`);
    if (sequence > last) throw new InvariantError(`the commit point ${sequence} is beyond the log's end ${last}`);
    this.committedTo = sequence;
  }
  countResults(newest: number): void {
    this.lastResult = newest;
  }
  noteDifference(): void {
    this.isOther = true;
  }

  /** The end of the last closed batch. */
  get position(): Position {
    return { sequence: this.log.closed.sequence, hash: this.log.closed.hash };
  }

  onSynced(sequence: number, outbox: readonly Outbox[]): void {
    this.syncedTo = Math.max(this.syncedTo, Math.min(sequence, this.agreedWithDisk(outbox)));
    this.writtenTo = Math.max(this.writtenTo, this.syncedTo);
  }
  onWritten(sequence: number, outbox: readonly Outbox[]): void {
    this.writtenTo = Math.max(this.writtenTo, Math.min(sequence, this.agreedWithDisk(outbox)));
  }

  /** How far a word of the disk can hold: of a cut that waits in the outbox it was not told, and speaks of the log before that. */
  private agreedWithDisk(outbox: readonly Outbox[]): number {
    let through = this.log.last;
    for (const entry of outbox) if (entry.type === "truncate") through = Math.min(through, entry.after);
    return through;
  }

  /** Gives the disk what was added to the log since. */
  append(outbox: Outbox[]): void {
    const { sequence } = this.log.closed;
    if (sequence <= this.givenTo) return;
    outbox.push({ type: "append", batches: Array.from(this.log.batches(this.givenTo + 1, sequence)) });
    this.givenTo = sequence;
  }
  sync(through: number, outbox: Outbox[]): void {
    this.append(outbox);
    outbox.push({ type: "sync", through });
  }
  write(through: number, outbox: Outbox[]): void {
    this.append(outbox);
    outbox.push({ type: "write", through });
  }
  onPublished(sequence: number): void {
    this.publishedTo = Math.max(this.publishedTo, sequence);
  }

  /** The log was cut: what the disk holds above its end does not count, and is dropped (rule 7). */
  onCut(outbox: Outbox[]): void {
    outbox.push({ type: "truncate", after: this.log.last });
    this.syncedTo = Math.min(this.syncedTo, this.log.last);
    this.writtenTo = Math.min(this.writtenTo, this.log.last);
    this.givenTo = Math.min(this.givenTo, this.log.last);
  }

  /** The log belongs to this history from now on, which goes on with the log of these. */
  adopt(history: string, ancestors: readonly Ancestor[], outbox: Outbox[]): void {
    if (history !== this.history || ancestors.length !== this.ancestors.length)
      outbox.push({ type: "saveHistory", history, ancestors });
    this.belongsTo = history;
    this.before = ancestors;
    this.isOther = false;
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
    this.flushedTo = applied;
    this.keptFrom = oldestOnDisk;
  }

  /** Memory drops what nobody needs from it: flushed, applied, its results with NATS. */
  letGo({ applied, limits }: LettingGo): void {
    // What is being built again starts from an earlier flush, and needs the log from there: the newest flush may have been
    // under way, and then it ends above where the state starts.
    if (!applied.isLoaded) return;
    const { requests } = applied;
    const through = Math.min(this.flushedTo, this.committedTo, requests.through, this.publishedTo);
    this.log.trim(through, limits.maxRetainedBytes);
    requests.done.compact(this.log.base.sequence);
  }

  /** Below what memory holds the log was checked when the disk was opened: it is dense and of this history. */
  hashAtBase(record: RegistryRecord): number | undefined {
    if (record.base.sequence < this.log.base.sequence)
      return this.told === record.history ? record.base.hash : undefined;
    return this.log.hashAt(record.base.sequence);
  }
}
