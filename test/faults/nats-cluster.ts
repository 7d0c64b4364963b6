/**
 * Three nats-servers in a cluster, one of which can be split off from the other two; and a pair with alpha on the side of
 * the one, beta on that of the two. Routes between the sides lead through proxies.
 */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { ExecutionContext } from "ava";
import { connect } from "nats";
import { TcpProxy } from "../../deploy/drill/proxy.ts";
import { TestNats } from "../helpers/nats.ts";
import { Pair } from "../helpers/pair/pair.ts";
import { Ports } from "../helpers/pair/ports.ts";
import { temporaryDirectory } from "../helpers/temporary-directory.ts";
import { until } from "../helpers/until.ts";

const withinMs = 40_000;

export interface SplitCluster {
  /** The first server on one side, the two others on the other. */
  split(): Promise<void>;
  mend(): Promise<void>;
  /** The three of them; the first is alpha's, the second beta's and clients'. */
  readonly servers: readonly TestNats[];
}

/** The second server alone goes on: core NATS is there, and JetStream has no quorum. Until it is called back. */
export function withoutQuorum({ servers: [first, , third] }: SplitCluster): () => void {
  const tell = (signal: NodeJS.Signals) => {
    for (const server of [first, third]) server?.signal(signal);
  };
  tell("SIGSTOP");
  return () => tell("SIGCONT");
}

/** Clients are on the majority's side, at `clients`; alpha too, if the two are `together`. */
export async function startSplitPair(
  t: ExecutionContext,
  { together = false }: { readonly together?: boolean } = {},
): Promise<{ pair: Pair; cluster: SplitCluster; clients: string }> {
  const folder = await temporaryDirectory(t);
  const ports = new Ports();
  t.teardown(() => ports.release());
  const names = [0, 1, 2];
  const clientPorts: number[] = [];
  const routePorts: number[] = [];
  for (const _ of names) {
    clientPorts.push(await ports.reserve());
    routePorts.push(await ports.reserve());
  }
  // Each side reaches the other through a proxy in front of the other's route port. Servers tell each other of third ones:
  // what they tell is the proxy too, or a way around it may be found before the split and stay.
  const toFirst = new TcpProxy(() => routePorts[0] ?? 0);
  const toSecond = new TcpProxy(() => routePorts[1] ?? 0);
  const toThird = new TcpProxy(() => routePorts[2] ?? 0);
  const proxies = [toFirst, toSecond, toThird];
  for (const proxy of proxies) {
    await proxy.listen();
    t.teardown(() => proxy.close());
  }
  const wayTo = (from: number, to: number): number =>
    from === 0 || to === 0 ? (proxies[to]?.port ?? 0) : (routePorts[to] ?? 0);
  const servers: TestNats[] = [];
  const start = async (n: number): Promise<TestNats> => {
    const storeDir = join(folder, `nats-${n}`);
    await mkdir(storeDir);
    const routes = names.filter((other) => other !== n).map((other) => `"nats://127.0.0.1:${wayTo(n, other)}"`);
    // It is not ready before the cluster has a leader: the three are started at once.
    return await TestNats.start(storeDir, {
      port: clientPorts[n] ?? 0,
      extraConfig: `cluster { name: split, listen: "127.0.0.1:${routePorts[n]}", advertise: "127.0.0.1:${proxies[n]?.port}", no_advertise: true, routes: [${routes.join(", ")}] }`,
    });
  };
  servers.push(...(await Promise.all(names.map(start))));
  for (const server of servers) t.teardown(() => server.stop());
  const [first, second] = servers as [TestNats, TestNats, TestNats];
  await untilLeader(second.url);
  const pair = await Pair.open({
    proxied: true,
    restartMs: 500,
    settings: (server) => ({
      nats: { servers: [server === "alpha" && !together ? first.url : second.url] },
      registry: { replicas: 3 },
    }),
    nats: { port: await ports.reserve() },
    watchOn: second.url,
  });
  t.teardown(async () => {
    if (!t.passed) t.log(pair.story().join("\n"));
    await pair.close();
  });
  return {
    pair,
    clients: second.url,
    cluster: {
      servers,
      split: async () => void (await Promise.all(proxies.map((proxy) => proxy.cut()))),
      mend: async () => void (await Promise.all(proxies.map((proxy) => proxy.listen()))),
    },
  };
}

/** JetStream in a cluster takes a while until it has elected whoever takes requests. */
async function untilLeader(url: string): Promise<void> {
  const connection = await connect({ servers: url });
  try {
    await until(
      async () => {
        const answer = await connection.request("$JS.API.STREAM.NAMES", "", { timeout: 500 });
        return answer.json<{ error?: unknown }>().error === undefined;
      },
      { withinMs, everyMs: 50, waitedFor: "the cluster to have a leader" },
    );
  } finally {
    await connection.close();
  }
}
