/**
 * The messages of the small world, by receiver. What always holds: a message that was sent stays and may be delivered at any
 * time, in any order, again and again, or never: both links, with all that they repeat, reorder, delay and lose. Of heartbeats
 * only the newest two that differ are kept for each way, and none arrives after a newer one: the receiver drops those by their
 * beat. A mailbox never changes, equal ones are one, and what becomes of one is worked out once.
 */

import type { Replica } from "../../../machines/replica/replica.ts";
import type { Heartbeat, PeerMessage } from "../../../schemas/peer-message.ts";
import { isStale } from "./stale.ts";

export interface Sent {
  /** Equal messages have the same one. */
  readonly id: number;
  readonly from: string;
  readonly to: string;
  readonly message: PeerMessage;
  readonly payload: Uint8Array;
}

/** A server in one of its states. */
interface Receiver {
  readonly server: { readonly replica: Replica | null };
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

/** What of a heartbeat matters here (facts.ts says why the rest does not). */
function told(message: Heartbeat): unknown {
  const { incarnation, life, hot, stopping, bus, registry, epochSeen, record, revision } = message;
  return [incarnation, life, hot, stopping, bus, registry, epochSeen, record, revision];
}

/** What is under way to one server. */
export class Mailbox {
  /** Equal mailboxes have the same one. */
  readonly id: number;
  /** By their numbers. */
  readonly messages: readonly Sent[];
  /** Each way's, the newest last; the ways by their senders' names. */
  readonly heartbeats: readonly Sent[];
  /** What may happen with them, by name. */
  readonly hearing: readonly string[];
  readonly delivering: readonly string[];
  readonly #all: Mailboxes;
  readonly #with = new Map<Sent, Mailbox>();
  readonly #after = new Map<Sent, Mailbox>();
  readonly #keptBy = new Map<Receiver, Mailbox>();

  constructor(id: number, messages: readonly Sent[], heartbeats: readonly Sent[], all: Mailboxes) {
    this.id = id;
    this.messages = messages;
    this.heartbeats = heartbeats;
    this.hearing = heartbeats.map((sent) => `hear ${sent.to} ${sent.id}`);
    this.delivering = messages.map((sent) => `deliver ${sent.to} ${sent.id}`);
    this.#all = all;
  }

  newestHeartbeat(from: string): Sent | undefined {
    return this.heartbeats.findLast((sent) => sent.from === from);
  }

  /** With one more. */
  with(sent: Sent): Mailbox {
    let then = this.#with.get(sent);
    if (then === undefined) {
      then = this.#work(sent);
      this.#with.set(sent, then);
    }
    return then;
  }

  #work(sent: Sent): Mailbox {
    if (sent.message.type !== "heartbeat") {
      if (this.messages.includes(sent)) return this;
      const messages = [...this.messages, sent].sort((one, other) => one.id - other.id);
      return this.#all.of(messages, this.heartbeats);
    }
    const way = this.heartbeats.filter(({ from }) => from === sent.from);
    if (way.at(-1) === sent) return this;
    const others = this.heartbeats.filter(({ from }) => from !== sent.from);
    const heartbeats = [...others, ...[...way, sent].slice(-keptHeartbeats)];
    return this.#all.of(
      this.messages,
      heartbeats.sort((one, other) => (one.from < other.from ? -1 : Number(one.from > other.from))),
    );
  }

  /** After it arrived: a heartbeat leaves no older one behind, anything else may come again. */
  after(sent: Sent): Mailbox {
    if (sent.message.type !== "heartbeat") return this;
    let then = this.#after.get(sent);
    if (then === undefined) {
      const at = this.heartbeats.indexOf(sent);
      then = this.#all.of(
        this.messages,
        this.heartbeats.filter(({ from }, index) => from !== sent.from || index >= at),
      );
      this.#after.set(sent, then);
    }
    return then;
  }

  /** Without the heartbeats of a server that is gone: one that came later still would only bring it back for a moment. */
  withoutHeartbeats(sender: string): Mailbox {
    const heartbeats = this.heartbeats.filter(({ from }) => from !== sender);
    return heartbeats.length === this.heartbeats.length ? this : this.#all.of(this.messages, heartbeats);
  }

  /** Without what can have no effect any more on a receiver in this state (stale.ts). */
  keptBy(receiver: Receiver): Mailbox {
    let then = this.#keptBy.get(receiver);
    if (then === undefined) {
      const { replica } = receiver.server;
      const kept = this.messages.filter(({ message, from }) => !isStale(message, from, replica));
      then = kept.length === this.messages.length ? this : this.#all.of(kept, this.heartbeats);
      this.#keptBy.set(receiver, then);
    }
    return then;
  }

  /** All has arrived, nothing is under way but heartbeats. */
  cleared(): Mailbox {
    return this.#all.of([], this.heartbeats);
  }
}

export class Mailboxes {
  readonly #byContent = new Map<string, Mailbox>();

  of(messages: readonly Sent[], heartbeats: readonly Sent[]): Mailbox {
    const content = `${messages.map(({ id }) => id)}/${heartbeats.map(({ id }) => id)}`;
    let mailbox = this.#byContent.get(content);
    if (mailbox === undefined) {
      mailbox = new Mailbox(this.#byContent.size, messages, heartbeats, this);
      this.#byContent.set(content, mailbox);
    }
    return mailbox;
  }
}
