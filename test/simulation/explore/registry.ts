/**
 * The registry of the small world, and the compare-and-sets that are under way. What always holds: one lands when a choice
 * says so, be it after its sender was told "timeout" or died; one whose expected revision has passed is lost, whenever it
 * lands; a reading answers what the registry said at some time between the question and the answer. A registry never
 * changes, equal ones are one, and what becomes of one is worked out once.
 */
import type { RegistryRecord, RegistryWrite } from "../../../schemas/registry.ts";

/** What a server asks for. */
export interface Asked {
  readonly by: string;
  readonly incarnation: string;
  readonly record: RegistryRecord;
  readonly expectedRevision: number;
}

export interface OpenCas extends Asked {
  /** Once it has landed. */
  readonly answer: RegistryWrite | null;
  readonly isTold: boolean;
}

export class SmallRegistry {
  readonly #all: Registries;
  /** The first is of revision 1. */
  readonly #records: readonly RegistryRecord[];
  readonly open: readonly OpenCas[];
  readonly #then = new Map<string | Asked, SmallRegistry>();
  readonly #ids: number[] = [];
  readonly #recordIds: number[] = [];

  constructor(records: readonly RegistryRecord[], open: readonly OpenCas[], all: Registries) {
    this.#records = records;
    this.open = open;
    this.#all = all;
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
  /** Equal for equal records. */
  recordId(revision: number): number {
    let id = this.#recordIds[revision];
    if (id === undefined) {
      id = this.#all.idOf(JSON.stringify(this.at(revision)));
      this.#recordIds[revision] = id;
    }
    return id;
  }
  byName(writeId: string): OpenCas {
    return this.open.find(({ record }) => record.writeId === writeId) as OpenCas;
  }
  /** Those that can still change it. */
  get mayLand(): readonly OpenCas[] {
    return this.open.filter(({ answer }) => answer === null);
  }

  /** Equal for registries that go on alike. `oldest`: the oldest revision that may still be read. */
  idFrom(oldest: number): number {
    let id = this.#ids[oldest];
    if (id === undefined) {
      id = this.#all.idOf(JSON.stringify([this.revision, this.#records.slice(oldest - 1), this.open]));
      this.#ids[oldest] = id;
    }
    return id;
  }

  ask(asked: Asked): SmallRegistry {
    return this.#once(asked, () => {
      const isLost = asked.expectedRevision !== this.revision;
      const answer = isLost ? ({ outcome: "lost" } as const) : null;
      const { by, incarnation, record, expectedRevision } = asked;
      const open = [...this.open, { by, incarnation, record, expectedRevision, answer, isTold: false }];
      return this.#all.of(this.#records, open);
    });
  }

  land(writeId: string): SmallRegistry {
    return this.#once(`land ${writeId}`, () => {
      const cas = this.byName(writeId);
      const records = [...this.#records, cas.record];
      const open = this.open.map((one): OpenCas => {
        if (one === cas) return { ...one, answer: { outcome: "won", revision: records.length } };
        return one.answer === null ? { ...one, answer: { outcome: "lost" } } : one;
      });
      return this.#all.of(records, open);
    });
  }

  /** Its sender was told something, and is told nothing more. */
  tell(writeId: string): SmallRegistry {
    return this.#once(`tell ${writeId}`, () => {
      const open = this.open.map((one) => (one.record.writeId === writeId ? { ...one, isTold: true } : one));
      return this.#all.of(this.#records, open);
    });
  }

  /** What nobody waits for any more and what cannot land is forgotten. */
  tidy(isAlive: (cas: OpenCas) => boolean): SmallRegistry {
    if (this.open.length === 0) return this;
    const isOver = (cas: OpenCas) => cas.answer !== null && (cas.isTold || !isAlive(cas));
    if (!this.open.some(isOver)) return this;
    const over = this.open.filter(isOver);
    return this.#once(`tidy ${over.map(({ record }) => record.writeId)}`, () =>
      this.#all.of(
        this.#records,
        this.open.filter((cas) => !over.includes(cas)),
      ),
    );
  }

  #once(what: string | Asked, work: () => SmallRegistry): SmallRegistry {
    let then = this.#then.get(what);
    if (then === undefined) {
      then = work();
      this.#then.set(what, then);
    }
    return then;
  }
}

export class Registries {
  readonly #byContent = new Map<string, SmallRegistry>();
  readonly #ids = new Map<string, number>();

  of(records: readonly RegistryRecord[], open: readonly OpenCas[]): SmallRegistry {
    const content = JSON.stringify([records, open]);
    let registry = this.#byContent.get(content);
    if (registry === undefined) {
      registry = new SmallRegistry(records, open, this);
      this.#byContent.set(content, registry);
    }
    return registry;
  }

  idOf(facts: string): number {
    let id = this.#ids.get(facts);
    if (id === undefined) {
      id = this.#ids.size;
      this.#ids.set(facts, id);
    }
    return id;
  }
}
