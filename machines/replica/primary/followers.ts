/**
 * All who follow this primary, or may (rules 3, 5, 8). What always holds: there is one progress for each configured server, and
 * what an incarnation confirmed or echoed counts only in its session.
 */
import type { Core } from "../core.ts";
import { Progress } from "./progress.ts";
import type { Session } from "./session.ts";

export class Followers {
  private readonly core: Core;
  private readonly byName: Map<string, Progress>;

  constructor(core: Core, inherited: number) {
    this.core = core;
    this.byName = new Map([...core.peers].map((peer) => [peer.name, new Progress(peer, core, inherited)]));
  }

  get(name: string): Progress | undefined {
    return this.byName.get(name);
  }
  [Symbol.iterator](): IterableIterator<Progress> {
    return this.byName.values();
  }

  sessionOf(incarnation: string): Session | null {
    for (const { session } of this.byName.values()) if (session?.incarnation === incarnation) return session;
    return null;
  }
  /** What the incarnation confirmed in its session; 0 if it has none. */
  confirmed(incarnation: string): number {
    return this.sessionOf(incarnation)?.confirmed ?? 0;
  }

  /** A probe that was not sent yet: what was in flight proves nothing (rule 5). */
  nextProbe(): number {
    const { core } = this;
    let sent = 0;
    for (const { session } of this.byName.values()) sent = Math.max(sent, session?.probed ?? 0);
    if (!core.rules.isFreshProbe(core.probe, sent)) core.probe = sent + 1;
    return core.probe;
  }
  /** The highest probe that came back from all of these incarnations. */
  echoedBy(incarnations: readonly string[]): number {
    let echoed = Number.POSITIVE_INFINITY;
    for (const incarnation of incarnations) echoed = Math.min(echoed, this.sessionOf(incarnation)?.echoed ?? 0);
    return echoed;
  }

  onPaused(nowMs: number): void {
    for (const progress of this.byName.values()) progress.onPaused(nowMs);
  }
}
