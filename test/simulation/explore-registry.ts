/**
 * The registry of the small world, and the compare-and-sets that are under way. What always holds: one lands when a choice
 * says so, be it after its sender was told "timeout" or died; one whose expected revision has passed is lost, whenever it
 * lands; a reading answers what the registry said at some time between the question and the answer.
 */
import type { CasAnswer } from "../../machines/replica/membership.ts";
import type { RegistryRecord } from "../../schemas/registry.ts";

export interface OpenCas {
  readonly by: string;
  readonly incarnation: string;
  readonly record: RegistryRecord;
  readonly expectedRevision: number;
  /** Once it has landed. */
  readonly answer: CasAnswer | null;
  readonly isTold: boolean;
}

export class SmallRegistry {
  /** The first is of revision 1. */
  #records: readonly RegistryRecord[];
  #open: readonly OpenCas[] = [];

  constructor(records: readonly RegistryRecord[]) {
    this.#records = records;
  }

  clone(): SmallRegistry {
    const copy = new SmallRegistry(this.#records);
    copy.#open = this.#open;
    return copy;
  }

  get revision(): number {
    return this.#records.length;
  }
  get record(): RegistryRecord {
    return this.#records.at(-1) as RegistryRecord;
  }
  at(revision: number): RegistryRecord {
    return this.#records[revision - 1] as RegistryRecord;
  }
  get open(): readonly OpenCas[] {
    return this.#open;
  }
  byName(writeId: string): OpenCas {
    return this.#open.find(({ record }) => record.writeId === writeId) as OpenCas;
  }
  /** Those that can still change it. */
  get mayLand(): readonly OpenCas[] {
    return this.#open.filter(({ answer }) => answer === null);
  }

  /** `oldest`: the oldest revision that may still be read. */
  facts(oldest: number): string {
    const records = this.#records.slice(oldest - 1);
    return JSON.stringify([this.revision, records, this.#open]);
  }

  ask(by: string, incarnation: string, record: RegistryRecord, expectedRevision: number): void {
    const isLost = expectedRevision !== this.revision;
    const answer = isLost ? ({ outcome: "lost" } as const) : null;
    this.#open = [...this.#open, { by, incarnation, record, expectedRevision, answer, isTold: false }];
  }

  land(cas: OpenCas): void {
    this.#records = [...this.#records, cas.record];
    this.#open = this.#open.map((one) => {
      if (one === cas) return { ...one, answer: { outcome: "won", revision: this.revision } as const };
      return one.answer === null ? { ...one, answer: { outcome: "lost" } as const } : one;
    });
  }

  /** Its sender was told something, and is told nothing more. */
  tell(cas: OpenCas): void {
    this.#open = this.#open.map((one) => (one === cas ? { ...one, isTold: true } : one));
  }

  /** What nobody waits for any more and what cannot land is forgotten. */
  tidy(isAlive: (cas: OpenCas) => boolean): void {
    this.#open = this.#open.filter((cas) => cas.answer === null || (!cas.isTold && isAlive(cas)));
  }
}
