/**
 * What a server did with requests, counted for operators. What always holds: nothing is decided by it, and it only grows; one that is
 * given in the options outlives the replica.
 */
import type { ErrorCode } from "../../schemas/errors.ts";

export class Tally {
  /** Requests that came again when they were done, and were answered with the stored reply. */
  duplicates = 0;
  /** Of these, the ones whose reply was read from the disk again. */
  recalled = 0;
  /** Copies that joined one that runs. */
  joined = 0;
  private readonly byCode = new Map<ErrorCode, number>();

  /** A request or query was refused, whether or not anybody could be told. */
  refused(code: ErrorCode): void {
    this.byCode.set(code, (this.byCode.get(code) ?? 0) + 1);
  }
  refusals(code: ErrorCode): number {
    return this.byCode.get(code) ?? 0;
  }
}
