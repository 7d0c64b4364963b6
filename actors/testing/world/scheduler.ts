/**
 * The one scheduler of a simulated world: virtual time in ms, one event at a time, every promise that an event
 * resolved run to its end before the next. Whatever happens in a world is an event here, so the order of everything
 * follows from the seed, and the trace's hash tells whether two runs were the same.
 *
 * What always holds: an event of a dead owner never runs; an event of a paused owner waits until it is resumed;
 * events at the same time run in the order in which they were made.
 */
import { crc32 } from "node:zlib";

/** Whose event it is. `null` stands for the world: networks, disks, the broker, the faults. */
export interface Owner {
  readonly name: string;
  readonly state: "running" | "paused" | "dead";
  /** Events that came due while it was paused. */
  readonly held: SimEvent[];
  /** An error thrown by one of its events: a process would die of it. */
  onError(error: unknown): void;
}

export interface SimEvent {
  atMs: number;
  order: number;
  readonly owner: Owner | null;
  /** One of a few fixed words: what kind of event it is. */
  readonly label: string;
  readonly run: () => void;
  cancelled: boolean;
}

/** A loop of events without time going on, or a run that never ends, is a bug of the world or of a server. */
const maxEventsAtOneTime = 20_000;

export class Scheduler {
  #nowMs = 0;
  #order = 0;
  #events = 0;
  #sameTime = 0;
  #hash = 0;
  #current: Owner | null = null;
  readonly #heap: SimEvent[] = [];
  readonly #labels = new Map<string, number>();

  get nowMs(): number {
    return this.#nowMs;
  }

  get events(): number {
    return this.#events;
  }

  /** Whose event is running now, with all the promises that it resolved. */
  get current(): Owner | null {
    return this.#current;
  }

  get traceHash(): string {
    return (this.#hash >>> 0).toString(16).padStart(8, "0");
  }

  /** Makes bytes part of the trace: two runs with the same hash moved the same bytes. */
  trace(bytes: Uint8Array | string): void {
    this.#hash = crc32(bytes, this.#hash);
  }

  at(atMs: number, owner: Owner | null, label: string, run: () => void): SimEvent {
    this.#order += 1;
    const event = {
      atMs: atMs > this.#nowMs ? atMs : this.#nowMs,
      order: this.#order,
      owner,
      label,
      run,
      cancelled: false,
    };
    this.#push(event);
    return event;
  }

  after(delayMs: number, owner: Owner | null, label: string, run: () => void): SimEvent {
    return this.at(this.#nowMs + delayMs, owner, label, run);
  }

  /** Lets what a paused owner missed happen now: late timers first, as an event loop does, then what waited to be read. */
  release(owner: Owner): void {
    const held = owner.held.splice(0);
    const timers = held.filter((event) => event.label === "timer");
    const others = held.filter((event) => event.label !== "timer");
    for (const event of [...timers, ...others]) {
      if (event.cancelled) continue;
      this.#order += 1;
      event.atMs = this.#nowMs;
      event.order = this.#order;
      this.#push(event);
    }
  }

  /** Runs events until `stop` says so, or the virtual time is reached, or nothing is left. */
  run(untilMs: number, stop: () => boolean = () => false): Promise<void> {
    return new Promise((resolve, reject) => {
      let over = false;
      // Promises are run to their end between two immediates of one batch: that is the fastest complete turn of the loop.
      const step = () => {
        if (over) return;
        try {
          if (stop() || !this.#next(untilMs)) {
            over = true;
            this.#current = null;
            resolve();
          }
        } catch (error) {
          over = true;
          reject(error);
        }
      };
      const batch = () => {
        if (over) return;
        for (let turn = 0; turn < 32; turn += 1) setImmediate(step);
        setImmediate(batch);
      };
      batch();
    });
  }

  #next(untilMs: number): boolean {
    for (;;) {
      const event = this.#heap[0];
      if (event === undefined || event.atMs > untilMs) {
        if (untilMs > this.#nowMs && untilMs < Number.MAX_SAFE_INTEGER) this.#nowMs = untilMs;
        return false;
      }
      this.#pop();
      if (event.cancelled) continue;
      this.#sameTime = event.atMs > this.#nowMs ? 0 : this.#sameTime + 1;
      if (this.#sameTime > maxEventsAtOneTime)
        throw new Error(
          `time stands still at ${this.#nowMs} ms: ${event.label} of ${event.owner?.name ?? "the world"}`,
        );
      this.#nowMs = event.atMs;
      const owner = event.owner;
      if (owner !== null && owner.state === "dead") continue;
      if (owner !== null && owner.state === "paused") {
        owner.held.push(event);
        continue;
      }
      this.#run(event);
      return true;
    }
  }

  #run(event: SimEvent): void {
    this.#events += 1;
    this.#fold(event);
    this.#current = event.owner;
    if (event.owner === null) {
      event.run();
      return;
    }
    try {
      event.run();
    } catch (error) {
      event.owner.onError(error);
    }
  }

  #fold(event: SimEvent): void {
    const name = event.owner === null ? event.label : `${event.label} ${event.owner.name}`;
    let label = this.#labels.get(name);
    if (label === undefined) {
      label = crc32(name);
      this.#labels.set(name, label);
    }
    const time = Math.floor(event.atMs * 1000);
    let hash = Math.imul(this.#hash ^ label, 0x01000193);
    hash = Math.imul(hash ^ (time | 0), 0x85ebca6b);
    this.#hash = (hash ^ (hash >>> 15)) >>> 0;
  }

  #push(event: SimEvent): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(event);
    while (at > 0) {
      const parentAt = (at - 1) >> 1;
      const parent = heap[parentAt] as SimEvent;
      if (isBefore(parent, event)) break;
      heap[at] = parent;
      at = parentAt;
    }
    heap[at] = event;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let at = 0;
    for (;;) {
      let childAt = 2 * at + 1;
      const left = heap[childAt];
      if (left === undefined) break;
      const right = heap[childAt + 1];
      let child = left;
      if (right !== undefined && isBefore(right, left)) {
        child = right;
        childAt += 1;
      }
      if (isBefore(last, child)) break;
      heap[at] = child;
      at = childAt;
    }
    heap[at] = last;
  }
}

function isBefore(a: SimEvent, b: SimEvent): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}
