/**
 * Work that goes through a state, in slices. What always holds: between two yields it touches `sliceRows` rows or items at most, however
 * many there are, so that a server does it in many turns, and hears and says in between what keeps it a member.
 */
export type Sliced<T = void> = Generator<void, T>;

/** Rows or items between two yields, that is, between two looks at the clock. */
export const sliceRows = 64;

/** All of it at once: where nobody waits. */
export function finish<T>(work: Sliced<T>): T {
  for (;;) {
    const step = work.next();
    if (step.done === true) return step.value;
  }
}

/** Work that is gone on with in one turn after another. */
export class InSlices<T> {
  readonly #work: Sliced<T>;
  #done: { readonly value: T } | null = null;

  constructor(work: Sliced<T>) {
    this.#work = work;
  }

  /** Goes on for as long as `mayGoOn` says; what comes of it, once it is done. */
  goOn(mayGoOn: () => boolean): { readonly value: T } | null {
    while (this.#done === null && mayGoOn()) {
      const step = this.#work.next();
      if (step.done === true) this.#done = { value: step.value };
    }
    return this.#done;
  }
}
