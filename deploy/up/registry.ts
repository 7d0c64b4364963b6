/**
 * The registry's record of a service, read once as a server would: whether the service was ever created.
 */
import { NatsLine } from "../../actors/world/connection-nats.ts";
import type { Clock, Log, RegistryRead } from "../../actors/world/ports.ts";
import { JetStreamRegistry } from "../../actors/world/registry-jetstream.ts";
import type { Settings } from "../../schemas/settings.ts";

const readWithinMs = 5_000;

const ignore = (): void => {};
const silent: Log = { debug: ignore, info: ignore, warn: ignore, error: ignore };

export function readRegistry({ service, nats, registry }: Settings, clock: Clock): Promise<RegistryRead> {
  const line = new NatsLine({ nats, name: "twinlog up", clock, log: silent });
  const { bucket, replicas } = registry;
  return new JetStreamRegistry({ service, bucket, replicas, timeoutMs: readWithinMs, line }).read();
}
