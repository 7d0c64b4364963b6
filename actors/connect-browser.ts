/**
 * `twinlog/client` in a browser, also `twinlog/browser`: the same clients and readers of results, over NATS WebSockets. What always holds: it brings along
 * zod and nats.ws, and nothing that a browser has not; what it lets users import is what `actors/connect.ts` does.
 */

import { inboxes, whyNoInboxes } from "../schemas/subjects.ts";
import type { ApplicationDefinition, BodyOf, ResultOf } from "./application/contract.ts";
import type { ClientOptions } from "./client/client.ts";
import { type Connection, openConnection } from "./client/connection.ts";
import { shownUrl } from "./world/broker-url.ts";
import { NatsBus } from "./world/bus-nats.ts";
import { openBrowserClock } from "./world/clock-browser.ts";
import { WebSocketLine } from "./world/connection-nats-ws.ts";
import { type WebSocketAccess, whyNoWebSocketLogIn } from "./world/dial-nats-ws.ts";
import type { Log } from "./world/ports.ts";
import { silence } from "./world/silent-log.ts";

export * from "./client/index.ts";
export type { WebSocketAccess } from "./world/dial-nats-ws.ts";

export interface ConnectOptions<A extends ApplicationDefinition = ApplicationDefinition>
  extends Omit<ClientOptions<A>, "bus" | "clock"> {
  /** A URL (`wss://…`; `ws://…` of this machine), or where the brokers are and how to log in. */
  readonly nats: string | WebSocketAccess;
  /** What inboxes begin with, where the broker lets this user listen elsewhere than at `_INBOX.client.<its name>`. */
  readonly inboxPrefix?: string;
  /** Told of each change: whether there is a connection to NATS. Requests need not know: they are sent when there is one. */
  readonly onConnected?: (connected: boolean) => void;
  /** Default: silent. */
  readonly log?: Log;
}

/** A client of a service over a NATS connection of its own. Rejects when NATS cannot be reached now; later it dials again. */
export async function connect<A extends ApplicationDefinition = ApplicationDefinition>(
  options: ConnectOptions<A>,
): Promise<Connection<BodyOf<A>, ResultOf<A>>> {
  const { service, client: name } = options;
  const clock = openBrowserClock();
  const nats = typeof options.nats === "string" ? { servers: [options.nats] } : options.nats;
  const inboxPrefix = options.inboxPrefix ?? inboxes.client(name);
  const unclear = whyNoWebSocketLogIn(nats);
  if (unclear !== "") throw new Error(`nats: ${unclear}`);
  const why = whyNoInboxes(inboxPrefix);
  if (why !== "") throw new Error(`inboxPrefix ${inboxPrefix}: ${why}`);
  const log = options.log ?? silence;
  const line = new WebSocketLine({ nats, name: `twinlog ${service} ${name}`, inboxPrefix, clock, log });
  const whyNot = () => `cannot reach NATS at ${nats.servers.map(shownUrl).join(", ")}: ${line.lastReason}`;
  const { onConnected } = options;
  if (onConnected !== undefined) line.onState(onConnected);
  return await openConnection({ ...options, clock, bus: new NatsBus(line) }, whyNot);
}
