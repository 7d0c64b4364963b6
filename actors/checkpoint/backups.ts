/**
 * Gives a backup of this server's store to an operator, one piece asked for at a time (schemas/backup.ts). What always holds: it
 * is all that was committed when it was begun, as of one moment, whatever is written meanwhile; nothing is written here, and no
 * file is named; one backup at a time, and one piece of it in memory; who stops asking is given up after a while, and the image
 * with him.
 */

import { minChunkBytes } from "../../machines/checkpoint/snapshot-codec.ts";
import type { Replica } from "../../machines/replica/replica.ts";
import { type BackupReply, BackupRequest } from "../../schemas/backup.ts";
import type { Settings } from "../../schemas/settings.ts";
import type { Mailbox } from "../actor.ts";
import { type BusMessage, StoreError, type World } from "../world/ports.ts";
import type { Checkpoint } from "./checkpoint.ts";
import type { SnapshotSender } from "./snapshot.ts";

export interface BackupOptions {
  readonly settings: Settings;
  readonly world: World;
  readonly mailbox: Mailbox;
  readonly replica: Replica;
  readonly checkpoint: Checkpoint;
  readonly flush: () => Promise<void>;
}

interface Reading {
  readonly id: string;
  readonly sender: SnapshotSender;
  /** All through this record is in it. */
  readonly sequence: number;
  /** Number and bytes of the piece that was given last; 0 before the first. */
  number: number;
  piece: Buffer;
  isBusy: boolean;
  /** The last piece was given. */
  isDone: boolean;
  movedMs: number;
}

/** Pieces are so large where the broker takes them. */
const usualPieceBytes = 256 * 1024;
/** A backup that nobody asks for so long is given up. */
const idleMs = 15_000;

export class Backups {
  readonly #options: BackupOptions;
  #reading: Reading | null = null;
  /** Since when one is being begun: it waits for a flush. */
  #beginsMs: number | null = null;

  constructor(options: BackupOptions) {
    this.#options = options;
  }

