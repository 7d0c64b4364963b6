/**
 * Moves a snapshot from the primary's store into a joiner's side directory (rule 7), one chunk asked for at a time. What
 * always holds: the receiver names the chunk that it wants next, so loss, repetition and reordering cost time only; a
 * transfer that makes no progress ends, and leaves the joiner's store as it was.
 */

import { RecoveryError } from "../../machines/checkpoint/scan.ts";
import { minChunkBytes, SnapshotError } from "../../machines/checkpoint/snapshot-codec.ts";
import { payloadFieldsBytes } from "../../machines/codec/message.ts";
import type { PeerMessage, SnapshotAck, SnapshotChunk } from "../../schemas/peer-message.ts";
import { AsideFullError } from "../checkpoint/aside.ts";
import type { WantedSnapshot } from "../checkpoint/checkpoint.ts";
import { CheckpointError } from "../checkpoint/checkpoint-error.ts";
import type { SnapshotSender } from "../checkpoint/snapshot.ts";
import type { ReplicationOptions } from "./options.ts";

type Send = (to: string, message: PeerMessage, payload: readonly Uint8Array[]) => void;

interface Sending {
  readonly peer: string;
  readonly session: string;
  sender: SnapshotSender | null;
  /** Number and bytes of the chunk that was sent last; 0 before the first. */
  number: number;
  chunk: Buffer;
  isBusy: boolean;
  movedMs: number;
}

interface Receiving {
  readonly peer: string;
  readonly session: string;
  isReady: boolean;
  isBusy: boolean;
  chunks: number;
  askedMs: number;
  movedMs: number;
}

/** Chunks are so large where the link takes them. */
const usualChunkBytes = 256 * 1024;
/** A transfer without progress for this many times the stall limit is given up. */
const patience = 4;
/** From a snapshot that did not prove right to the next question for one; doubles each time in a row, up to the limit. */
const nextSnapshotMs = 100;
const maxNextSnapshotMs = 10_000;

export class SnapshotTransfer {
  readonly #options: ReplicationOptions;
  readonly #send: Send;
  /** By peer: each joiner has a sender of its own, and none takes another's away. */
  readonly #sending = new Map<string, Sending>();
  #receiving: Receiving | null = null;
  /** The side directory is made and dropped one step after another: on a slow disk the next question comes before the last step is done. */
  #side: Promise<void> = Promise.resolve();
  /** How many in a row did not prove right. */
  #broken = 0;
  /** This store would have to be set aside, and there was no room for it. */
  #lacksRoom = false;

  constructor(options: ReplicationOptions, send: Send) {
    this.#options = options;
    this.#send = send;
  }

  get progress(): string {
    const sending = [...this.#sending.values()].map(({ peer, number }) => `chunk ${number} to ${peer}`);
    if (sending.length > 0) return `sends ${sending.join(", ")}`;
    return this.#receiving === null ? "none" : `has ${this.#receiving.chunks} chunks from ${this.#receiving.peer}`;
  }

  get #nowMs(): number {
    return this.#options.world.clock.nowMs();
  }

  // --- the primary's side -----------------------------------------------------------------------------------------

