/**
 * The replication agent (claims 20, 27): carries messages between the replica and its peers over both links, reads older
 * records for joiners from disk, and moves snapshots. What always holds: a message of the replica goes out in the order
 * in which it was said; what cannot be read is dropped and said, never guessed; the replica knows what each link takes.
 */

import assert from "node:assert/strict";
import { decodeMessage, encodeMessage, MessageError, type PeerMessage } from "../../machines/codec/message.ts";
import type { LogBatch } from "../../machines/log/batch.ts";
import type { Outbox } from "../../machines/replica/outbox.ts";
import type { LinkName } from "../../schemas/link.ts";
import { mainFrameBytes } from "../../schemas/settings.ts";
import type { Actor } from "../actor.ts";
import type { LinkDownReason } from "../world/ports.ts";
import type { ReplicationOptions } from "./options.ts";
import { SnapshotTransfer } from "./snapshot-transfer.ts";

export class ReplicationActor implements Actor {
  readonly name = "replication";
  readonly #options: ReplicationOptions;
  readonly #snapshots: SnapshotTransfer;
  readonly #isUp: Record<LinkName, Set<string>> = { main: new Set(), failsafe: new Set() };
  #sent = 0;
  #received = 0;
  #lastMessage: PeerMessage | null = null;
  #lastBytes: Uint8Array = new Uint8Array(0);

  constructor(options: ReplicationOptions) {
    this.#options = options;
    this.#snapshots = new SnapshotTransfer(options, (to, message, payload) =>
      this.send({ type: "send", to, link: options.replica.linkOf(to), message, payload }),
    );
  }

  start(): void {
    this.#measureLinks();
  }
  stop(): void {
    this.#snapshots.stop();
  }

  onUp(kind: LinkName, peer: string): void {
    this.#isUp[kind].add(peer);
    this.#measureLinks();
    this.#options.replica.onLink(peer, kind, true, this.#options.world.clock.nowMs());
  }

  /** `disconnected` is about this server's own NATS connection and says nothing about the peer. */
  onDown(kind: LinkName, peer: string, reason: LinkDownReason): void {
    this.#isUp[kind].delete(peer);
    if (reason !== "disconnected") this.#options.replica.onLink(peer, kind, false, this.#options.world.clock.nowMs());
  }

  onFrame(kind: LinkName, peer: string, frame: Uint8Array): void {
    const { world, replica } = this.#options;
    this.#received += 1;
    try {
      const { message, payload } = decodeMessage(frame);
      if (message.type === "snapshotChunk" || message.type === "snapshotAck")
        this.#snapshots.onMessage(peer, message, payload);
      else replica.onMessage(peer, kind, message, payload, world.clock.nowMs());
    } catch (error) {
      if (!(error instanceof MessageError)) throw error;
      world.log.warn({ peer, link: kind, error: error.message }, "a message from a peer was dropped");
    }
  }

  send(entry: Extract<Outbox, { type: "send" }>): void {
    if (entry.message !== this.#lastMessage) {
      this.#lastMessage = entry.message;
      this.#lastBytes = encodeMessage(entry.message);
    }
    const { settings, world, checkpoint } = this.#options;
    // What would be confirmed is in a store that gives way to a snapshot.
    if (entry.message.type === "confirm" && checkpoint.givesWay) return;
    const parts = entry.payload.length === 0 ? [this.#lastBytes] : [this.#lastBytes, ...entry.payload];
    this.#sent += 1;
    if (entry.link !== "failsafe" && !world.main.send(entry.to, parts)) {
      const bytes = parts.reduce((sum, part) => sum + part.length, 0);
      assert(
        bytes <= mainFrameBytes(settings.limits),
        `${entry.message.type} of ${bytes} bytes: the main link takes each`,
      );
    }
    if (entry.link !== "main") world.failsafe.send(entry.to, parts);
  }

  /** A link that came up anew may take other frames than before, and a broker may change its mind. */
  #measureLinks(): void {
    const { settings, world, replica } = this.#options;
    for (const { name } of settings.servers) {
      if (name === settings.server) continue;
      for (const link of [world.main, world.failsafe])
        replica.onFrameLimit(name, link.kind, link.maxFrameBytes(name), world.clock.nowMs());
    }
  }

  /** Records for a joiner that memory does not hold any more. */
  readLog(entry: Extract<Outbox, { type: "readLog" }>): void {
    const { mailbox, replica, world } = this.#options;
    mailbox.watch(this.#read(entry.from), (batches) =>
      replica.onLogRead(entry.peer, entry.session, batches, world.clock.nowMs()),
    );
  }

  async #read(from: number): Promise<LogBatch[]> {
    const { settings, checkpoint } = this.#options;
    const { maxBatchBytes } = settings.limits;
    const batches: LogBatch[] = [];
    let bytes = 0;
    for await (const batch of checkpoint.readLog(from)) {
      if (batches.length > 0 && bytes + batch.bytes.length > maxBatchBytes) break;
      batches.push(batch);
      bytes += batch.bytes.length;
    }
    return batches;
  }

  sendSnapshot(peer: string, session: string): void {
    this.#snapshots.send(peer, session);
  }
  receiveSnapshot(peer: string, session: string): void {
    this.#snapshots.receive(peer, session);
  }
  onTick(): void {
    this.#measureLinks();
    this.#snapshots.onTick();
  }

  report(): Record<string, unknown> {
    return {
      main: [...this.#isUp.main],
      failsafe: [...this.#isUp.failsafe],
      sent: this.#sent,
      received: this.#received,
      snapshot: this.#snapshots.progress,
    };
  }
}
