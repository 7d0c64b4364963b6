/**
 * Committed records, applied to the state of one server, hot or warm, in their order. What always holds: where a record makes the state
 * the program's, its views are made of it in slices, and what comes after that record waits; so views are told of no effect before
 * they know all that was there.
 */
import { RecordReader, recordKinds } from "../../machines/codec/record.ts";
import type { LogBatch } from "../../machines/log/batch.ts";
import { readCatalog } from "./catalog.ts";
import { InSlices, type Sliced } from "./slices.ts";
import type { ApplicationState } from "./state.ts";

export class Applying {
  readonly #state: ApplicationState;
  readonly #reader = new RecordReader(new Uint8Array(0));
  /** They never change, and are still to be applied. */
  #waiting: LogBatch[] = [];
  #work: InSlices<void> | null = null;

  constructor(state: ApplicationState) {
    this.#state = state;
  }

  /** Whether all that was given is applied. */
  get isDone(): boolean {
    return this.#work === null;
  }

  add(batches: readonly LogBatch[]): void {
    this.#waiting.push(...batches);
    this.#work ??= new InSlices(this.#apply());
  }

  /** Goes on; only views are waited for. Throws StateError or EffectError, or what a view throws: the state is then of no use. */
  goOn(mayGoOn: () => boolean): void {
    const isDone = this.#work === null || this.#work.goOn(mayGoOn) !== null;
    if (isDone) this.#work = null;
  }

  *#apply(): Sliced {
    while (this.#waiting.length > 0) {
      const batches = this.#waiting;
      this.#waiting = [];
      for (const batch of batches) yield* this.#applyBatch(batch);
    }
  }

  *#applyBatch({ bytes }: LogBatch): Sliced {
    const [reader, state] = [this.#reader, this.#state];
    reader.over(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength), 0);
    do {
      if (reader.effects.length > 0) state.apply(reader.effects);
      if (reader.kind !== recordKinds.catalog) continue;
      const catalog = readCatalog(reader.body);
      state.adopt(catalog, state.needsViews(catalog) ? yield* state.makingViews() : undefined);
    } while (reader.next());
  }
}
