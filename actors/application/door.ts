/**
 * The door of a hot server where more comes than it can handle: what has come is read whole and waits here, and clients have
 * their turns one after another. Without it everybody waits behind whoever sends most, in the broker and in the socket.
 *
 * What always holds: while runs are short every message is handled as it comes, and nothing is looked up. From a long one on
 * until nothing waits, messages wait, those of one client in their order, and each round takes one of each client that has any:
 * a client with one message waits for no more than one of each other client. What waits is bounded in number and in bytes, by
 * the limits of what is in flight, and past them those that have most here are turned away (`isBeyondShare`).
 */
import type { Rules } from "../../machines/replica/rules.ts";
import type { BusMessage, Clock } from "../world/ports.ts";

/** Its bytes are its own: those of a message are part of all that came with it. */
interface Waiting {
  readonly isQuery: boolean;
  readonly message: BusMessage;
  readonly sinceMs: number;
}

/** A line's array is cut when this many at its head have gone, and they are half of it. */
const cutAfter = 256;

/**
 * Where more than so much came between two times, there is more in the socket than is good, and so many times less is handled
 * before reading goes on: a broker gives up on one that does not read what it sends (`write_deadline`).
 */
const muchBytes = 1024 * 1024;
const readingFirst = 4;

/** First in, first out. */
class Line<Item> {
  readonly #items: Item[] = [];
  #head = 0;

  get length(): number {
    return this.#items.length - this.#head;
  }

  put(item: Item): void {
    this.#items.push(item);
  }

  /** Of one that is not empty. */
  take(): Item {
    const item = this.#items[this.#head] as Item;
    this.#head += 1;
    if (this.#head > cutAfter && this.#head * 2 > this.#items.length) {
      this.#items.splice(0, this.#head);
      this.#head = 0;
    }
    return item;
  }
}

/** A client of which something waits. */
class Client {
  readonly name: string;
  readonly line = new Line<Waiting>();
  bytes = 0;

  constructor(name: string) {
    this.name = name;
  }
}

export interface DoorOptions {
  readonly clock: Clock;
  readonly rules: Pick<Rules, "isFull" | "isBeyondShare">;
  readonly maxMessages: number;
  readonly maxBytes: number;
  /** For how long messages that wait are handled in one turn. */
  readonly serveMs: number;
  /** False: an error has ended this life. */
  readonly isOpen: () => boolean;
  /** `sinceMs`: when it came; 0: just now. */
  readonly handle: (message: BusMessage, isQuery: boolean, sinceMs: number) => void;
  /** It does not wait: there is no room for more of this client. */
  readonly turnAway: (message: BusMessage) => void;
}

export class Door {
  readonly #options: DoorOptions;
  /** As their subjects' last tokens name them. */
  #clients = new Map<string, Client>();
  /** Each of them once: whose turn it is comes first. */
  #turns = new Line<Client>();
  #count = 0;
  #bytes = 0;
  #isBehind = false;
  /** Of messages that came since others were handled the last time. */
  #readBytes = 0;

  constructor(options: DoorOptions) {
    this.#options = options;
  }

  /** Messages that wait. */
  get waiting(): number {
    return this.#count;
  }
  get waitingBytes(): number {
    return this.#bytes;
  }

  arrive(message: BusMessage, isQuery: boolean): void {
    if (!this.#isBehind) {
      this.#options.handle(message, isQuery, 0);
      return;
    }
    const { subject, data, reply } = message;
    this.#readBytes += data.length;
    const name = subject.slice(subject.lastIndexOf(".") + 1);
    const client = this.#clients.get(name);
    if (this.#isFullFor(client, data.length)) {
      this.#options.turnAway(message);
      return;
    }
    const sinceMs = this.#options.clock.nowMs();
    const kept = { subject, data: Buffer.from(data), reply };
    this.#wait(client ?? this.#enter(name), { isQuery, message: kept, sinceMs });
  }

  #isFullFor(client: Client | undefined, bytes: number): boolean {
    const { rules, maxMessages, maxBytes } = this.#options;
    const [count, all] = [this.#count, this.#bytes + bytes];
    if (rules.isFull(count, maxMessages) && rules.isBeyondShare(client?.line.length ?? 0, count, maxMessages))
      return true;
    return rules.isFull(all, maxBytes) && rules.isBeyondShare((client?.bytes ?? 0) + bytes, all, maxBytes);
  }

  #enter(name: string): Client {
    const client = new Client(name);
    this.#clients.set(name, client);
    this.#turns.put(client);
    return client;
  }

  #wait(client: Client, waiting: Waiting): void {
    const bytes = waiting.message.data.length;
    client.line.put(waiting);
    client.bytes += bytes;
    this.#count += 1;
    this.#bytes += bytes;
  }

  /** Messages come without a pause, and more may have come than this server can handle: they are read first. */
  onLongRun(): void {
    this.#isBehind = true;
  }

  /** At the end of a run of them. */
  serve(): void {
    const { clock, serveMs, handle, isOpen } = this.#options;
    const untilMs = clock.nowMs() + (this.#readBytes > muchBytes ? serveMs / readingFirst : serveMs);
    this.#readBytes = 0;
    while (this.#count > 0 && isOpen()) {
      const { message, isQuery, sinceMs } = this.#next();
      handle(message, isQuery, sinceMs);
      if (clock.nowMs() >= untilMs) break;
    }
    this.#isBehind = this.#count > 0;
  }

  #next(): Waiting {
    const client = this.#turns.take();
    const next = client.line.take();
    const bytes = next.message.data.length;
    client.bytes -= bytes;
    this.#count -= 1;
    this.#bytes -= bytes;
    if (client.line.length > 0) this.#turns.put(client);
    else this.#clients.delete(client.name);
    return next;
  }

  /** What waits is lost with the role. */
  close(): void {
    this.#clients = new Map();
    this.#turns = new Line();
    this.#count = 0;
    this.#bytes = 0;
    this.#readBytes = 0;
    this.#isBehind = false;
  }
}
