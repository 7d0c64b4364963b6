/**
 * One attempt to get a connection to any of the configured brokers, starting anywhere in the list. What always holds: it
 * ends in good time, whatever the brokers do, and leaves no socket behind.
 */
import { connect, type NatsConnection } from "nats";
import type { Settings } from "../../schemas/settings.ts";
import type { Clock } from "./ports.ts";
import { probeBroker } from "./probe.ts";

/** How long each step of a dial may take. */
export const dialWithinMs = 1_000;
/** The library's own pings stay out of the way: when they give up they wait for a full socket to empty. */
const libraryPingMs = 3_600_000;

export interface Dial {
  readonly nats: Settings["nats"];
  readonly name: string;
  readonly clock: Clock;
  /** Asked before each broker. */
  readonly isWanted: () => boolean;
}

/** The connection, or why there is none. */
export async function dialNats({ nats, name, clock, isWanted }: Dial): Promise<NatsConnection | string> {
  const first = Math.floor(clock.random() * nats.servers.length);
  let reason = "not wanted any more";
  for (let at = 0; at < nats.servers.length && isWanted(); at += 1) {
    const server = nats.servers[(first + at) % nats.servers.length] ?? "";
    const silent = await probeBroker(server, dialWithinMs, clock);
    if (silent !== null) {
      reason = silent;
      continue;
    }
    try {
      // Each connection is dialled once: the library's own way of dialling again may send what was queued before.
      return await connect({
        servers: [server],
        name,
        timeout: dialWithinMs,
        reconnect: false,
        ignoreClusterUpdates: true,
        noAsyncTraces: true,
        pingInterval: libraryPingMs,
        ...(nats.user === undefined ? {} : { user: nats.user }),
        ...(nats.password === undefined ? {} : { pass: nats.password }),
        ...(nats.token === undefined ? {} : { token: nats.token }),
        ...(nats.tls === undefined ? {} : { tls: { ...nats.tls } }),
      });
    } catch (error) {
      reason = `${server}: ${(error as Error).message}`;
    }
  }
  return reason;
}
