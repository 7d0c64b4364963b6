/**
 * The failsafe link: the same frames as the main link, over NATS subjects. It is slower and always there, so that a lost
 * main link is neither taken for a lost peer nor stops the mirror.
 *
 * What always holds:
 * 1. A peer is up once it was heard, and no longer when the broker says that nobody listens for it (noResponders), when its
 *    crash notifier says that it is dead (the broker will find that nobody listens, once the dead one's kernel has told it), or when we have lost the broker ourselves (disconnected). Each change is told once.
 * 2. Nothing that was sent while disconnected ever leaves, and a damaged or foreign message is never delivered.
 * 3. Where the servers share keys, a message is delivered only if its sender has one, said it to this process, and it was not
 *    delivered before (failsafe-message.ts, peer-sessions.ts); only such a one shows that the peer is up.
 */
import { subjects } from "../../schemas/subjects.ts";
import type { NatsLine } from "./connection-nats.ts";
import {
  type FailsafeMessage,
  headerBytesOf,
  type Parts,
  provenContext,
  provenMessage,
  readFailsafeMessage,
  type Session,
  unprovenMessage,
} from "./failsafe-message.ts";
import { byteLengthOf } from "./frames.ts";
import { noticeIn, type PeerProof, whyUnproven } from "./peer-proof.ts";
import { PeerSessions } from "./peer-sessions.ts";
import {
  type BusMessage,
  type Clock,
  type Link,
  type LinkDownReason,
  type LinkHandlers,
  type Log,
  noRespondersStatus,
  type Subscription,
} from "./ports.ts";
import { QuietLog } from "./quiet-log.ts";

export interface NatsLinkOptions {
  readonly service: string;
  readonly server: string;
  /** Names of all servers of the service, this one included. */
  readonly servers: readonly string[];
  readonly line: NatsLine;
  /** A crash notifier says that a process of a peer is dead. True: it is the one that was last spoken with. */
  readonly onDeath?: (peer: string, processId: string) => boolean;
  /** Past this many bytes that wait for the broker, `send` returns false. */
  readonly maxBufferedBytes: number;
  /** Absent: the servers share no key. */
  readonly proof?: PeerProof | undefined;
  readonly clock: Clock;
  readonly log: Log;
}

/** A session that does not know this process's is told of it at most so often. */
const greetStaleEveryMs = 100;
const maxGreeted = 1_024;

export class NatsLink implements Link {
  readonly kind = "failsafe";
  readonly isProven: boolean;
  readonly #options: NatsLinkOptions;
  /** What was last told of each peer. */
  readonly #told = new Map<string, "up" | LinkDownReason | null>();
  readonly #headerBytes: number;
  readonly #sessions = new PeerSessions();
  /** When each session that did not know this one was told of it last; by peer and session, oldest first. */
  readonly #greetedMs = new Map<string, number>();
  #handlers: LinkHandlers | null = null;
  #inbox = "";
  #held: Subscription[] = [];
  readonly #quiet: QuietLog;

  constructor(options: NatsLinkOptions) {
    this.#options = options;
    this.#quiet = new QuietLog(options.clock, options.log);
    this.isProven = options.proof?.isRequired === true;
    this.#headerBytes = headerBytesOf(options.server, options.proof !== undefined);
    for (const name of options.servers) if (name !== options.server) this.#told.set(name, null);
  }

