/**
 * Where a backup's chunks come from: a running server, over NATS, or a stopped one's data directory. What always holds: each
 * piece is asked for by its number, so that one that is lost is asked for again; a server that was started anew is another one,
 * and gives nothing of what was begun.
 */

import { SnapshotSender } from "../../actors/checkpoint/snapshot.ts";
import type { Bus, Clock } from "../../actors/world/ports.ts";
import { metaKey } from "../../machines/checkpoint/layout.ts";
import { isEndChunk } from "../../machines/checkpoint/snapshot-codec.ts";
import { type BackupQuestion, BackupReply, backupVerb } from "../../schemas/backup.ts";
import { subjects } from "../../schemas/subjects.ts";
import { askFor, readJson } from "../commands/ask.ts";
import type { Meant } from "../commands/operate.ts";
import { CommandError } from "../commands/world.ts";
import { InspectError, withCopy } from "../inspect.ts";

/** How long a piece is waited for, and how often it is asked for. */
const pieceMs = 2_000;
const maxTries = 5;
/** Of a stopped server's backup. */
const chunkBytes = 256 * 1024;

export interface Asking {
  readonly bus: Bus;
  readonly clock: Clock;
  readonly service: string;
  readonly server: Meant;
  /** How long the server may take to begin: it flushes first. */
  readonly beginMs: number;
  /** Aborted: the backup is given up. */
  readonly stopped: AbortSignal;
}

/**
 * Of a stopped server's data directory, or of a store that was set aside there (`copy`): all that is on the disk, also above the
 * commit point, for what of that was acknowledged this disk does not know. `use` gets the chunks while there is a copy of it.
 */
export async function fromDirectory<T>(
  directory: string,
  copy: string | undefined,
  clock: Clock,
  use: (chunks: AsyncIterable<Uint8Array>) => Promise<T>,
): Promise<T> {
  return await withCopy(directory, clock, copy, async (store) => {
    if ((await store.get(metaKey)) === undefined)
      throw new InspectError("the store is empty: its server has never flushed");
    return await use(chunksOf(new SnapshotSender(store.image(), chunkBytes)));
  });
}

async function* chunksOf(sender: SnapshotSender): AsyncGenerator<Uint8Array> {
  for (let chunk = await sender.next(); chunk !== null; chunk = await sender.next()) yield chunk;
}

/** Of a running server. Throws CommandError. */
export async function* chunksFrom(asking: Asking): AsyncGenerator<Uint8Array> {
  const { server, beginMs } = asking;
  const { incarnation } = server;
  const begun = await question(asking, { incarnation }, beginMs);
  if (begun === "silence") throw new CommandError(`${server.name} has not begun a backup in ${beginMs} ms`);
  const { backup } = replyOf(server, begun);
  if (backup === undefined) throw notUnderstood(server);
  let isRead = false;
  try {
    for (let piece = 1; !isRead; piece += 1) {
      const chunk = await pieceOf(asking, { incarnation, backup, piece });
      isRead = isEndChunk(chunk);
      yield chunk;
    }
  } finally {
    // So that whoever tries again need not wait until it is given up.
    if (!isRead) tell(asking, { incarnation, backup, isOver: true });
  }
}

function tell({ bus, service, server }: Asking, said: BackupQuestion): void {
  bus.publish(subjects.control(service, server.name, backupVerb), Buffer.from(JSON.stringify(said)));
}

async function pieceOf(asking: Asking, said: BackupQuestion): Promise<Uint8Array> {
  const { server } = asking;
  for (let tries = 0; tries < maxTries; tries += 1) {
    const answer = await question(asking, said, pieceMs);
    if (answer === "silence") continue;
    // JSON is a refusal.
    if (answer[0] === 0x7b) replyOf(server, answer);
    return answer;
  }
  throw new CommandError(`${server.name} gives no more of its backup: see \`twinlog status\`, and begin anew`);
}

async function question(asking: Asking, said: BackupQuestion, timeoutMs: number): Promise<Uint8Array | "silence"> {
  const { bus, clock, service, server, stopped } = asking;
  const subject = subjects.control(service, server.name, backupVerb);
  const asked = await askFor({ bus, clock, subject, data: said, timeoutMs, stopped, read: (bytes) => bytes });
  if (asked.outcome === "nobody")
    throw new CommandError(`${server.name} does not listen: see \`twinlog status\` for who does`);
  if (stopped.aborted) throw new CommandError("stopped: there is no backup");
  return asked.outcome === "silence" ? "silence" : asked.data;
}

function replyOf(server: Meant, answer: Uint8Array): BackupReply {
  const reply = BackupReply.safeParse(readJson(answer)).data;
  if (reply === undefined) throw notUnderstood(server);
  if (!reply.ok) throw new CommandError(`${server.name}: ${reply.message}`);
  return reply;
}

function notUnderstood({ name }: Meant): CommandError {
  return new CommandError(`${name} gave an answer that this program does not understand`);
}
