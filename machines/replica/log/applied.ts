/**
 * How far the request table and the application's state know the log. What always holds: on a server that is not hot they
 * know what is committed and no more (rule 6), both through the same record; they come after what is said to others, a piece in
 * each turn, so that a confirm waits for no application; where they know more, because the role is gone, they are built again from
 * the disk before anything else is applied.
 */
import type { Limits } from "../../../schemas/settings.ts";
import { RecordReader } from "../../codec/record.ts";
import { fitting, type LogBatch, sliceThrough } from "../../log/batch.ts";
import type { Outbox } from "../outbox.ts";
import type { Rules, Unapplied } from "../rules.ts";
import type { OwnLog } from "./own-log.ts";
import type { RequestTable } from "./requests.ts";

/** What a server may have to apply is done in so many turns, others being heard in between. */
const pieces = 16;

const nothing: Unapplied = { records: 0, bytes: 0 };

/** Nothing is kept in it. */
const reader = new RecordReader(new Uint8Array(0));

export class Applied {
  requests: RequestTable;
  /** False while they are being built again. */
  isLoaded = true;

  constructor(requests: RequestTable) {
    this.requests = requests;
  }

  /** The table of requests learns of records through here. Those are given back: the application's state lacks the same. */
  observe(through: number, own: OwnLog, rules: Rules): readonly LogBatch[] {
    const { requests } = this;
    if (requests.through >= through) return [];
    const batches = Array.from(own.log.batches(requests.through + 1, through));
    this.learn(batches, own, rules);
    return batches;
  }

  private learn(batches: readonly LogBatch[], own: OwnLog, rules: Rules): void {
    const { requests } = this;
    for (const batch of batches) {
      const bytes = Buffer.from(batch.bytes.buffer, batch.bytes.byteOffset, batch.bytes.byteLength);
      reader.over(bytes, 0);
      do {
        requests.observe(reader, bytes);
        const { sequence, forgottenThrough } = reader;
        if (sequence <= own.committed) requests.forget(rules.forgetsThrough(forgottenThrough, sequence), rules);
        else requests.expectForget(sequence, forgottenThrough);
      } while (reader.next());
    }
  }

  /** How many records a server that is not hot has still to apply; none while what it has is built again. */
  lacking(own: OwnLog, rules: Rules): number {
    return this.isLoaded ? Math.max(0, rules.mayApply(own.log.last, own.committed) - this.requests.through) : 0;
  }
  lacks(own: OwnLog, rules: Rules): Unapplied {
    const records = this.lacking(own, rules);
    if (records === 0) return nothing;
    const { through } = this.requests;
    return { records, bytes: own.log.bytesAbove(through) - own.log.bytesAbove(through + records) };
  }

  /** A server that is not hot applies the next piece of what is committed. */
  follow(own: OwnLog, rules: Rules, limits: Limits, out: Outbox[]): void {
    const records = Math.min(this.lacking(own, rules), Math.ceil(limits.maxUnappliedRecords / pieces));
    if (records === 0) return;
    const { through } = this.requests;
    const piece = take(own.log.batches(through + 1, through + records), Math.ceil(limits.maxUnappliedBytes / pieces));
    this.apply(piece, own, rules, out);
  }

  /** All of it at once: nothing comes after. */
  followAll(own: OwnLog, rules: Rules, out: Outbox[]): void {
    const through = this.requests.through + this.lacking(own, rules);
    if (through > this.requests.through)
      this.apply(Array.from(own.log.batches(this.requests.through + 1, through)), own, rules, out);
  }

  private apply(batches: readonly LogBatch[], own: OwnLog, rules: Rules, out: Outbox[]): void {
    const { catalog } = this.requests;
    this.learn(batches, own, rules);
    const { through } = this.requests;
    out.push({ type: "apply", through, batches, isOtherState: this.requests.catalog !== catalog });
  }

  /** The role is gone: what ran ahead of the commit point cannot be taken back. One building again at a time. */
  onCold(own: OwnLog, out: Outbox[]): void {
    if (!this.isLoaded || this.requests.through <= own.committed) return;
    this.isLoaded = false;
    out.push({ type: "reload" });
  }

  onReloaded(requests: RequestTable): void {
    this.requests = requests;
    this.isLoaded = true;
  }
}

/** The first of these, of so many bytes together; one record at least. */
function take(batches: Iterable<LogBatch>, maxBytes: number): readonly LogBatch[] {
  const taken: LogBatch[] = [];
  let room = maxBytes;
  for (const batch of batches) {
    const part = fitting(batch, room) ?? (taken.length === 0 ? sliceThrough(batch, batch.first) : null);
    if (part === null) break;
    taken.push(part);
    room -= part.bytes.length;
    if (part.last < batch.last) break;
  }
  return taken;
}
