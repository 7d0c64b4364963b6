/**
 * A backup becomes a stopped server's store. What always holds: nothing is touched before the whole file was proved; what was
 * written is read back and proved before it counts; what was there is set aside and not removed.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { SnapshotReceiver } from "../../actors/checkpoint/snapshot.ts";
import { type Clock, StoreError } from "../../actors/world/ports.ts";
import { StoreReplacement } from "../../actors/world/store-restore.ts";
import { LayoutError, metaKey, readMeta } from "../../machines/checkpoint/layout.ts";
import { restoredMeta } from "../../machines/checkpoint/restored-meta.ts";
import { KeyedHash } from "../../machines/codec/keyed-hash.ts";
import type { CheckpointMeta } from "../../schemas/checkpoint.ts";
import { type Backup, readBackup } from "./file.ts";

/** Why nothing was restored; one line, with what to do. */
export class RestoreError extends Error {
  override readonly name = "RestoreError";
}

export interface Restored {
  readonly backup: Backup;
  readonly server: string;
  /** What the store that was there is called now; null: there was none. */
  readonly asideAs: string | null;
}

export interface Restore {
  readonly file: string;
  /** A data directory, or the store in it; made where it is missing. */
  readonly directory: string;
  /** Whose it is, where the store that is there does not say it. */
  readonly server: string | undefined;
  readonly clock: Clock;
}

/** Throws RestoreError, BackupError, BackupFileError, StoreError, RecoveryError. */
export async function restore({ file, directory, server, clock }: Restore): Promise<Restored> {
  const backup = await readBackup(file, clock);
  const path = existsSync(join(directory, "active")) ? directory : join(directory, "store");
  const place = await taken(path, clock);
  try {
    const name = nameFor(backup, await presentMeta(place), server, directory);
    const asideAs = await fill(place, file, backup, name, clock);
    return { backup, server: name, asideAs };
  } finally {
    await place.release();
  }
}

async function taken(path: string, clock: Clock): Promise<StoreReplacement> {
  try {
    return await StoreReplacement.take(path, clock);
  } catch (error) {
    if (!(error instanceof StoreError) || error.code !== "locked") throw error;
    throw new RestoreError(`${error.message}: stop that server first`);
  }
}

/** Null: there is none, or it cannot be read. */
async function presentMeta(place: StoreReplacement): Promise<CheckpointMeta | null> {
  const value = await place.present(metaKey);
  try {
    return value === undefined ? null : readMeta(value);
  } catch (error) {
    if (error instanceof LayoutError) return null;
    throw error;
  }
}

function nameFor(
  { meta }: Backup,
  present: CheckpointMeta | null,
  server: string | undefined,
  directory: string,
): string {
  if (present !== null && present.service !== meta.service)
    throw new RestoreError(`${directory} is of the service ${present.service}, and the backup of ${meta.service}`);
  if (present !== null && server !== undefined && present.server !== server)
    throw new RestoreError(`${directory} is ${present.server}'s and not ${server}'s`);
  const name = server ?? present?.server;
  if (name === undefined)
    throw new RestoreError(`nothing in ${directory} says which server's it is: add --server with its name`);
  return name;
}

async function fill(
  place: StoreReplacement,
  file: string,
  { header, meta, end }: Backup,
  server: string,
  clock: Clock,
): Promise<string | null> {
  const { service, schema, history } = meta;
  const identity = { service, server, schema };
  const hash = new KeyedHash(clock.randomId());
  const receiver = new SnapshotReceiver(await place.side(), identity, hash);
  try {
    await readBackup(file, clock, async (chunk) => void (await receiver.take(chunk)));
    const takenAt = new Date(header.takenAtMs).toISOString();
    const restoring = { server, incarnation: clock.randomId(), end, takenAt };
    await receiver.verifyAs((sent) => restoredMeta(sent, restoring), {});
    return await receiver.adopt({ epoch: 0, record: null }, history);
  } catch (error) {
    await receiver.drop().catch(() => undefined);
    throw error;
  }
}