  /** Resolves when connected, or when the first dial has failed: dialling goes on. */
  async start(handlers: LinkHandlers): Promise<void> {
    const { line, service, server } = this.#options;
    this.#handlers = handlers;
    this.#inbox = line.inbox();
    this.#held = [
      line.subscribe(subjects.actor(service, server, "replication"), (message) => this.#onMessage(message)),
      line.subscribe(subjects.deaths(service, server), ({ data }) => this.#onDeath(data)),
      line.subscribe(`${this.#inbox}.*`, (message) => this.#onAnswer(message)),
      line.onState((connected) => {
        if (connected) this.#introduce();
        else this.#onDisconnected();
      }),
    ];
    line.acquire();
    await line.ready();
    if (line.connected()) this.#introduce();
  }

  send(peer: string, parts: readonly Uint8Array[]): boolean {
    const { line, service, maxBufferedBytes } = this.#options;
    if (this.#handlers === null || !this.#told.has(peer)) return false;
    const bytes = byteLengthOf(parts);
    if (bytes > this.maxFrameBytes(peer) || line.bufferedBytes() + bytes > maxBufferedBytes) return false;
    const message = this.#messageOf(peer, { parts, bytes });
    // The reply subject is for the broker: it says there when nobody listens for the peer.
    return line.publish(subjects.actor(service, peer, "replication"), message, `${this.#inbox}.${peer}`);
  }

  /** `to`: sessions of the peer, where not those that were heard last. */
  #messageOf(peer: string, frame: Parts): Buffer {
    const { server, proof } = this.#options;
    return proof === undefined ? unprovenMessage(server, frame) : this.#provenMessageOf(proof, peer, frame);
  }

  #provenMessageOf({ keys }: PeerProof, peer: string, frame: Parts | null, to?: readonly Session[]): Buffer {
    const { service, server } = this.#options;
    const context = provenContext(service, server, peer);
    return provenMessage(server, this.#sessions.next(peer, to), frame, (body) => keys.sign([context, body]));
  }

  bufferedBytes(peer: string): number {
    return this.#handlers !== null && this.#told.has(peer) ? this.#options.line.bufferedBytes() : 0;
  }

  /** What the broker takes now. */
  maxFrameBytes(_peer: string): number {
    return this.#options.line.maxPayloadBytes() - this.#headerBytes;
  }

  async stop(): Promise<void> {
    if (this.#handlers === null) return;
    this.#handlers = null;
    for (const held of this.#held) held.stop();
    this.#held = [];
    for (const peer of this.#told.keys()) this.#told.set(peer, null);
    await this.#options.line.release();
  }

  #onMessage({ data }: BusMessage): void {
    // An operator's question to the actor, not a frame.
    if (data.length === 0) return;
    const message = readFailsafeMessage(data);
    if (message === null) {
      this.#quiet.warn("damaged", { bytes: data.length }, "failsafe link: a damaged message was dropped");
      return;
    }
    const { from, version, isKnown } = message;
    const isPeer = this.#told.has(from);
    if (!isKnown || !isPeer) {
      // A stranger's name is not repeated: it may be anything.
      const fields = { peer: isPeer ? from : "not a configured server", version };
      this.#quiet.warn("foreign", fields, "failsafe link: a foreign message was dropped");
      return;
    }
    if (!this.#isProven(message)) return;
    this.#tell(from, "up");
    if (message.frame !== null) this.#handlers?.onFrame(from, message.frame);
  }

  #isProven({ from, proven }: FailsafeMessage): boolean {
    const { service, server, proof } = this.#options;
    if (proof === undefined || (proven === null && !proof.isRequired)) return true;
    if (proven === null || !proof.keys.proves(proven.proof, [provenContext(service, from, server), proven.bytes])) {
      this.#handlers?.onUnproven?.(from, whyUnproven(proven !== null));
      return false;
    }
    const freshness = this.#sessions.take(from, proven.body);
    if (freshness.is === "fresh" && freshness.isFirst) this.#greet(from);
    if (freshness.is === "stale") this.#greetStale(from, proven.body.session);
    return freshness.is === "fresh";
  }

  /** Says to which session messages to this process are to be said, to all who do not know it yet. */
  #introduce(): void {
    for (const peer of this.#told.keys()) if (!this.#sessions.knows(peer)) this.#greet(peer);
  }

  /** What was said meanwhile and did not come is not taken later: somebody else may have it. */
  #onDisconnected(): void {
    this.#sessions.renew();
    for (const peer of this.#told.keys()) this.#tell(peer, "disconnected");
  }

  #greet(peer: string, to?: readonly Session[]): void {
    const { line, service, proof } = this.#options;
    if (this.#handlers === null || proof === undefined) return;
    const message = this.#provenMessageOf(proof, peer, null, to);
    line.publish(subjects.actor(service, peer, "replication"), message);
  }

  /** Of that session nobody knows whether it is there: what was recorded of it may have been said again. */
  #greetStale(peer: string, session: Session): void {
    const nowMs = this.#options.clock.nowMs();
    // For each session apart: who says recorded words again does not take the turn of who is there.
    const key = `${peer} ${session}`;
    if (nowMs - (this.#greetedMs.get(key) ?? Number.NEGATIVE_INFINITY) < greetStaleEveryMs) return;
    this.#greetedMs.delete(key);
    this.#greetedMs.set(key, nowMs);
    const [oldest] = this.#greetedMs.keys();
    if (this.#greetedMs.size > maxGreeted && oldest !== undefined) this.#greetedMs.delete(oldest);
    this.#greet(peer, [session]);
  }

  #onAnswer(message: BusMessage): void {
    const peer = message.subject.slice(this.#inbox.length + 1);
    if (message.status === noRespondersStatus && this.#told.has(peer)) this.#tell(peer, "noResponders");
  }

  #onDeath(data: Uint8Array): void {
    const { service, server, proof } = this.#options;
    const { notice, isProven } = noticeIn(data, { service, to: server }, proof);
    if (notice === null || !this.#told.has(notice.server)) return;
    if (!isProven) {
      this.#handlers?.onUnproven?.(notice.server, "a notice of its death without a proof");
      return;
    }
    // True of a process that is long over, too.
    if (notice.lastWords?.server === notice.server) this.#handlers?.onLastWords?.(notice.lastWords);
    if (this.#options.onDeath?.(notice.server, notice.life) !== true) return;
    // The same notice may come again and again.
    this.#quiet.warn(
      `death of ${notice.server}`,
      { peer: notice.server },
      "its crash notifier says that the peer is dead",
    );
    this.#tell(notice.server, "noResponders");
  }

  #tell(peer: string, state: "up" | LinkDownReason): void {
    if (this.#told.get(peer) === state) return;
    this.#told.set(peer, state);
    if (state === "up") this.#handlers?.onUp(peer);
    else this.#handlers?.onDown(peer, state);
  }
}
