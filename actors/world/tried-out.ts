/**
 * What a server will have to publish once it serves, or is dead, tried out before: messages that do nothing, on subjects that are
 * forbidden where the real ones would be. What always holds: nobody acts on one of them: nobody listens to inboxes of no client,
 * an empty notice of a death is none, and the registry refuses what is meant for another stream. Not tried are results and
 * `ready`, which everybody would hear.
 */
import type { Settings } from "../../schemas/settings.ts";
import { subjects } from "../../schemas/subjects.ts";
import type { TriedOut } from "./ports.ts";

/** As no stream is called. */
const noStream = { "Nats-Expected-Stream": "none" } as const;

export function triedOut(
  { service, server, servers, registry, replyPrefixes }: Settings,
  processId: string,
): TriedOut[] {
  const others = servers.map(({ name }) => name).filter((name) => name !== server);
  return [
    { subject: `$KV.${registry.bucket}.${service}`, headers: noStream },
    ...others.map((peer) => ({ subject: subjects.deaths(service, peer) })),
    // Where the settings do not say where answers go, they may go anywhere.
    ...replyPrefixes.map((prefix) => ({ subject: `${prefix}${prefix.endsWith(".") ? "" : "."}=.${processId}` })),
  ];
}
