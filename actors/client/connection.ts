/**
 * A client of a service, with readers of its results, over one bus of its own. What always holds: when it is disconnected nothing of it is left, and
 * whoever waits for something of it has been told.
 */
import type { ApplicationDefinition, BodyOf, ResultOf } from "../application/contract.ts";
import { type Client, type ClientOptions, createClient } from "./client.ts";
import { type ResultsOptions, type ResultsReader, readResults } from "./results.ts";

export interface Connection<Body, Result> extends Client<Body, Result> {
  /** All results of the service, in order (rule 13). */
  results(options?: Omit<ResultsOptions, "service" | "bus" | "clock">): ResultsReader;
  /** Ends what is unanswered and every reader of results, and closes the connection to NATS. */
  disconnect(): Promise<void>;
  /** The same: a connection that stayed open would keep the program from its end. */
  close(): Promise<void>;
}

/** Starts the bus. Rejects, and stops it, where it is not connected then; `whyNot`: in words. */
export async function openConnection<A extends ApplicationDefinition = ApplicationDefinition>(
  options: ClientOptions<A>,
  whyNot: () => string,
): Promise<Connection<BodyOf<A>, ResultOf<A>>> {
  const { service, clock, bus } = options;
  const client = createClient(options);
  const readers = new Set<ResultsReader>();
  await bus.start((connected) => {
    client.onBusState(connected);
    for (const reader of readers) reader.onBusState(connected);
  });
  let ended: Promise<void> | null = null;
  const end = async () => {
    client.close();
    for (const reader of readers) reader.close();
    await bus.stop();
  };
  const disconnect = () => {
    ended ??= end();
    return ended;
  };
  if (!bus.connected()) {
    await disconnect();
    throw new Error(whyNot());
  }
  const results = (wanted?: Omit<ResultsOptions, "service" | "bus" | "clock">): ResultsReader => {
    for (const reader of readers) if (reader.isClosed) readers.delete(reader);
    const reader = readResults({ ...wanted, service, clock, bus });
    readers.add(reader);
    return reader;
  };
  return { ...client, results, disconnect, close: disconnect };
}
