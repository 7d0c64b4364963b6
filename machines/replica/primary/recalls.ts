/**
 * Copies of requests that are done and whose replies memory has let go of (`duplicates.ts`): those replies are read from the disk
 * again. What always holds: one reading at a time, of so many bytes, and the next one when what the last one brought may leave;
 * whoever waits counts as in flight; all of it dies with the role.
 */
import type { Holding, Shares } from "./shares.ts";

interface Waiting<Copy> {
  readonly copy: Copy;
  readonly holding: Holding;
}

export class Recalls<Copy extends { readonly client: string }> {
  private readonly shares: Shares;
  /** By their records' sequences, in the order in which they came. */
  private readonly wanted = new Map<number, { readonly bytes: number; readonly copies: Waiting<Copy>[] }>();
  private reading: readonly number[] = [];
  /** What was read has not left. */
  private isLeaving = false;
  /** How many copies wait. */
  waiting = 0;

  constructor(shares: Shares) {
    this.shares = shares;
  }

  /** For the explorer. */
  get facts() {
    return { wanted: [...this.wanted.keys()], reading: this.reading, isLeaving: this.isLeaving };
  }

  /** `bytes`: of the reply. */
  want(sequence: number, bytes: number, copy: Copy): void {
    const holding = this.shares.of(copy.client);
    holding.inFlight += 1;
    this.waiting += 1;
    const one = this.wanted.get(sequence) ?? { bytes, copies: [] };
    one.copies.push({ copy, holding });
    this.wanted.set(sequence, one);
  }

  get mayRead(): boolean {
    return this.wanted.size > 0 && this.reading.length === 0 && !this.isLeaving;
  }

  /** What is to be read now, rising: as much as `maxBytes`, one at least. */
  begin(maxBytes: number): readonly number[] {
    const sequences: number[] = [];
    let room = maxBytes;
    for (const [sequence, { bytes }] of this.wanted) {
      if (sequences.length > 0 && bytes > room) break;
      sequences.push(sequence);
      room -= bytes;
    }
    this.reading = sequences.sort((one, other) => one - other);
    return this.reading;
  }

  /** All that was asked for was read, or is not there any more. `visit` is called for each copy that waited. */
  end(visit: (copy: Copy, sequence: number) => void): void {
    const sequences = this.reading;
    this.reading = [];
    this.isLeaving = true;
    for (const sequence of sequences) {
      const { copies = [] } = this.wanted.get(sequence) ?? {};
      this.wanted.delete(sequence);
      this.waiting -= copies.length;
      for (const { copy, holding } of copies) {
        holding.inFlight -= 1;
        visit(copy, sequence);
        this.shares.settle(holding);
      }
    }
  }

  onReleased(): void {
    this.isLeaving = false;
  }
}
