/**
 * The messages of the small world. What always holds: a message that was sent stays and may be delivered at any time, in any
 * order, again and again, or never: both links, with all that they repeat, reorder, delay and lose. Of heartbeats only the
 * newest two that differ are kept for each way, and none arrives after a newer one: the receiver drops those by their beat.
 */
import type { Heartbeat, PeerMessage } from "../../machines/codec/message.ts";

export interface Sent {
  /** Equal messages have the same one. */
  readonly id: number;
  readonly from: string;
  readonly to: string;
  readonly message: PeerMessage;
  readonly payload: Uint8Array;
}

/** Heartbeats on one way, the newest last. */
const keptHeartbeats = 2;

/** All messages that were ever sent in the worlds of one exploration, by what they say. */
export class Letters {
  readonly #byContent = new Map<string, Sent>();
  readonly #all: Sent[] = [];

  get(id: number): Sent {
    return this.#all[id] as Sent;
  }

  of(from: string, to: string, message: PeerMessage, payload: Uint8Array): Sent {
    const content = JSON.stringify([from, to, message.type === "heartbeat" ? told(message) : message]);
    const known = this.#byContent.get(content);
    if (known !== undefined) return known;
    const sent = { id: this.#all.length, from, to, message, payload };
    this.#all.push(sent);
    this.#byContent.set(content, sent);
    return sent;
  }
}

/** What of a heartbeat matters here (explore-facts.ts says why the rest does not). */
function told(message: Heartbeat): unknown {
  const { incarnation, life, hot, stopping, bus, registry, epochSeen, record, revision } = message;
  return [incarnation, life, hot, stopping, bus, registry, epochSeen, record, revision];
}

export class Network {
  readonly #letters: Letters;
  #messages: readonly number[] = [];
  #heartbeats: ReadonlyMap<string, readonly number[]> = new Map();
  /** Heartbeats are numbered as they are delivered: the newest that was sent goes out again and again. */
  #beats = 1_000;

  constructor(letters: Letters) {
    this.#letters = letters;
  }

  clone(): Network {
    const copy = new Network(this.#letters);
    copy.#messages = this.#messages;
    copy.#heartbeats = this.#heartbeats;
    copy.#beats = this.#beats;
    return copy;
  }

  get facts(): string {
    return JSON.stringify([this.#messages, [...this.#heartbeats].sort(([one], [other]) => (one < other ? -1 : 1))]);
  }
  get messages(): readonly Sent[] {
    return this.#messages.map((id) => this.#letters.get(id));
  }
  /** Each way's heartbeats, `from>to`. */
  get heartbeats(): readonly Sent[] {
    return [...this.#heartbeats.values()].flatMap((ids) => ids.map((id) => this.#letters.get(id)));
  }
  newestHeartbeat(from: string, to: string): Sent | undefined {
    const id = this.#heartbeats.get(`${from}>${to}`)?.at(-1);
    return id === undefined ? undefined : this.#letters.get(id);
  }
  get(id: number): Sent {
    return this.#letters.get(id);
  }

  send(from: string, to: string, message: PeerMessage, payload: Uint8Array): void {
    const { id } = this.#letters.of(from, to, message, payload);
    if (message.type === "heartbeat") this.#sendHeartbeat(`${from}>${to}`, id);
    else if (!this.#messages.includes(id)) this.#messages = [...this.#messages, id].sort((one, other) => one - other);
  }

  #sendHeartbeat(way: string, id: number): void {
    const before = this.#heartbeats.get(way) ?? [];
    if (before.at(-1) === id) return;
    this.#heartbeats = new Map([...this.#heartbeats, [way, [...before, id].slice(-keptHeartbeats)]]);
  }

  /** The message as it arrives. */
  deliver({ id, from, to, message }: Sent): PeerMessage {
    if (message.type !== "heartbeat") return message;
    const way = `${from}>${to}`;
    const before = this.#heartbeats.get(way) ?? [];
    this.#heartbeats = new Map([...this.#heartbeats, [way, before.slice(before.indexOf(id))]]);
    this.#beats += 1;
    return { ...message, beat: this.#beats };
  }

  /** Those of a server that is gone: one that came later still would only bring it back for a moment. */
  dropHeartbeats(from: string, to: string): void {
    this.#heartbeats = new Map([...this.#heartbeats].filter(([way]) => way !== `${from}>${to}`));
  }

  letGo(isOver: (sent: Sent) => boolean): void {
    const kept = this.#messages.filter((id) => !isOver(this.#letters.get(id)));
    if (kept.length < this.#messages.length) this.#messages = kept;
  }

  /** All has arrived, nothing is under way. */
  clear(): void {
    this.#messages = [];
  }
}
