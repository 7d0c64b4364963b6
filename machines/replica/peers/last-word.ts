/**
 * When the primary that is followed, or was until this server went on, was heard last: a mirror that fitted, or a heartbeat. What always
 * holds: it is the word of that incarnation alone; what comes right after a pause of this server may be as old as the pause, and moves
 * nothing. What comes when nobody is followed counts as nothing: by then no primary is answered by this server.
 */
import type { Member } from "../../../schemas/registry.ts";

export class LastWord {
  private member: Member | null = null;
  private heardMs: number | null = null;
  private countsFromMs = Number.NEGATIVE_INFINITY;

  onFollow(primary: Member): void {
    if (this.member?.incarnation === primary.incarnation) return;
    this.member = primary;
    this.heardMs = null;
  }

  onHeard(nowMs: number): void {
    if (nowMs >= this.countsFromMs) this.heardMs = nowMs;
  }

  /** What was said meanwhile is heard until then. */
  onPaused(untilMs: number): void {
    this.countsFromMs = untilMs;
  }

  /** Null: it was not heard. */
  get told(): { readonly server: string; readonly heardMs: number } | null {
    return this.member === null || this.heardMs === null ? null : { server: this.member.server, heardMs: this.heardMs };
  }
}
