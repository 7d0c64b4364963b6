/**
 * Records for joiners that memory does not reach, from the disk. What always holds: one pass over the disk for each joiner, which goes on
 * where it wants what comes next, and is begun anew where it does not, or where the disk has more than when the pass began; a pass that
 * nobody asks for ends.
 */
import { type LogBatch, sliceFrom } from "../../machines/log/batch.ts";
import type { Checkpoint } from "../checkpoint/checkpoint.ts";

type Disk = Pick<Checkpoint, "readLog">;

/** A pass ends after so many ticks without a question. */
const maxIdleTicks = 10;

class Pass {
  readonly session: string;
  readonly #rest: AsyncGenerator<LogBatch>;
  /** Read, and the first of it perhaps given already: it may be wanted again in part. */
  readonly #read: LogBatch[] = [];
  #next: number;
  idleTicks = 0;

  constructor(disk: Disk, session: string, from: number) {
    this.session = session;
    this.#rest = disk.readLog(from);
    this.#next = from;
  }

  goesOnAt(session: string, from: number): boolean {
    return session === this.session && from >= (this.#read[0]?.first ?? this.#next) && from <= this.#next;
  }

  /** Batches from this record on, of so many bytes together, one at least; none at the end. */
  async take(from: number, maxBytes: number): Promise<LogBatch[]> {
    const read = this.#read;
    while ((read[0]?.last ?? from) < from) read.shift();
    let bytes = 0;
    let count = 0;
    for (; ; count += 1) {
      const batch = read[count] ?? (await this.#readOn());
      if (batch === null || (count > 0 && bytes + batch.bytes.length > maxBytes)) break;
      bytes += batch.bytes.length;
    }
    return read.slice(0, count).map((batch) => (batch.first < from ? sliceFrom(batch, from) : batch));
  }

  async #readOn(): Promise<LogBatch | null> {
    const { done, value } = await this.#rest.next();
    if (done === true) return null;
    this.#read.push(value);
    this.#next = value.last + 1;
    return value;
  }

  end(): void {
    this.#rest.return(undefined).catch(() => undefined);
  }
}

export class LogReader {
  readonly #disk: Disk;
  readonly #maxBytes: number;
  readonly #passes = new Map<string, Pass>();

  /** `maxBytes`: of one piece. */
  constructor(disk: Disk, maxBytes: number) {
    this.#disk = disk;
    this.#maxBytes = maxBytes;
  }

  /** The next piece from this record on, or from the oldest that there is where that is gone; nothing, where the disk has no more. */
  async read(peer: string, session: string, from: number): Promise<readonly LogBatch[]> {
    const before = this.#passes.get(peer);
    if (before?.goesOnAt(session, from) === true) {
      before.idleTicks = 0;
      const batches = await before.take(from, this.#maxBytes);
      if (batches.length > 0) return batches;
    }
    before?.end();
    const pass = new Pass(this.#disk, session, from);
    this.#passes.set(peer, pass);
    return await pass.take(from, this.#maxBytes);
  }

  onTick(): void {
    for (const [peer, pass] of this.#passes) {
      pass.idleTicks += 1;
      if (pass.idleTicks <= maxIdleTicks) continue;
      pass.end();
      this.#passes.delete(peer);
    }
  }

  stop(): void {
    for (const pass of this.#passes.values()) pass.end();
    this.#passes.clear();
  }
}