  get #nowMs(): number {
    return this.#options.world.clock.nowMs();
  }

  onRequest({ data, reply }: BusMessage): void {
    const { world, replica } = this.#options;
    const answer = (said: Omit<BackupReply, "incarnation">) =>
      world.bus.publish(reply, Buffer.from(JSON.stringify({ ...said, incarnation: replica.self })));
    const refuse = (message: string) => void answer({ ok: false, message });
    const request = BackupRequest.safeParse(data.length === 0 ? {} : readJson(data)).data;
    if (request?.isOver === true) {
      if (request.backup === this.#reading?.id) this.#drop();
      return;
    }
    if (reply === "") return;
    if (request === undefined) {
      refuse("what the command says does not fit: nothing was done");
      return;
    }
    const notMeant = replica.whyNotMeant(request.incarnation, false);
    if (notMeant !== null) refuse(notMeant);
    else if (request.backup === undefined)
      this.#begin(reply, refuse, (backup) => answer({ ok: true, message: "a backup was begun", backup }));
    else this.#give(request, reply, refuse);
  }

  #begin(reply: string, refuse: (message: string) => void, begun: (id: string) => void): void {
    const { world, mailbox, replica, checkpoint, flush } = this.#options;
    const why = this.#whyNot();
    const pieceBytes = Math.min(usualPieceBytes, world.bus.room(reply));
    if (why !== null || pieceBytes < minChunkBytes) {
      refuse(
        why ?? `the broker takes messages of ${pieceBytes} bytes there, and a piece has ${minChunkBytes} at least`,
      );
      return;
    }
    const sinceMs = this.#nowMs;
    this.#beginsMs = sinceMs;
    this.#drop();
    mailbox.watch(flush(), () => {
      if (this.#beginsMs !== sinceMs) return;
      this.#beginsMs = null;
      if (replica.role === "none") {
        refuse("this server is no member any more: ask another one");
        return;
      }
      const sender = checkpoint.sendBackup(pieceBytes);
      const id = world.clock.randomId();
      const sequence = checkpoint.applied;
      const start = { number: 0, piece: Buffer.alloc(0), isBusy: false, isDone: false, movedMs: this.#nowMs };
      this.#reading = { id, sender, sequence, ...start };
      world.log.info({ backup: id, applied: checkpoint.applied }, "an operator reads a backup of this server's store");
      begun(id);
    });
  }

  /** Null: one can be begun. */
  #whyNot(): string | null {
    const { replica, checkpoint } = this.#options;
    if (replica.role === "none" || checkpoint.givesWay)
      return "this server is no member now: ask another one, or stop it and give --data with its data directory";
    const isRead = this.#reading !== null && !this.#reading.isDone;
    if (this.#beginsMs === null && !isRead) return null;
    return `another backup is being read from this server: try again later; one that nobody reads is given up after ${idleMs / 1_000} s`;
  }

  #give({ backup, piece = 1 }: BackupRequest, reply: string, refuse: (message: string) => void): void {
    const reading = this.#reading;
    if (reading === null || reading.id !== backup) {
      refuse("this backup was given up: begin anew");
      return;
    }
    reading.movedMs = this.#nowMs;
    if (reading.isBusy) return;
    if (piece === reading.number) {
      this.#send(reading, reply, refuse);
      return;
    }
    if (piece !== reading.number + 1 || reading.isDone) {
      refuse(`piece ${piece} was asked for after piece ${reading.number}: begin anew`);
      return;
    }
    reading.isBusy = true;
    const onError = (error: unknown) => {
      // A snapshot took the store's place: this life is over in a moment. Whatever else the store says ends it as well (rule 14).
      if (!(error instanceof StoreError) || error.code !== "closed") throw error;
      this.#reading = null;
      refuse("this server's store gave way to another one: begin anew");
    };
    const onPiece = (next: Buffer | null) => {
      if (this.#reading !== reading) return;
      reading.isBusy = false;
      reading.movedMs = this.#nowMs;
      if (next === null) return;
      reading.number = piece;
      reading.piece = next;
      reading.isDone = reading.sender.isDone;
      this.#send(reading, reply, refuse);
    };
    this.#options.mailbox.watch(reading.sender.next(), onPiece, onError);
  }

  #send(reading: Reading, reply: string, refuse: (message: string) => void): void {
    const { id, number, piece, isDone } = reading;
    const { bus, log } = this.#options.world;
    if (piece.length > bus.room(reply)) {
      this.#drop();
      refuse("the broker takes smaller messages now: begin anew");
      return;
    }
    bus.publish(reply, piece);
    if (!isDone) return;
    log.info({ backup: id, pieces: number }, "the backup was read to its end");
    this.#note(reading);
  }

  /** For `twinlog check`: whoever reads it proves it, and a disk that cannot keep this has other troubles. */
  #note({ sequence }: Reading): void {
    const { world, mailbox } = this.#options;
    if (world.noteBackup === undefined) return;
    const onFailed = (error: unknown) =>
      world.log.warn({ error: String(error) }, "when this backup was taken could not be kept");
    mailbox.watch(world.noteBackup({ atMs: world.clock.wallMs(), sequence }), () => {}, onFailed);
  }

  #drop(): void {
    const reading = this.#reading;
    this.#reading = null;
    if (reading === null || reading.isDone) return;
    this.#options.mailbox.watch(
      reading.sender.stop(),
      () => {},
      () => {},
    );
  }

  onTick(): void {
    const { log } = this.#options.world;
    if (this.#beginsMs !== null && this.#nowMs - this.#beginsMs > idleMs) this.#beginsMs = null;
    const reading = this.#reading;
    if (reading === null || reading.isBusy || this.#nowMs - reading.movedMs <= idleMs) return;
    if (!reading.isDone)
      log.warn({ backup: reading.id, piece: reading.number }, "a backup was given up: nobody reads it");
    this.#drop();
  }

  /** The mailbox may be closed by now: nobody waits for the end of it. */
  stop(): void {
    const reading = this.#reading;
    this.#reading = null;
    this.#beginsMs = null;
    if (reading !== null && !reading.isDone) void reading.sender.stop().catch(() => undefined);
  }
}

function readJson(data: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(data).toString());
  } catch {
    return undefined;
  }
}
