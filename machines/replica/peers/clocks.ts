/**
 * What time it is for the service: this server's wall clock, and what it heard of the others'. Stamps are judged by it
 * (rule 12), and nothing else is: safety needs no clock. What always holds: one server's clock that is slow, or jumps back,
 * makes no stamp one of the future, for the latest of all clocks that were heard of in this life decides; each is taken as a
 * difference to this server's monotonic clock, and goes on by that.
 */
export class ServiceClock {
  /** Wall clock less monotonic clock, ms: as this server began, and as it heard each other one last. */
  private began: number | null = null;
  private others = new Map<string, number>();

  onOwn(nowMs: number, wallMs: number): void {
    this.began ??= wallMs - nowMs;
  }

  /** What a server's heartbeat says. */
  onOther(name: string, nowMs: number, wallMs: number): void {
    this.others.set(name, wallMs - nowMs);
  }

  /** No clock is ahead of it. */
  latestMs(nowMs: number, wallMs: number): number {
    let latest = Math.max(wallMs, nowMs + (this.began ?? wallMs - nowMs));
    for (const offset of this.others.values()) latest = Math.max(latest, nowMs + offset);
    return Math.floor(latest);
  }

  /** Of this server's and the others', as they go now: no clock is behind it. */
  earliestMs(nowMs: number, wallMs: number): number {
    let earliest = wallMs;
    for (const offset of this.others.values()) earliest = Math.min(earliest, nowMs + offset);
    return Math.floor(earliest);
  }

  /** Another server's clock shows this time or a later one, as it goes now. */
  isAnyAt(wallMs: number, nowMs: number): boolean {
    for (const offset of this.others.values()) if (nowMs + offset >= wallMs) return true;
    return false;
  }

  /** How far this server's clock is ahead of another's, ms; undefined: that one's is not known. */
  aheadOf(name: string, nowMs: number, wallMs: number): number | undefined {
    const offset = this.others.get(name);
    return offset === undefined ? undefined : wallMs - nowMs - offset;
  }
}
