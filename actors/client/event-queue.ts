/**
 * A bounded queue between callbacks and one `for await` loop. What always holds: events come out in the order they went
 * in; all of them come out before the end or the error; `onRoom` is called when a full queue has been emptied by half; an event is
 * dealt with when the loop asks for the next one.
 */
export class EventQueue<Event> {
  readonly #max: number;
  readonly #onRoom: () => void;
  #events: Event[] = [];
  #taken = 0;
  #wasFull = false;
  #isOver = false;
  #error: Error | undefined = undefined;
  #wake: (() => void) | undefined = undefined;
  /** Taken by the loop, which has not asked for more yet. */
  #current: Event | undefined = undefined;

  constructor(max: number, onRoom: () => void) {
    this.#max = max;
    this.#onRoom = onRoom;
  }

  get length(): number {
    return this.#events.length - this.#taken;
  }

  /** The first event that is not dealt with: the loop has it, or it waits; undefined: there is none. */
  get pending(): Event | undefined {
    return this.#current ?? this.#events[this.#taken];
  }

  /** Once full, it is full until half of it was taken. */
  get isFull(): boolean {
    return this.#wasFull;
  }

  push(event: Event): void {
    this.#events.push(event);
    this.#wasFull ||= this.length >= this.#max;
    this.#wake?.();
  }

  end(): void {
    this.#isOver = true;
    this.#wake?.();
  }

  fail(error: Error): void {
    this.#error ??= error;
    this.end();
  }

  iterator(onReturn: () => void): AsyncIterator<Event> {
    return {
      next: async () => {
        this.#current = undefined;
        while (this.length === 0 && !this.#isOver)
          await new Promise<void>((resolve) => {
            this.#wake = resolve;
          });
        this.#wake = undefined;
        if (this.length > 0) {
          this.#current = this.#take();
          return { done: false, value: this.#current };
        }
        if (this.#error !== undefined) throw this.#error;
        return { done: true, value: undefined };
      },
      return: () => {
        onReturn();
        return Promise.resolve({ done: true, value: undefined });
      },
    };
  }

  #take(): Event {
    const event = this.#events[this.#taken] as Event;
    this.#taken += 1;
    if (this.#taken >= 1_024 || this.#taken === this.#events.length) {
      this.#events = this.#events.slice(this.#taken);
      this.#taken = 0;
    }
    if (this.#wasFull && this.length <= this.#max / 2) {
      this.#wasFull = false;
      this.#onRoom();
    }
    return event;
  }
}
