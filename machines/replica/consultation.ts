/**
 * The facts for the start table, and its newest verdict (PROTOCOL.md, modes and start). What always holds: the table is
 * asked only by a server that is no member and follows nobody; the presence of another counts as proven only by an echo
 * of a beat that was sent after the record was read; the same verdict is not said twice.
 */
import type { RegistryRecord } from "../../schemas/registry.ts";
import { copyName, newestOfOthers } from "./copies.ts";
import { type NamedView, whyNotBeside } from "./namesakes.ts";
import { whyNoForce } from "./refusals.ts";
import { consultTable, type Presence, type Verdict } from "./start-table.ts";
import type { ReplicaView } from "./view.ts";

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

export interface ConsultationView extends NamedView {
  readonly disk: string;
}

export class Consultation {
  /** An operator accepted a loss (rule 18), though these copies, by name, are newer; null: he did not. */
  #accepted: readonly string[] | null = null;
  /** The newest beat of this server when the record was read. */
  #beatAtRead = 0;
  #verdict: Verdict | null = null;

  clone(): Consultation {
    const copy = new Consultation();
    copy.#accepted = this.#accepted;
    copy.#beatAtRead = this.#beatAtRead;
    copy.#verdict = this.#verdict;
    return copy;
  }
  /** What decides how this goes on and is not told otherwise, as values. */
  get facts() {
    return { beatAtRead: this.#beatAtRead, verdict: this.#verdict, accepted: this.#accepted };
  }

  get isForced(): boolean {
    return this.#accepted !== null;
  }
  onLossAccepted(despite: readonly string[]): void {
    this.#accepted = despite;
  }
  /** It was accepted against the record that the operator saw, and against no later one. */
  onSettled(): void {
    this.#accepted = null;
  }

  onRecord(beat: number): void {
    this.#beatAtRead = beat;
  }
  /** The state was entered anew: the next verdict is said, whatever it is. */
  renew(): void {
    this.#verdict = null;
  }

  /** Null: nothing can be judged now. */
  advice(view: ConsultationView): Advice | null {
    const { record, open, frozen, isMissing } = view.membership;
    if (open !== null || (view.state !== "consulting" && view.state !== "waiting" && view.state !== "refusing"))
      return null;
    if (record === null && isMissing && frozen === "") return nothingThere;
    if (record === null)
      return frozen === "" ? null : { event: "verdict.refuse", why: frozen, isNew: true, waitsFor: "" };
    if (frozen !== "" && !this.isForced) return { event: "verdict.refuse", why: frozen, isNew: true, waitsFor: "" };
    if (this.#accepted !== null && !view.stopping) {
      const refusal = whyNoForce(view, this.#accepted);
      if (refusal !== null) {
        this.#accepted = null;
        this.#verdict = null;
        const why = `the recovery was not begun: ${refusal}`;
        return { event: "verdict.refuse", why, isNew: true, waitsFor: why };
      }
      const why = "recovered by force: what this server does not have is lost";
      return { event: "verdict.newHistory", why, isNew: true, waitsFor: "" };
    }
    const verdict = this.#consult(record, view);
    if (view.namesakes.isListening(view.nowMs) && begins.has(verdict.event)) return null;
    // One that stops begins nothing more; but where the registry counts on its memory it must give that to its disk first.
    if (view.stopping && verdict.event !== "verdict.member") return null;
    const isNew = verdict.event !== this.#verdict?.event || verdict.why !== this.#verdict.why;
    this.#verdict = verdict;
    const waits = verdict.event === "verdict.wait" || verdict.event === "verdict.refuse";
    return { ...verdict, isNew, waitsFor: waits ? verdict.why : "" };
  }

  #consult(record: RegistryRecord, view: ConsultationView): Verdict {
    const { own, options } = view;
    const beside = whyNotBeside(view);
    if (beside !== null) return { event: "verdict.refuse", why: beside };
    return consultTable({
      record,
      recovery: recoveryAdvice(record, view),
      self: options.self,
      schema: options.schema,
      disk: {
        id: view.disk,
        history: own.told,
        lastEpoch: own.log.lastEpoch,
        last: own.log.last,
        hashAtBase: own.hashAtBase(record),
        memberEpoch: view.membership.memberEpoch,
        syncedEpoch: view.membership.syncedEpoch,
      },
      present: this.#present(record, view),
      doubled: [...view.peers].filter((peer) => view.peers.isDoubled(peer)).map(({ name }) => name),
      configured: options.servers,
      afterTotalLoss: options.afterTotalLoss,
      limits: view.limits,
      rules: view.rules,
    });
  }

  /** Of two of one name only one that the registry names is there, and for nothing but to be followed. */
  #present(record: RegistryRecord, view: ReplicaView): Presence[] {
    const present: Presence[] = [];
    for (const peer of view.peers) {
      const { heartbeat } = peer;
      if (heartbeat === null || !view.peers.isPresent(peer.name)) continue;
      const { incarnation, hot, lastEpoch, last, history, disk = "" } = heartbeat;
      const isDoubled = view.peers.isDoubled(peer);
      if (isDoubled && !record.inSync.some((member) => member.incarnation === incarnation)) continue;
      const echo = heartbeat.heard[view.options.self.server];
      const proven = !isDoubled && echo?.incarnation === view.self && echo.beat > this.#beatAtRead;
      present.push({ server: peer.name, incarnation, hot, lastEpoch, last, history, disk, proven });
    }
    return present;
  }
}

/**
 * What is said of force beside a refusal. Never that it would help here, where another server is known to have more, be it
 * silent now, or where this one has nothing at all.
 */
function recoveryAdvice(record: RegistryRecord, view: ReplicaView): string {
  const newer = newestOfOthers(view, false);
  if (newer !== null) return `recover by force on ${newer.server} (it has ${copyName(newer)}, this server less)`;
  const isEmpty = view.own.log.last === 0 && record.epoch > 1;
  return isEmpty ? "recover by force on a server that has a log: this one has none" : "recover by force";
}