  send(peer: string, session: string): void {
    if (this.#sending.get(peer)?.session === session) return;
    this.#stopSending(peer);
    const sending: Sending = {
      peer,
      session,
      sender: null,
      number: 0,
      chunk: Buffer.alloc(0),
      isBusy: true,
      movedMs: this.#nowMs,
    };
    this.#sending.set(peer, sending);
    const { mailbox, flush, checkpoint, settings } = this.#options;
    mailbox.watch(flush(), () => {
      if (this.#sending.get(peer) !== sending) return;
      const chunkBytes = Math.min(settings.limits.maxBatchBytes, usualChunkBytes, this.#roomTo(peer));
      if (chunkBytes >= minChunkBytes) sending.sender = checkpoint.sendSnapshot(chunkBytes);
      sending.isBusy = false;
    });
  }

  #stopSending(peer: string): void {
    const sender = this.#sending.get(peer)?.sender;
    this.#sending.delete(peer);
    if (sender)
      this.#options.mailbox.watch(
        sender.stop(),
        () => {},
        () => {},
      );
  }

  #onAck(peer: string, message: SnapshotAck): void {
    const sending = this.#sending.get(peer);
    if (sending?.session !== message.session) return;
    if (message.done) {
      this.#stopSending(peer);
      return;
    }
    if (sending.sender === null || sending.isBusy) return;
    if (message.number === sending.number && sending.number > 0) {
      this.#sendChunk(sending);
      return;
    }
    if (message.number !== sending.number + 1) return;
    sending.isBusy = true;
    this.#options.mailbox.watch(sending.sender.next(), (chunk) => {
      if (this.#sending.get(peer) !== sending) return;
      sending.isBusy = false;
      sending.movedMs = this.#nowMs;
      if (chunk === null) return;
      sending.number += 1;
      sending.chunk = chunk;
      this.#sendChunk(sending);
    });
  }

  /** Bytes of a chunk that the link in use takes to the peer. */
  #roomTo(peer: string): number {
    const { world, replica } = this.#options;
    const link = replica.linkOf(peer) === "main" ? world.main : world.failsafe;
    return link.maxFrameBytes(peer) - payloadFieldsBytes;
  }

  #sendChunk({ peer, session, number, chunk }: Sending): void {
    if (chunk.length > this.#roomTo(peer)) {
      // The receiver gives this one up when it has waited long enough, and asks for another.
      this.#options.world.log.warn(
        { peer, number },
        "the link takes smaller messages now: the snapshot must begin anew",
      );
      this.#stopSending(peer);
      return;
    }
    this.#send(peer, { type: "snapshotChunk", session, number }, [chunk]);
  }

  // --- the joiner's side ------------------------------------------------------------------------------------------

  receive(peer: string, session: string): void {
    const { mailbox, checkpoint, troubles } = this.#options;
    // One that has come whole is taking its place: this life is over in a moment.
    if (checkpoint.givesWay) return;
    const receiving: Receiving = {
      peer,
      session,
      isReady: false,
      isBusy: false,
      chunks: 0,
      askedMs: this.#nowMs,
      movedMs: this.#nowMs,
    };
    this.#receiving = receiving;
    const begin = async () => {
      await checkpoint.dropSnapshot();
      const why = this.#lacksRoom ? await checkpoint.whyNoRoomAside() : null;
      if (this.#receiving === receiving && why === null) await checkpoint.beginSnapshot();
      return why;
    };
    mailbox.watch(this.#inTurn(begin), (why) => {
      if (this.#receiving !== receiving) return;
      if (why !== null) {
        this.#onNoRoom(receiving, why);
        return;
      }
      this.#lacksRoom = false;
      troubles.set("store.asideFull", null);
      receiving.isReady = true;
      this.#ask(receiving);
    });
  }

  /** After the steps before it, whatever became of them: who asked for one is told of its error. */
  #inTurn<T>(step: () => Promise<T>): Promise<T> {
    const done = this.#side.then(step);
    this.#side = done.then(
      () => undefined,
      () => undefined,
    );
    return done;
  }

  #ask(receiving: Receiving): void {
    const number = this.#options.checkpoint.nextChunk;
    if (number === null) return;
    receiving.askedMs = this.#nowMs;
    this.#send(receiving.peer, { type: "snapshotAck", session: receiving.session, number, done: false }, []);
  }

  #onChunk(peer: string, message: SnapshotChunk, payload: Uint8Array): void {
    const receiving = this.#receiving;
    if (receiving === null || receiving.session !== message.session || receiving.peer !== peer) return;
    const { mailbox, checkpoint } = this.#options;
    if (!receiving.isReady || receiving.isBusy || message.number !== checkpoint.nextChunk) return;
    receiving.isBusy = true;
    mailbox.watch(
      checkpoint.takeChunk(payload),
      (outcome) => {
        if (this.#receiving !== receiving) return;
        receiving.isBusy = false;
        receiving.chunks += 1;
        receiving.movedMs = this.#nowMs;
        if (outcome === "complete") this.#adopt(receiving);
        else this.#ask(receiving);
      },
      (error) => this.#onBroken(receiving, error),
    );
  }

  #adopt(receiving: Receiving): void {
    const { mailbox, checkpoint, replica, onAdopted } = this.#options;
    receiving.isBusy = true;
    const { sequence } = replica.log.closed;
    mailbox.watch(
      checkpoint.adoptSnapshot(() => this.#wanted(receiving)),
      (asideAs) => {
        this.#broken = 0;
        if (asideAs !== null) this.#tellAside(asideAs, sequence);
        this.#send(receiving.peer, { type: "snapshotAck", session: receiving.session, number: 0, done: true }, []);
        onAdopted();
      },
      (error) => this.#onBroken(receiving, error),
    );
  }

  #isWanted({ session }: Receiving): boolean {
    const { rules, replica } = this.#options;
    return rules.isSnapshotWanted(session, replica.snapshotSession);
  }

  /** As of now; null: this server does not want it any more. */
  #wanted(receiving: Receiving): WantedSnapshot | null {
    const { replica, settings } = this.#options;
    if (this.#receiving !== receiving || !this.#isWanted(receiving)) return null;
    const { startCount: life, disk, self, epochSeen: epoch, memberEpoch, newestRecord: record } = replica;
    const { log: kept, committed, differs } = replica;
    // A log that came from another disk is not what this one confirmed.
    const own = {
      server: settings.server,
      incarnation: self,
      disk,
      previousEnd: null,
      epoch,
      record,
      memberEpoch,
      syncedEpoch: 0,
      life,
    };
    const end = { ...kept.closed, epoch: kept.lastEpoch };
    return { own, log: { end, committed, committedHash: kept.hashAt(committed), differs } };
  }

  /**
   * A snapshot that does not prove right is dropped and asked for again, later each time: where a store or a format is at fault
   * it comes the same way again. A dead store is the end.
   */
  #onBroken(receiving: Receiving, error: unknown): void {
    if (this.#receiving !== receiving) return;
    if (error instanceof AsideFullError) {
      this.#onNoRoom(receiving, error.message);
      return;
    }
    if (error instanceof CheckpointError && error.code === "overtaken") {
      this.#giveUp(receiving);
      return;
    }
    // This program could make nothing of it, however often it came: the end, in the words of a store of one's own.
    if (error instanceof RecoveryError && error.code === "schema") throw error;
    if (!(error instanceof SnapshotError || error instanceof RecoveryError)) throw error;
    const nextMs = Math.min(maxNextSnapshotMs, nextSnapshotMs * 2 ** this.#broken);
    this.#broken += 1;
    const { peer } = receiving;
    this.#options.world.log.warn({ peer, error: error.message, times: this.#broken, nextMs }, "a snapshot was dropped");
    this.#giveUp(receiving, nextMs);
  }

  #tellAside(name: string, last: number): void {
    const { world, settings } = this.#options;
    world.log.warn(
      { copy: name, directory: settings.dataDirectory, last },
      `this server's store was set aside as ${name}: the history that it joins may not hold all of its ${last} records`,
    );
  }

  /** Nothing was changed, and nothing is asked for again before there is room: an operator makes it. */
  #onNoRoom(receiving: Receiving, why: string): void {
    const { troubles, settings } = this.#options;
    troubles.set(
      "store.asideFull",
      `this server does not join: its store holds records that the present history may not hold, and cannot be set aside; ${why}. Look at those in ${settings.dataDirectory} with \`twinlog inspect\`, and remove what nobody needs, or raise the limit`,
    );
    this.#lacksRoom = true;
    this.#giveUp(receiving, maxNextSnapshotMs);
  }

  #giveUp(receiving: Receiving, nextMs = 0): void {
    const { mailbox, checkpoint, replica } = this.#options;
    this.#receiving = null;
    const end = () => replica.onSnapshotEnded(receiving.session, this.#nowMs);
    const drop = async () => {
      if (this.#receiving === null) await checkpoint.dropSnapshot();
    };
    mailbox.watch(this.#inTurn(drop), () => {
      if (nextMs === 0) end();
      else mailbox.after(nextMs, end);
    });
  }

  // --- both -------------------------------------------------------------------------------------------------------

  onMessage(peer: string, message: SnapshotChunk | SnapshotAck, payload: Uint8Array): void {
    if (message.type === "snapshotChunk") this.#onChunk(peer, message, payload);
    else this.#onAck(peer, message);
  }

  onTick(): void {
    // It came in by the log after all.
    if (this.#lacksRoom && this.#options.replica.isNamed) {
      this.#lacksRoom = false;
      this.#options.troubles.set("store.asideFull", null);
    }
    const { stalledBackupMs, heartbeatMs } = this.#options.settings.limits;
    const receiving = this.#receiving;
    const { checkpoint } = this.#options;
    if (receiving?.isReady === true && !checkpoint.givesWay) {
      const { isBusy, movedMs } = receiving;
      const isOver = !isBusy && this.#nowMs - movedMs > patience * stalledBackupMs;
      if (isOver || !this.#isWanted(receiving)) this.#giveUp(receiving);
      else if (!isBusy && this.#nowMs - receiving.askedMs > 2 * heartbeatMs) this.#ask(receiving);
    }
    for (const { peer, isBusy, movedMs } of this.#sending.values())
      if (!isBusy && this.#nowMs - movedMs > patience * stalledBackupMs) this.#stopSending(peer);
  }

  stop(): void {
    for (const peer of this.#sending.keys()) this.#stopSending(peer);
    this.#receiving = null;
  }
}
