/**
 * Clients by the library whose every copy, answer and query is in the history: for what a proof asks beside its load.
 */
import { setTimeout as delay } from "node:timers/promises";
import { type Client, createClient } from "../../actors/client/client.ts";
import { FailedError } from "../../actors/client/errors.ts";
import { type Recorder, RecordingBus } from "../../actors/testing/recorder.ts";
import { openNodeClock } from "../../actors/world/clock-node.ts";
import type { Bus } from "../../actors/world/ports.ts";
import type { InvokeEvent } from "../../machines/checker/history.ts";

export interface RecordedClientOptions {
  readonly service: string;
  readonly client: string;
  readonly recorder: Recorder;
  connect(onState: (connected: boolean) => void): Promise<Bus>;
}

export interface RecordedClient {
  readonly client: Client<unknown, unknown>;
  close(): Promise<void>;
}

export async function openRecordedClient(options: RecordedClientOptions): Promise<RecordedClient> {
  let client: Client<unknown, unknown> | undefined;
  const bus = await options.connect((connected) => client?.onBusState(connected));
  const recording = new RecordingBus(bus, options.recorder, options.service);
  const { service, client: name } = options;
  client = createClient({
    service,
    client: name,
    clock: openNodeClock(),
    bus: recording,
    deadlineMs: 150_000,
    ordered: false,
  });
  const opened = client;
  return {
    client: opened,
    close: async () => {
      opened.close();
      await bus.stop();
    },
  };
}

const betweenQueriesMs = 30;
/** A query that nobody answers is given up and asked anew, so that what is answered late is always what was asked lately. */
const queryWithinMs = 2_000;

/** Asks one query after the other until it is stopped. */
export async function askQueries(options: RecordedClientOptions, query: () => unknown): Promise<() => Promise<void>> {
  const { client, close } = await openRecordedClient(options);
  const over = new AbortController();
  const asking = (async () => {
    while (!over.signal.aborted) {
      await client.query(query(), { deadlineMs: queryWithinMs }).catch(() => undefined);
      await delay(betweenQueriesMs);
    }
  })();
  return async () => {
    over.abort();
    await asking;
    await close();
  };
}

/** So many of what was answered are asked for again, from the first to the last. */
const againCount = 200;

/** Requests that were answered, one copy of each, spread over the whole history. */
function answeredRequests({ events }: Recorder): InvokeEvent[] {
  const firsts = new Map<string, InvokeEvent>();
  const answered = new Set<string>();
  for (const event of events) {
    if (event.type !== "invoke" && event.type !== "reply") continue;
    const key = `${event.client}\u0000${event.id}`;
    if (event.type === "reply" && event.bytes.includes('"sequence":')) answered.add(key);
    if (event.type === "invoke" && !firsts.has(key)) firsts.set(key, event);
  }
  const all = [...firsts].filter(([key]) => answered.has(key)).map(([, invoke]) => invoke);
  const step = Math.max(1, all.length / againCount);
  const chosen: InvokeEvent[] = [];
  for (let at = 0; at < all.length; at += step) chosen.push(all[Math.floor(at)] as InvokeEvent);
  return chosen;
}

/** Asks again, under the same ids, for what was answered before: the checker compares the bytes. How many were asked for. */
export async function askAgain(
  options: Omit<RecordedClientOptions, "client">,
  keyOf: (body: unknown) => string,
): Promise<number> {
  const requests = answeredRequests(options.recorder);
  for (const name of new Set(requests.map(({ client }) => client))) {
    const { client, close } = await openRecordedClient({ ...options, client: name });
    try {
      for (const { id, body } of requests.filter((request) => request.client === name))
        await client.request(body, { id, key: keyOf(body), resend: true, after: null }).catch((error: unknown) => {
          // A failure that is a record is an answer too.
          if (!(error instanceof FailedError)) throw error;
        });
    } finally {
      await close();
    }
  }
  return requests.length;
}
