/**
 * How much each client holds of what a primary has for all of them: requests in flight, bytes of records that are not committed,
 * answers that wait for their proof (rule 15). `isBeyondShare` says how much it may.
 *
 * What always holds: what the clients hold adds up to what there is (but for records that no client asked for); a client is
 * known here only while it holds something, so that clients that come and go leave nothing behind.
 */

/** What one client holds. */
export class Holding {
  readonly client: string;
  /** Requests that are run or wait for their commit, and copies that wait with them. */
  inFlight = 0;
  /** Of records that are not committed, those of this turn among them. */
  openBytes = 0;
  turnBytes = 0;
  /** Answers and refusals that wait for their proof. */
  answers = 0;
  answerBytes = 0;

  constructor(client: string) {
    this.client = client;
  }
}

/** What a client's records of one turn took. */
class TurnShare {
  readonly holding: Holding;
  readonly bytes: number;

  constructor(holding: Holding, bytes: number) {
    this.holding = holding;
    this.bytes = bytes;
  }
}

export class Shares {
  private readonly holdings = new Map<string, Holding>();
  /** Those with records in this turn. */
  private turn: Holding[] = [];
  /** Of each turn that has a batch and is not committed whole, the oldest first. */
  private readonly turns: TurnShare[][] = [];

  /** How many clients hold something. */
  get count(): number {
    return this.holdings.size;
  }

  find(client: string): Holding | undefined {
    return this.holdings.get(client);
  }

  /** For a client that is about to hold something. */
  of(client: string): Holding {
    let holding = this.holdings.get(client);
    if (holding === undefined) {
      holding = new Holding(client);
      this.holdings.set(client, holding);
    }
    return holding;
  }

  settle(holding: Holding): void {
    if (holding.inFlight + holding.openBytes + holding.answers === 0) this.holdings.delete(holding.client);
  }

  onRecord(holding: Holding, bytes: number): void {
    if (holding.turnBytes === 0) this.turn.push(holding);
    holding.turnBytes += bytes;
    holding.openBytes += bytes;
  }

  /** The end of a turn that has records. */
  closeTurn(): void {
    this.turns.push(this.turn.map((holding) => new TurnShare(holding, holding.turnBytes)));
    for (const holding of this.turn) holding.turnBytes = 0;
    this.turn = [];
  }

  /** The oldest such turn is committed. */
  onTurnCommitted(): void {
    for (const { holding, bytes } of this.turns.shift() ?? []) {
      holding.openBytes -= bytes;
      this.settle(holding);
    }
  }
}
