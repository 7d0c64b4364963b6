/**
 * `twinlog/client`: what clients and integrators import. What always holds: it brings along zod, the NATS client and
 * modules of Node's own, and nothing of the servers, so that a program that only sends requests stays small.
 */

import { type Settings, whyNoLogIn } from "../schemas/settings.ts";
import { inboxes, whyNoInboxes } from "../schemas/subjects.ts";
import type { ApplicationDefinition, BodyOf, ResultOf } from "./application/contract.ts";
import { type Client, type ClientOptions, createClient } from "./client/client.ts";
import { type ResultsOptions, type ResultsReader, readResults } from "./client/results.ts";
import { shownUrl } from "./world/broker-url.ts";
import { NatsBus } from "./world/bus-nats.ts";
import { openNodeClock } from "./world/clock-node.ts";
import { NatsLine } from "./world/connection-nats.ts";
import type { Log } from "./world/ports.ts";

export type { ApplicationDefinition, BodyOf, ResultOf } from "./application/contract.ts";
export type { Client, QueryOptions, RequestOptions } from "./client/client.ts";
export type { Answer } from "./client/entry.ts";
export { FailedError, RefusedError, type Retry, UnansweredError, UnknownOutcomeError } from "./client/errors.ts";
export {
  ForgottenError,
  type HistoryEvent,
  NobodyAnswersError,
  type Position,
  positionAfter,
  type ResultEvent,
} from "./client/result-events.ts";
export type { ResultsReader } from "./client/results.ts";

export interface ConnectOptions<A extends ApplicationDefinition = ApplicationDefinition>
  extends Omit<ClientOptions<A>, "bus" | "clock"> {
  /** A URL, or where the brokers are and how to log in, as `nats` in a server's settings; default nats://127.0.0.1:4222. */
  readonly nats?: string | Omit<Settings["nats"], "allowPlaintext">;
  /** What inboxes begin with, where the broker lets this user listen elsewhere than at `_INBOX.client.<its name>`. */
  readonly inboxPrefix?: string;
  /** Default: silent. */
  readonly log?: Log;
}

export interface Connection<Body, Result> extends Client<Body, Result> {
  /** All results of the service, in order (rule 13). */
  results(options?: Omit<ResultsOptions, "service" | "bus" | "clock">): ResultsReader;
  /** Ends what is unanswered and every reader of results, and closes the connection to NATS. */
  disconnect(): Promise<void>;
}

const silence: Log = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};

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
  const bus = new NatsBus(line);
  const client = createClient({ ...options, clock, bus });
  const readers = new Set<ResultsReader>();
  await bus.start((connected) => {
    client.onBusState(connected);
    for (const reader of readers) reader.onBusState(connected);
  });
  const disconnect = async () => {
    client.close();
    for (const reader of readers) reader.close();
    await bus.stop();
  };
  if (!bus.connected()) {
    await disconnect();
    throw new Error(`cannot reach NATS at ${nats.servers.map(shownUrl).join(", ")}: ${line.lastReason}`);
  }
  const results = (wanted?: Omit<ResultsOptions, "service" | "bus" | "clock">): ResultsReader => {
    for (const reader of readers) if (reader.isClosed) readers.delete(reader);
    const reader = readResults({ ...wanted, service, clock, bus });
    readers.add(reader);
    return reader;
  };
  return { ...client, results, disconnect };
}
