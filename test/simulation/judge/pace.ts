/**
 * Whether one that is slow holds others up within its bounds: a backup confirms only while what it has not applied is within its
 * limits (rule 6), and commits wait for a joiner no longer than they may (rule 8). It changes nothing.
 */
import type { Link, World } from "../../../actors/world/ports.ts";
import { decodeMessage } from "../../../machines/codec/message.ts";
import type { Replica } from "../../../machines/replica/replica.ts";
import type { Limits } from "../../../schemas/settings.ts";
import { inside } from "../../helpers/inside.ts";
import type { Moments } from "./moments.ts";

export interface Pace {
  readonly server: string;
  readonly limits: Limits;
  readonly replica: () => Replica | null;
  readonly moments: Moments;
  readonly onViolation: (of: string, text: string) => void;
}

/** Looks at each message that a server sends: its turn has ended. */
export function watchPace(world: World, pace: Pace): World {
  for (const link of [world.main, world.failsafe]) watchLink(link, pace);
  return world;
}

function watchLink(link: Link, pace: Pace): void {
  const send = link.send.bind(link);
  link.send = (peer, parts) => {
    const replica = pace.replica();
    if (replica !== null && parts[0] !== undefined) look(replica, parts[0], pace);
    return send(peer, parts);
  };
}

function look(replica: Replica, header: Uint8Array, { server, limits, moments, onViolation }: Pace): void {
  const { core, primary } = inside(replica);
  const { records, bytes } = core.unapplied;
  if (!replica.hot && (records > limits.maxUnappliedRecords || bytes > limits.maxUnappliedBytes)) {
    moments.count("backup far from applied");
    if (decodeMessage(header).message.type === "confirm")
      onViolation("rule 6", `${server} confirms, and has not applied ${records} committed records of ${bytes} bytes`);
  }
  if (core.tally.recalled > 0) moments.count("reply read again");
  const waitedMs = primary?.awaited.waitedMs ?? 0;
  if (waitedMs > 0) moments.count("commits wait for a joiner");
  if (waitedMs < limits.joinWaitMs || waitedMs === 0) return;
  // Pieces of a snapshot leave in the middle of a turn.
  if (!decodeMessage(header).message.type.startsWith("snapshot"))
    onViolation("rule 8", `${server} has committed nothing for ${waitedMs} ms, for one that joins`);
}
