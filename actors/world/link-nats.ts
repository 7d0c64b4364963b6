/**
 * The failsafe link: the same frames as the main link, over NATS subjects. It is slower and always there, so that a lost
 * main link is neither taken for a lost peer nor stops the mirror.
 *
 *   message   u32 crc32 of all that follows, u8 version, u8 length of the sender's name, name, frame
 *
 * What always holds:
 * 1. A peer is up once it was heard, and no longer when the broker says that nobody listens for it (noResponders), when its
 *    crash notifier says that it is dead (the broker will find that nobody listens, once the dead one's kernel has told it), or when we have lost the broker ourselves (disconnected). Each change is told once.
 * 2. Nothing that was sent while disconnected ever leaves, and a damaged or foreign message is never delivered.
 */
import { crc32 } from "node:zlib";
import { readDeathNotice } from "../../schemas/death.ts";
import { subjects } from "../../schemas/subjects.ts";
import type { NatsLine } from "./connection-nats.ts";
import { byteLengthOf, copyParts } from "./frames.ts";
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
  readonly clock: Clock;
  readonly log: Log;
}

const messageVersion = 1;
const fixedBytes = 6;

export class NatsLink implements Link {
  readonly kind = "failsafe";
  readonly #options: NatsLinkOptions;
  /** What was last told of each peer. */
  readonly #told = new Map<string, "up" | LinkDownReason | null>();
  readonly #name: Buffer;
  readonly #headerBytes: number;
  #handlers: LinkHandlers | null = null;
  #inbox = "";
  #held: Subscription[] = [];
  readonly #quiet: QuietLog;

  constructor(options: NatsLinkOptions) {
    this.#options = options;
    this.#quiet = new QuietLog(options.clock, options.log);
    this.#name = Buffer.from(options.server);
    this.#headerBytes = fixedBytes + this.#name.length;
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
        if (!connected) for (const peer of this.#told.keys()) this.#tell(peer, "disconnected");
      }),
    ];
    line.acquire();
    await line.ready();
  }

  send(peer: string, parts: readonly Uint8Array[]): boolean {
    const { line, service, maxBufferedBytes } = this.#options;
    if (this.#handlers === null || !this.#told.has(peer)) return false;
    const bytes = byteLengthOf(parts);
    if (bytes > this.maxFrameBytes(peer) || line.bufferedBytes() + bytes > maxBufferedBytes) return false;
    const message = Buffer.allocUnsafe(this.#headerBytes + bytes);
    message[4] = messageVersion;
    message[5] = this.#name.length;
    message.set(this.#name, fixedBytes);
    copyParts(parts, message, this.#headerBytes);
    message.writeUInt32LE(crc32(message.subarray(4)), 0);
    // The reply subject is for the broker: it says there when nobody listens for the peer.
    return line.publish(subjects.actor(service, peer, "replication"), message, `${this.#inbox}.${peer}`);
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
    const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
    const frameAt = fixedBytes + (bytes[5] ?? 0);
    if (bytes.length < frameAt || crc32(bytes.subarray(4)) !== bytes.readUInt32LE(0)) {
      this.#quiet.warn("damaged", { bytes: bytes.length }, "failsafe link: a damaged message was dropped");
      return;
    }
    const peer = bytes.toString("utf8", fixedBytes, frameAt);
    const isPeer = this.#told.has(peer);
    if (bytes[4] !== messageVersion || !isPeer) {
      // A stranger's name is not repeated: it may be anything.
      const fields = { peer: isPeer ? peer : "not a configured server", version: bytes[4] };
      this.#quiet.warn("foreign", fields, "failsafe link: a foreign message was dropped");
      return;
    }
    this.#tell(peer, "up");
    this.#handlers?.onFrame(peer, bytes.subarray(frameAt));
  }

  #onAnswer(message: BusMessage): void {
    const peer = message.subject.slice(this.#inbox.length + 1);
    if (message.status === noRespondersStatus && this.#told.has(peer)) this.#tell(peer, "noResponders");
  }

  #onDeath(data: Uint8Array): void {
    const notice = readDeathNotice(data);
    if (notice === null || !this.#told.has(notice.server)) return;
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
