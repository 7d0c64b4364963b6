/**
 * `twinlog/client`: what clients and integrators import. What always holds: it brings along zod, the NATS client and
 * modules of Node's own, and nothing of the servers, so that a program that only sends requests stays small.
 */

import { type Settings, whyNoLogIn } from "../schemas/settings.ts";
import { inboxes, whyNoInboxes } from "../schemas/subjects.ts";
import type { ApplicationDefinition, BodyOf, ResultOf } from "./application/contract.ts";
import type { ClientOptions } from "./client/client.ts";
import { type Connection, openConnection } from "./client/connection.ts";
import { shownUrl } from "./world/broker-url.ts";
import { NatsBus } from "./world/bus-nats.ts";
import { openNodeClock } from "./world/clock-node.ts";
import { NatsLine } from "./world/connection-nats.ts";
import type { Log } from "./world/ports.ts";
import { silence } from "./world/silent-log.ts";

export * from "./client/index.ts";

export interface ConnectOptions<A extends ApplicationDefinition = ApplicationDefinition>
  extends Omit<ClientOptions<A>, "bus" | "clock"> {
  /** A URL, or where the brokers are and how to log in, as `nats` in a server's settings; default nats://127.0.0.1:4222. */
  readonly nats?: string | Omit<Settings["nats"], "allowPlaintext">;
  /** What inboxes begin with, where the broker lets this user listen elsewhere than at `_INBOX.client.<its name>`. */
  readonly inboxPrefix?: string;
  /** Default: silent. */
  readonly log?: Log;
}

/** A client of a service over a NATS connection of its own. Rejects when NATS cannot be reached now; later it dials again. */
export async function connect<A extends ApplicationDefinition = ApplicationDefinition>(
  options: ConnectOptions<A>,
): Promise<Connection<BodyOf<A>, ResultOf<A>>> {
  const { service, client: name } = options;
  const clock = openNodeClock();
  const given = options.nats ?? "nats://127.0.0.1:4222";
  const nats = typeof given === "string" ? { servers: [given] } : given;
  const inboxPrefix = options.inboxPrefix ?? inboxes.client(name);
  const unclear = whyNoLogIn(nats);
  if (unclear !== "") throw new Error(`nats: ${unclear}`);
  const why = whyNoInboxes(inboxPrefix);
  if (why !== "") throw new Error(`inboxPrefix ${inboxPrefix}: ${why}`);
  const log = options.log ?? silence;
  const line = new NatsLine({ nats, name: `twinlog ${service} ${name}`, inboxPrefix, clock, log });
  const whyNot = () => `cannot reach NATS at ${nats.servers.map(shownUrl).join(", ")}: ${line.lastReason}`;
  return await openConnection({ ...options, clock, bus: new NatsBus(line) }, whyNot);
}
