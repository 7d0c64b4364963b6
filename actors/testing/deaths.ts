/**
 * Where a server dies in a test: at which of the records that its requests make.
 */

/** A record of a request, as a place at which a server may die. */
export interface RecordMade {
  readonly sequence: number;
  readonly client: string;
  readonly id: string;
  /** The transaction's; empty for a result by itself. */
  readonly name: string;
}

export interface Deaths {
  /** What requests made in this turn is about to be durable. The last record that is kept; undefined: all are, and the server lives on. */
  diesAt(made: readonly RecordMade[]): number | undefined;
}
