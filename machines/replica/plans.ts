/**
 * What this server is about to do with the configuration, and since when: set by what was due, read by what is proposed.
 * What always holds: it is plain memory; nothing here is decided, and nothing here is a reason to acknowledge.
 */
import type { Member, Position } from "../../schemas/registry.ts";
import type { LifecycleEvent } from "../lifecycle.ts";

/** What an heir must have beyond a session: a connection to NATS, and answers from the registry too. */
export type HeirNeeds = "session" | "bus" | "registry";

/** A lifecycle event that the facts call for. */
export interface Due {
  readonly event: LifecycleEvent["type"];
  /** For operators. */
  readonly why: string;
  /** Whom the compare-and-set that follows leaves out, or takes in. */
  readonly leavingOut?: readonly Member[];
  readonly takingIn?: Member;
  /** Who is to take the role over, and what whoever does must have. */
  readonly heir?: string;
  readonly needs?: HeirNeeds;
}

export class Plans {
  leavingOut: readonly Member[] = [];
  takingIn: Member | null = null;
  /** Where the log ended when this server fenced itself: so much must be on the disk before it asks to be alone (rule 2). */
  fence: Position = { sequence: 0, hash: 0 };
  /** Why a switch was asked for, "" if none was; and when the role was first offered. */
  switchWhy = "";
  switchSinceMs = 0;
  /** When this server asked for the role that it was offered. */
  takenMs = 0;
  /** What whoever takes it over must have: without that, the switch would end nothing. */
  switchNeeds: HeirNeeds = "session";
  /** To whom it was offered last. */
  heir = "";
  /** Servers that did not take it in time, the latest last: others are asked before them. */
  refused: readonly string[] = [];
  /** When a switch failed last. */
  switchFailedMs = 0;
  /** When this server was told to stop. */
  stopSinceMs = 0;
  /** When the present epoch was settled, or this server went hot. */
  epochSinceMs = 0;
  /** When the base was moved last. */
  baseMs = 0;

  clone(): Plans {
    return Object.assign(new Plans(), this);
  }

  onHot(nowMs: number): void {
    this.epochSinceMs = nowMs;
    this.baseMs = nowMs;
    this.switchWhy = "";
    this.refused = [];
  }

  /**
   * What others did not do while this server stood still says nothing of them (rule 9): that time is left out, and what
   * came before it counts, so that pauses that recur put nothing off for ever. A switch ends in its time all the same: that
   * judges nobody, and the intake is shut meanwhile.
   */
  onPaused(pauseMs: number, nowMs: number): void {
    this.epochSinceMs = Math.min(this.epochSinceMs + pauseMs, nowMs);
    this.stopSinceMs = Math.min(this.stopSinceMs + pauseMs, nowMs);
  }

  onDue({ event, leavingOut, takingIn, heir, needs }: Due, nowMs: number): void {
    if (leavingOut !== undefined) this.leavingOut = leavingOut;
    if (takingIn !== undefined) this.takingIn = takingIn;
    if (heir !== undefined) this.heir = heir;
    if (needs !== undefined) this.switchNeeds = needs;
    if (event !== "switch.failed") return;
    this.switchWhy = "";
    this.switchFailedMs = nowMs;
    this.refused = [...this.refused.filter((name) => name !== this.heir), this.heir];
  }
}
