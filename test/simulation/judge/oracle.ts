/**
 * Sees all servers at once, as nobody in the service can, and asks at each moment that matters whether what is committed
 * is where the registry's newest record says that it is (invariants 2 and 4). So a broken rule is seen when it is broken,
 * not only when somebody dies at the one moment that makes a loss of it.
 *
 * What always holds: a server that died counts with what it held when it died, in memory or synced; a new history starts
 * with nothing committed.
 */
import type { LogBatch } from "../../../machines/log/batch.ts";
import type { Replica } from "../../../machines/replica/replica.ts";
import type { Member, Position, RegistryRecord } from "../../../schemas/registry.ts";
import { PublishedCheck } from "./published.ts";

export class Oracle {
  readonly #newest: () => RegistryRecord | null;
  readonly #fail: (of: string, text: string) => void;
  /** By incarnation, the dead ones too. */
  readonly #replicas = new Map<string, Replica>();
  /** The highest record that anybody committed, by history. */
  readonly #committed = new Map<string, Position>();
  readonly published: PublishedCheck;
  #hasFailed = false;

  constructor(newest: () => RegistryRecord | null, fail: (of: string, text: string) => void) {
    this.#newest = newest;
    this.#fail = fail;
    this.published = new PublishedCheck(fail);
  }

  onLife(replica: Replica): void {
    this.#replicas.set(replica.self, replica);
  }

  onCommitted(incarnation: string, history: string, batch: LogBatch): void {
    const { last, lastHash } = batch;
    this.published.onCommitted(history, batch);
    for (const replica of this.#replicas.values()) this.published.check(replica);
    const before = this.#committed.get(history)?.sequence ?? 0;
    if (last <= before) return;
    this.#committed.set(history, { sequence: last, hash: lastHash });
    const record = this.#newest();
    if (record !== null)
      this.#judge(record, "invariant 2", `${incarnation} commits record ${last} of epoch ${record.epoch}`);
  }

  /** The registry's newest record, as soon as it is written: whoever it names holds everything. */
  onRecord(record: RegistryRecord): void {
    if (record === this.#newest()) this.#judge(record, "invariant 4", `epoch ${record.epoch} is written`);
  }

  #judge(record: RegistryRecord, invariant: string, what: string): void {
    const committed = this.#committed.get(record.history);
    if (committed === undefined || this.#hasFailed) return;
    for (const member of record.inSync) {
      const lack = this.#lack(member, committed, record.durability);
      if (lack === "") continue;
      this.#hasFailed = true;
      const text = `${what}, which counts on ${member.incarnation} (${record.durability}), and ${lack}`;
      this.#fail(invariant, text);
      return;
    }
  }

  #lack({ incarnation }: Member, { sequence, hash }: Position, durability: RegistryRecord["durability"]): string {
    const replica = this.#replicas.get(incarnation);
    if (replica === undefined) return "";
    const { log, synced } = replica;
    if (log.closed.sequence < sequence) return `its log ends at ${log.closed.sequence}, ${sequence} is committed`;
    const found = log.hashAt(sequence);
    if (found !== undefined && found !== hash) return `it holds another record ${sequence} than the committed one`;
    if (durability === "disk" && synced < sequence) return `its disk has ${synced}, ${sequence} is committed`;
    return "";
  }
}
