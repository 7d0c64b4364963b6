/**
 * The replies that a hot server owes, until they may leave (rule 5). What always holds: a reply to a request leaves in the
 * order of the log, when its record is committed; what is true only while this server is the primary leaves, in its own
 * order, when what it saw is committed and an echo proves that nobody has gone on without this server.
 */
import type { Rules } from "../rules.ts";
import type { Holding, Shares } from "./shares.ts";

/** Called for each reply that may leave now. The bytes are not changed later. */
export type ReplySink = (to: string, bytes: Uint8Array, duplicate: boolean) => void;

/** Bytes of `source` from `start` to `end`; `probe` 0: no proof is needed. `holding`: of the client that waits for it. */
class Owed {
  readonly to: string;
  readonly needs: number;
  readonly probe: number;
  readonly source: Uint8Array;
  readonly start: number;
  readonly end: number;
  readonly duplicate: boolean;
  readonly holding: Holding | null;

  constructor(
    to: string,
    needs: number,
    probe: number,
    source: Uint8Array,
    start: number,
    end: number,
    duplicate: boolean,
    holding: Holding | null,
  ) {
    this.to = to;
    this.needs = needs;
    this.probe = probe;
    this.source = source;
    this.start = start;
    this.end = end;
    this.duplicate = duplicate;
    this.holding = holding;
  }
}

/** Answers that could leave at once and wait all the same, because this server may not speak now; more are dropped. */
const maxAtOnce = 65_536;
/** The array of what is owed is cut when this many at its head have left, and they are half of it. */
const cutAfter = 4096;

export class OwedReplies {
  private readonly owed: Owed[] = [];
  private head = 0;
  private readonly atOnce: Owed[] = [];
  private readonly proven: Owed[] = [];
  /** Of all in `proven`. */
  private provenBytes = 0;
  private readonly shares: Shares;

  constructor(shares: Shares) {
    this.shares = shares;
  }

  /** For the explorer: what tells two states of this apart, beyond its getters. */
  get facts() {
    const facts = ({ to, needs, probe, source, start, end, duplicate }: Owed) => {
      const text = Buffer.from(source.subarray(start, end)).toString("latin1");
      return { to, needs, probe, duplicate, text };
    };
    const owed = this.owed.slice(this.head).map(facts);
    return { owed, atOnce: this.atOnce.map(facts), proven: this.proven.map(facts) };
  }

  /** Replies that wait for their record to be committed. */
  get waiting(): number {
    return this.owed.length - this.head;
  }
  get waitingForProof(): number {
    return this.proven.length;
  }
  get bytesWaitingForProof(): number {
    return this.provenBytes;
  }

  /** Called in the order of `needs`. */
  owe(
    to: string,
    needs: number,
    source: Uint8Array,
    start: number,
    end: number,
    duplicate: boolean,
    holding: Holding,
  ): void {
    holding.inFlight += 1;
    this.owed.push(new Owed(to, needs, 0, source, start, end, duplicate, holding));
  }
  oweAtOnce(to: string, source: Uint8Array, duplicate: boolean): void {
    if (to === "" || this.atOnce.length >= maxAtOnce) return;
    this.atOnce.push(new Owed(to, 0, 0, source, 0, source.length, duplicate, null));
  }
  oweProven(to: string, needs: number, probe: number, source: Uint8Array, holding: Holding): void {
    this.provenBytes += source.length;
    holding.answers += 1;
    holding.answerBytes += source.length;
    this.proven.push(new Owed(to, needs, probe, source, 0, source.length, false, holding));
  }

  release(committed: number, echoed: number, rules: Rules, sink: ReplySink): void {
    for (const reply of this.atOnce) give(reply, sink);
    this.atOnce.length = 0;
    this.releaseCommitted(committed, rules, sink);
    let count = 0;
    for (const reply of this.proven) {
      if (!rules.mayAnswer(reply.needs, committed) || !rules.isProven(reply.probe, echoed)) break;
      give(reply, sink);
      this.onProven(reply);
      count += 1;
    }
    if (count > 0) this.proven.splice(0, count);
  }

  private onProven({ source, holding }: Owed): void {
    this.provenBytes -= source.length;
    if (holding === null) return;
    holding.answers -= 1;
    holding.answerBytes -= source.length;
    this.shares.settle(holding);
  }

  private releaseCommitted(committed: number, rules: Rules, sink: ReplySink): void {
    const owed = this.owed;
    let head = this.head;
    while (head < owed.length) {
      const reply = owed[head] as Owed;
      if (!rules.mayAnswer(reply.needs, committed)) break;
      give(reply, sink);
      head += 1;
      const { holding } = reply;
      if (holding === null) continue;
      holding.inFlight -= 1;
      this.shares.settle(holding);
    }
    if (head === owed.length) {
      owed.length = 0;
      head = 0;
    } else if (head > cutAfter && head * 2 > owed.length) {
      owed.splice(0, head);
      head = 0;
    }
    this.head = head;
  }
}

function give(reply: Owed, sink: ReplySink): void {
  sink(reply.to, reply.source.subarray(reply.start, reply.end), reply.duplicate);
}
