/**
 * What the client's tests start with: a client, the fake service and the bus between them, and ways to look at what came of
 * a request without waiting for it.
 */
import { type ClientOptions, createClient } from "../../actors/client/client.ts";
import { RefusedError } from "../../actors/client/errors.ts";
import { Envelope } from "../../schemas/envelope.ts";
import { FakeServer } from "../helpers/fake-server.ts";
import { TestBus, TestClock } from "../helpers/hand-world.ts";

export function setup(options: Partial<ClientOptions> & { seed?: number } = {}) {
  const clock = new TestClock(options.seed ?? 1);
  const bus = new TestBus(clock);
  const server = new FakeServer(bus, clock);
  const client = createClient({ service: "exchange", client: "alice", clock, bus, ...options });
  const sent = () =>
    bus.published
      .filter((message) => message.subject.startsWith("exchange.request."))
      .map((message) => Envelope.parse(JSON.parse(Buffer.from(message.data).toString())));
  return { clock, bus, server, client, sent };
}

/** A promise that can be looked at without waiting. */
export function watch<T>(promise: Promise<T>): { value?: T; error?: unknown; settled: boolean } {
  const seen: { value?: T; error?: unknown; settled: boolean } = { settled: false };
  promise.then(
    (value) => Object.assign(seen, { value, settled: true }),
    (error: unknown) => Object.assign(seen, { error, settled: true }),
  );
  return seen;
}

/** The code of a refusal; undefined for any other end. */
export function codeOf(seen: { error?: unknown } | undefined): string | undefined {
  return seen?.error instanceof RefusedError ? seen.error.code : undefined;
}
