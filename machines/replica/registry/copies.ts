/**
 * The copies of the log that this service's servers are known to have, and which of two is the newer one (rule 18). What
 * always holds: a copy is named by its server, its history and the epoch and sequence of its last record, so that an operator
 * who sets one aside says which; one that has grown since has another name.
 */
import type { Standing } from "../../../schemas/standing.ts";
import { RecordReader, recordKinds } from "../../codec/record.ts";
import type { Core } from "../core.ts";
import type { Peer } from "../peers/peers.ts";
import type { LogEnd } from "../rules.ts";

export interface Copy extends LogEnd {
  readonly history: string;
}

/** What this server answers where the service's record is in question. */
export function standingOf(core: Core): Standing {
  const { options, membership, own } = core;
  const { epochSeen, memberEpoch, frozen, newest } = membership;
  const { number, stampMs } = lastResultOf(core);
  return {
    server: options.self.server,
    incarnation: core.self,
    disk: core.disk,
    configured: [...options.servers],
    state: core.state,
    hot: core.hot,
    epochSeen,
    memberEpoch,
    frozen,
    record: newest,
    revision: membership.known?.revision ?? 0,
    history: own.history,
    lastEpoch: own.log.lastEpoch,
    last: own.position.sequence,
    hash: own.position.hash,
    lastResult: number,
    lastStampMs: stampMs,
  };
}

/** As operators name it: `beta@HISTORY/EPOCH/SEQUENCE`, with `-` where it belongs to no history yet. */
export function copyName({ server, history, lastEpoch, last }: Copy): string {
  return `${server}@${history === "" ? "-" : history}/${lastEpoch}/${last}`;
}

export function ownCopy({ options, own }: Core): Copy {
  return { server: options.self.server, history: own.history, lastEpoch: own.log.lastEpoch, last: own.log.last };
}

/** As it told itself last; null for one that was never heard. */
export function copyOf({ name, heartbeat }: Peer): Copy | null {
  if (heartbeat === null) return null;
  const { history, lastEpoch, last } = heartbeat;
  return { server: name, history, lastEpoch, last };
}

/** The last result in this server's log, committed or not: its number, and the stamp of its request. */
function lastResultOf({ own, applied }: Core): { number: number; stampMs: number } {
  const { requests } = applied;
  let found = { number: requests.resultNumber, stampMs: requests.done.newestStampMs };
  for (const { bytes } of own.log.batches(requests.through + 1, own.log.closed.sequence)) {
    const reader = new RecordReader(bytes);
    do {
      if (reader.kind === recordKinds.history) found = { number: 0, stampMs: found.stampMs };
      if (reader.resultNumber > 0) found = { number: reader.resultNumber, stampMs: reader.stampMs };
    } while (reader.next());
  }
  return found;
}

/** The newest copy of others that is newer than this server's; null where there is none. `atHand`: of those who are heard now. */
export function newestOfOthers(core: Core, atHand: boolean, without: readonly string[] = []): Copy | null {
  let newest = ownCopy(core);
  let found: Copy | null = null;
  for (const peer of core.peers) {
    const copy = copyOf(peer);
    if (copy === null || (atHand && core.peers.isAway(peer)) || without.includes(copyName(copy))) continue;
    if (!core.rules.isNewerCopy(copy, newest)) continue;
    newest = copy;
    found = copy;
  }
  return found;
}
