/**
 * How far the request table and the application's state know the log. What always holds: on a server that is not hot they
 * know what is committed and no more (rule 6); where they know more, because the role is gone, they are built again from
 * the disk before anything else is applied.
 */
import { RecordReader } from "../../codec/record.ts";
import type { LogBatch } from "../../log/batch.ts";
import type { Outbox } from "../outbox.ts";
import type { Rules } from "../rules.ts";
import type { OwnLog } from "./own-log.ts";
import type { RequestTable } from "./requests.ts";

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
    return batches;
  }

  /** A server that is not hot applies what is committed. */
  follow(own: OwnLog, rules: Rules, out: Outbox[]): void {
    if (!this.isLoaded) return;
    const through = rules.mayApply(own.log.last, own.committed);
    if (through <= this.requests.through) return;
    out.push({ type: "apply", through, batches: this.observe(through, own, rules) });
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
