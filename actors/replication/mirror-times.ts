/**
 * How long backups take to confirm what they are sent, for operators. What always holds: it is measured by batches, each from the first
 * time it was sent; a session that ends takes what was under way with it.
 */
import type { Confirm, Mirror } from "../../schemas/peer-message.ts";
import { type Durations, UnderWay } from "../operator/durations.ts";

export class MirrorTimes {
  readonly #durations: Durations;
  readonly #peers = new Map<string, { readonly session: string; readonly sent: UnderWay }>();

  constructor(durations: Durations) {
    this.#durations = durations;
  }

  onSent(peer: string, { session, first, last }: Mirror, nowMs: number): void {
    if (last < first) return;
    let known = this.#peers.get(peer);
    if (known?.session !== session) {
      known = { session, sent: new UnderWay() };
      this.#peers.set(peer, known);
    }
    if (last > known.sent.last) known.sent.begin(last, nowMs);
  }

  onConfirm(peer: string, { session, sequence }: Confirm, nowMs: number): void {
    const known = this.#peers.get(peer);
    if (known?.session === session) known.sent.end(sequence, nowMs, this.#durations);
  }
}
