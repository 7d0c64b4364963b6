/**
 * The facts for the start table, and its newest verdict (PROTOCOL.md, modes and start). What always holds: the table is
 * asked only by a server that is no member and follows nobody; the presence of another counts as proven only by an echo
 * of a beat that was sent after the record was read; the same verdict is not said twice. It is no role: it lives as long as the
 * life, for whether an operator accepted a loss is asked again while the new history is proposed.
 */
import type { RegistryRecord } from "../../../schemas/registry.ts";
import type { Core } from "../core.ts";
import { whyNoForce, whyNotBeside } from "../refusals.ts";
import { copyName, newestOfOthers } from "./copies.ts";
import { consultTable, type Presence, type Verdict } from "./start-table.ts";

/** `event` is said to the lifecycle if it is new; `waitsFor`: what an operator is told in the meantime. */
export interface Advice extends Verdict {
  readonly isNew: boolean;
  readonly waitsFor: string;
}

const nothingThere: Advice = {
  event: "verdict.refuse",
  why: "the registry has no record of this service: create it with `twinlog init`",
  isNew: true,
  waitsFor: "",
};

/** Verdicts by which a server makes itself the primary. */
const begins: ReadonlySet<Verdict["event"]> = new Set(["verdict.claim", "verdict.newHistory"]);

export class Consultation {
  private readonly core: Core;
  /** An operator accepted a loss (rule 18), though these copies, by name, are newer; null: he did not. */
  private accepted: readonly string[] | null = null;
  /** The newest beat of this server when the record was read. */
  private beatAtRead = 0;
  private verdict: Verdict | null = null;

  constructor(core: Core) {
    this.core = core;
  }

  /** For the explorer: what tells two states of this apart, beyond its getters. */
  get facts() {
    return { beatAtRead: this.beatAtRead, verdict: this.verdict, accepted: this.accepted };
  }

  get isForced(): boolean {
    return this.accepted !== null;
  }
  onLossAccepted(despite: readonly string[]): void {
    this.accepted = despite;
  }
  /** It was accepted against the record that the operator saw, and against no later one. */
  onSettled(): void {
    this.accepted = null;
  }

  onRecord(beat: number): void {
    this.beatAtRead = beat;
  }
  /** The state was entered anew: the next verdict is said, whatever it is. */
  renew(): void {
    this.verdict = null;
  }

  /** Null: nothing can be judged now. */
  advice(): Advice | null {
    const { core } = this;
    const { record, open, frozen, isMissing } = core.membership;
    if (open !== null || (core.state !== "consulting" && core.state !== "waiting" && core.state !== "refusing"))
      return null;
    if (record === null && isMissing && frozen === "") return nothingThere;
    if (record === null)
      return frozen === "" ? null : { event: "verdict.refuse", why: frozen, isNew: true, waitsFor: "" };
    if (frozen !== "" && !this.isForced) return { event: "verdict.refuse", why: frozen, isNew: true, waitsFor: "" };
    if (this.accepted !== null && !core.stopping) {
      const refusal = whyNoForce(core, this.accepted);
      if (refusal !== null) {
        this.accepted = null;
        this.verdict = null;
        const why = `the recovery was not begun: ${refusal}`;
        return { event: "verdict.refuse", why, isNew: true, waitsFor: why };
      }
      const why = "recovered by force: what this server does not have is lost";
      return { event: "verdict.newHistory", why, isNew: true, waitsFor: "" };
    }
    const verdict = this.consult(record);
    if (core.namesakes.isListening(core.nowMs) && begins.has(verdict.event)) return null;
    // One that stops begins nothing more; but where the registry counts on its memory it must give that to its disk first.
    if (core.stopping && verdict.event !== "verdict.member") return null;
    const isNew = verdict.event !== this.verdict?.event || verdict.why !== this.verdict.why;
    this.verdict = verdict;
    const waits = verdict.event === "verdict.wait" || verdict.event === "verdict.refuse";
    return { ...verdict, isNew, waitsFor: waits ? verdict.why : "" };
  }

  private consult(record: RegistryRecord): Verdict {
    const { core } = this;
    const { own, options } = core;
    const beside = whyNotBeside(core);
    if (beside !== null) return { event: "verdict.refuse", why: beside };
    return consultTable({
      record,
      recovery: recoveryAdvice(record, core),
      self: options.self,
      schema: options.schema,
      application: options.program?.application,
      disk: {
        id: core.disk,
        history: own.told,
        lastEpoch: own.log.lastEpoch,
        last: own.log.last,
        hashAtBase: own.hashAtBase(record),
        memberEpoch: core.membership.memberEpoch,
        syncedEpoch: core.membership.syncedEpoch,
        restored: core.membership.memberEpoch === 0 ? core.restored : null,
      },
      present: this.present(record),
      doubled: [...core.peers].filter((peer) => core.peers.isDoubled(peer)).map(({ name }) => name),
      configured: options.servers,
      afterTotalLoss: options.afterTotalLoss,
      isFailoverPaused: core.isFailoverPaused,
      limits: core.limits,
      rules: core.rules,
    });
  }

  /** Of two of one name only one that the registry names is there, and for nothing but to be followed. */
  private present(record: RegistryRecord): Presence[] {
    const { core } = this;
    const present: Presence[] = [];
    for (const peer of core.peers) {
      const { heartbeat } = peer;
      if (heartbeat === null || !core.peers.isPresent(peer.name)) continue;
      const { incarnation, hot, lastEpoch, last, history, disk = "" } = heartbeat;
      const isDoubled = core.peers.isDoubled(peer);
      if (isDoubled && !record.inSync.some((member) => member.incarnation === incarnation)) continue;
      const echo = heartbeat.heard[core.options.self.server];
      const proven = !isDoubled && echo?.incarnation === core.self && echo.beat > this.beatAtRead;
      present.push({ server: peer.name, incarnation, hot, lastEpoch, last, history, disk, proven });
    }
    return present;
  }
}

/**
 * What is said of force beside a refusal. Never that it would help here, where another server is known to have more, be it
 * silent now, or where this one has nothing at all.
 */
function recoveryAdvice(record: RegistryRecord, core: Core): string {
  const newer = newestOfOthers(core, false);
  if (newer !== null) return `recover by force on ${newer.server} (it has ${copyName(newer)}, this server less)`;
  const isEmpty = core.own.log.last === 0 && record.epoch > 1;
  return isEmpty ? "recover by force on a server that has a log: this one has none" : "recover by force";
}
