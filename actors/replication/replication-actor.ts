/**
 * The replication agent (claims 20, 27): carries messages between the replica and its peers over both links, reads older
 * records for joiners from disk, and moves snapshots. What always holds: a message of the replica goes out in the order
 * in which it was said; what cannot be read, or does not fit, is dropped and counted, before anything is done for it; what fits
 * is handled whole, or this life ends: nothing goes on with half of it; the replica knows what each link takes.
 */

import assert from "node:assert/strict";
import { decodeMessage, encodeMessage, MessageError } from "../../machines/codec/message.ts";
import { InvariantError } from "../../machines/replica/invariant-error.ts";
import type { Outbox } from "../../machines/replica/outbox.ts";
import type { LinkName } from "../../schemas/link.ts";
import type { Heartbeat, PeerMessage } from "../../schemas/peer-message.ts";
import { mainFrameBytes } from "../../schemas/settings.ts";
import type { Actor } from "../actor.ts";
import { messageOf } from "../application/errors.ts";
import type { LinkDownReason } from "../world/ports.ts";
import { LogReader } from "./log-reader.ts";
import { MirrorTimes } from "./mirror-times.ts";
import type { ReplicationOptions } from "./options.ts";
import { SnapshotTransfer } from "./snapshot-transfer.ts";
import { UnfitMessages } from "./unfit-messages.ts";

export class ReplicationActor implements Actor {
  readonly name = "replication";
  readonly #options: ReplicationOptions;
  readonly #snapshots: SnapshotTransfer;
  readonly #isUp: Record<LinkName, Set<string>> = { main: new Set(), failsafe: new Set() };
  readonly #log: LogReader;
  readonly #unfit: UnfitMessages;
  readonly #mirrorTimes: MirrorTimes;
  #sent = 0;
  #received = 0;
  #lastMessage: PeerMessage | null = null;
  #lastBytes: Uint8Array = new Uint8Array(0);

  constructor(options: ReplicationOptions) {
    this.#options = options;
    this.#log = new LogReader(options.checkpoint, options.settings.limits.maxBatchBytes);
    this.#unfit = new UnfitMessages(options.world, options.troubles);
    this.#mirrorTimes = new MirrorTimes(options.durations);
    this.#snapshots = new SnapshotTransfer(options, (to, message, payload) =>
      this.send({ type: "send", to, link: options.replica.linkOf(to), message, payload }),
    );
  }

  start(): void {
    this.#measureLinks();
  }
  stop(): void {
    this.#snapshots.stop();
    this.#log.stop();
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
    this.#received += 1;
    const read = this.#decode(kind, peer, frame);
    if (read === null) return;
    const { message, payload } = read;
    try {
      const why = this.#handle(kind, peer, message, payload);
      if (why !== null)
        this.#unfit.note(peer, kind, new MessageError("payload", `${message.type}: ${why}`, message.type));
    } catch (error) {
      // Its content cannot be at fault any more, and how much of it was done is not known.
      if (error instanceof InvariantError) throw error;
      throw new InvariantError(`a ${message.type} of ${peer} was not handled whole: ${messageOf(error)}`, error);
    }
  }

  /** The link dropped it. */
  onUnproven(kind: LinkName, peer: string, why: string): void {
    this.#unfit.note(peer, kind, { fault: "unproven", type: "", message: why });
  }

  /** Null: it does not fit, which was counted. */
  #decode(kind: LinkName, peer: string, frame: Uint8Array): ReturnType<typeof decodeMessage> | null {
    try {
      return decodeMessage(frame);
    } catch (error) {
      if (!(error instanceof MessageError)) throw error;
      this.#unfit.note(peer, kind, error);
      return null;
    }
  }

  /** Why its payload does not fit; null where it does. */
  #handle(kind: LinkName, peer: string, message: PeerMessage, payload: Uint8Array): string | null {
    const { world, replica } = this.#options;
    if (message.type !== "snapshotChunk" && message.type !== "snapshotAck") {
      if (message.type === "confirm") this.#mirrorTimes.onConfirm(peer, message, world.clock.nowMs());
      const believed = message.type === "heartbeat" && !world[kind].isProven ? withoutRecord(message) : message;
      return replica.onMessage(peer, kind, believed, payload, world.clock.nowMs());
    }
    this.#snapshots.onMessage(peer, message, payload);
    return null;
  }

  send(entry: Extract<Outbox, { type: "send" }>): void {
    if (entry.message !== this.#lastMessage) {
      this.#lastMessage = entry.message;
      this.#lastBytes = encodeMessage(entry.message);
    }
    const { settings, world, checkpoint } = this.#options;
    // What would be confirmed is in a store that gives way to a snapshot.
    if (entry.message.type === "confirm" && checkpoint.givesWay) return;
    if (entry.message.type === "mirror") this.#mirrorTimes.onSent(entry.to, entry.message, world.clock.nowMs());
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
    const { peer, session, from } = entry;
    mailbox.watch(this.#log.read(peer, session, from), (batches) =>
      replica.onLogRead(peer, session, batches, world.clock.nowMs()),
    );
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
    this.#log.onTick();
    this.#unfit.onTick();
  }

  report(): Record<string, unknown> {
    return {
      main: [...this.#isUp.main],
      failsafe: [...this.#isUp.failsafe],
      sent: this.#sent,
      received: this.#received,
      unfit: this.#unfit.count,
      snapshot: this.#snapshots.progress,
    };
  }
}

/** Of whom nobody knows who he is: the registry is asked for its record, where there is a newer one than is known here. */
function withoutRecord(heartbeat: Heartbeat): Heartbeat {
  const { record: told, revision: _, ...rest } = heartbeat;
  return { ...rest, epochSeen: Math.max(rest.epochSeen, told?.epoch ?? 0) };
}
