/**
 * What the replica wants done, in order. The server performs each entry and reports back through the replica's `on…`
 * methods; nothing here is done before it is read, and the order of entries is the order in which it must be done. What
 * always holds: an entry that speaks of records carries them, in batches that never change, so that nobody who performs it
 * reads the replica's memory, which has gone on by then.
 */

import type { Ancestor } from "../../schemas/checkpoint.ts";
import type { ReadySignal } from "../../schemas/envelope.ts";
import type { LinkName } from "../../schemas/link.ts";
import type { PeerMessage } from "../../schemas/peer-message.ts";
import type { RegistryRecord } from "../../schemas/registry.ts";
import type { LogBatch } from "../log/batch.ts";

export interface SavedEpochs {
  readonly epoch: number;
  readonly memberEpoch: number;
  readonly syncedEpoch: number;
  /** The newest registry record, for whoever restores a registry that was lost. */
  readonly record?: RegistryRecord;
}

export type Outbox =
  /** Both links for heartbeats, one for everything else. */
  | { type: "send"; to: string; link: LinkName | "both"; message: PeerMessage; payload: readonly Uint8Array[] }
  /** Behind what the disk was given before: these are in the log. They come before anything that speaks of them. */
  | { type: "append"; batches: readonly LogBatch[] }
  /** Make the log through here durable, then `onSynced`. Entries for lower sequences are covered by later ones. */
  | { type: "sync"; through: number }
  /** The same without waiting for the disk, then `onWritten` (confirm level `written`). */
  | { type: "write"; through: number }
  /** Persist the accepted epoch, those in which this server and its disk counted, and the record, synced, then `onEpochSaved`. */
  | ({ type: "saveEpoch" } & SavedEpochs)
  /** Persist which history this server's log belongs to, and which were before it, synced, before anything that comes later. */
  | { type: "saveHistory"; history: string; ancestors: readonly Ancestor[] }
  /** Then `onCasAnswer`. */
  | { type: "compareAndSet"; record: RegistryRecord; expectedRevision: number }
  /** Then `onRegistryRead`. */
  | { type: "readRegistry" }
  /** Apply the effects of these, which end at `through`, to the application's state: they are for good on this server. */
  | {
      type: "apply";
      through: number;
      batches: readonly LogBatch[];
      /** They give the state another catalog: whether the program can make something of it is known when they are applied. */
      isOtherState: boolean;
    }
  /** Drop records above this on disk too (rule 7). */
  | { type: "truncate"; after: number }
  /** The application's state holds what was not committed: build it again from disk and the log, then `onReloaded`. */
  | { type: "reload" }
  /** Read records for a joiner from disk, from this sequence on, then `onLogRead`. */
  | { type: "readLog"; peer: string; session: string; from: number }
  /** Read the replies of these records, sequences rising, from disk again, then `onRecalled`. */
  | { type: "recall"; sequences: readonly number[] }
  /** The joiner is too far behind, or of another history: send it everything (rule 7). */
  | { type: "sendSnapshot"; peer: string; session: string }
  | { type: "receiveSnapshot"; peer: string; session: string }
  /** The application is hot: take requests, publish results above `publishAfter`; what is resumed comes by `nextToStart`. */
  | { type: "hot"; epoch: number; publishAfter: number }
  | { type: "cold" }
  | { type: "ready"; signal: ReadySignal }
  /** Look again after this time: sooner than the next tick. */
  | { type: "wake"; afterMs: number }
  | { type: "event"; event: string; from: string; to: string; why: string }
  /** This life ends: start again as a new incarnation; end the process; end it with an error. */
  | { type: "restart" }
  | { type: "exit" }
  | { type: "fail"; why: string };
