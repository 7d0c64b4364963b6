/**
 * A pair whose every line can be cut on its own: the main link (`pair.mainLink`), and each server's line to NATS. Clients
 * reach NATS without any of them.
 */
import type { ExecutionContext } from "ava";
import { TcpProxy } from "../../deploy/drill/proxy.ts";
import { type Pair, type PairOptions, startPair } from "../helpers/pair/pair.ts";
import { Ports } from "../helpers/pair/ports.ts";

export interface LinedPair {
  readonly pair: Pair;
  /** The server's line to NATS. */
  line(server: string): TcpProxy;
}

export async function startLinedPair(
  t: ExecutionContext,
  options: Omit<PairOptions, "proxied" | "nats" | "settings"> & { readonly delayMs?: number } = {},
): Promise<LinedPair> {
  const ports = new Ports();
  t.teardown(() => ports.release());
  const natsPort = await ports.reserve();
  const lines = new Map<string, TcpProxy>();
  for (const name of ["alpha", "beta"]) {
    const proxy = new TcpProxy(() => natsPort);
    proxy.delayMs = options.delayMs ?? 0;
    await proxy.listen();
    t.teardown(() => proxy.close());
    lines.set(name, proxy);
  }
  const line = (server: string): TcpProxy => {
    const found = lines.get(server);
    if (found === undefined) throw new Error(`there is no server ${server}`);
    return found;
  };
  const pair = await startPair(t, {
    ...options,
    proxied: true,
    nats: { port: natsPort },
    settings: (server) => ({ nats: { servers: [`nats://127.0.0.1:${line(server).port}`] } }),
  });
  pair.mainLink.delayMs = options.delayMs ?? 0;
  return { pair, line };
}
