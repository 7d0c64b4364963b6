/**
 * Whether a backup confirms only while what it has not applied is within its limits (rule 6). It changes nothing.
 */
import type { Link, World } from "../../../actors/world/ports.ts";
import { decodeMessage } from "../../../machines/codec/message.ts";
import type { Core } from "../../../machines/replica/core.ts";
import type { Limits } from "../../../schemas/settings.ts";
import type { Moments } from "./moments.ts";

export interface UnappliedWatch {
  readonly server: string;
  readonly limits: Limits;
  readonly core: () => Core | null;
  readonly moments: Moments;
  readonly onViolation: (of: string, text: string) => void;
}

export function watchUnapplied(world: World, watch: UnappliedWatch): World {
  for (const link of [world.main, world.failsafe]) watchLink(link, watch);
  return world;
}

function watchLink(link: Link, { server, limits, core, moments, onViolation }: UnappliedWatch): void {
  const send = link.send.bind(link);
  link.send = (peer, parts) => {
    const { records = 0, bytes = 0 } = core()?.unapplied ?? {};
    const isFar = records > limits.maxUnappliedRecords || bytes > limits.maxUnappliedBytes;
    if (isFar) moments.count("backup far from applied");
    if (isFar && parts[0] !== undefined && decodeMessage(parts[0]).message.type === "confirm")
      onViolation("rule 6", `${server} confirms, and has not applied ${records} committed records of ${bytes} bytes`);
    return send(peer, parts);
  };
}
