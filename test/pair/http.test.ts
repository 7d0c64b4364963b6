/** What load balancers and orchestrators are told by HTTP of a real pair, while it loses and gets back what it has. */
import test from "ava";
import { type Pair, startPair } from "../helpers/pair/pair.ts";
import { Ports } from "../helpers/pair/ports.ts";
import { until } from "../helpers/until.ts";

const withinMs = 30_000;
const paths = ["livez", "health", "readyz", "primary", "backup?lag=0"] as const;
const ofPrimary = [200, 200, 200, 200, 503];
const ofBackup = [200, 200, 200, 503, 200];
/** No answer. */
const nobody = [0, 0, 0, 0, 0];

interface Probed {
  readonly pair: Pair;
  /** Of each path the status. */
  statuses(server: string): Promise<number[]>;
  why(server: string): Promise<string>;
  becomes(server: string, expected: readonly number[]): Promise<void>;
}

async function probed(
  t: Parameters<typeof startPair>[0],
  options: Parameters<typeof startPair>[1] = {},
): Promise<Probed> {
  const held = new Ports();
  t.teardown(() => held.release());
  const ports = new Map([
    ["alpha", await held.reserve()],
    ["beta", await held.reserve()],
  ]);
  const settings = (server: string) => ({ http: { port: ports.get(server) }, ...options.settings?.(server) });
  const pair = await startPair(t, { ...options, settings });
  const ask = (server: string, path: string) =>
    fetch(`http://127.0.0.1:${ports.get(server)}/${path}`, { signal: AbortSignal.timeout(2_000) });
  const statuses = (server: string) =>
    Promise.all(
      paths.map((path) =>
        ask(server, path).then(
          async (answer) => {
            await answer.text();
            return answer.status;
          },
          () => 0,
        ),
      ),
    );
  return {
    pair,
    statuses,
    why: async (server) => ((await (await ask(server, "readyz")).json()) as { why: string }).why,
    becomes: async (server, expected) => {
      let last: number[] = [];
      await until(
        async () => {
          last = await statuses(server);
          return last.join() === expected.join();
        },
        { withinMs, waitedFor: `${expected.join(", ")} of ${server}` },
      ).catch((error: unknown) => {
        throw new Error(`${(error as Error).message}; it was ${last.join(", ")}`);
      });
    },
  };
}

test("each server says its place; one that hangs says nothing; one that is back is a backup", async (t) => {
  const { pair, statuses, becomes } = await probed(t, { restartMs: 100 });
  const { primary, backup } = await pair.normal();
  await becomes(primary, ofPrimary);
  await becomes(backup, ofBackup);
  pair.server(primary).signal("SIGSTOP");
  t.deepEqual(await statuses(primary), nobody, "the thread that would answer stands still");
  await becomes(backup, ofPrimary);
  pair.server(primary).signal("SIGCONT");
  await becomes(primary, ofBackup);
  await pair.server(backup).kill();
  await becomes(primary, ofPrimary);
  await becomes(backup, ofBackup);
});

test("a server without NATS is live and not ready; what an operator must decide is said", async (t) => {
  const { pair, becomes, why } = await probed(t, { settings: () => ({ afterTotalLoss: "wait" }) });
  await becomes("beta", ofBackup);
  pair.nats.signal("SIGKILL");
  await pair.nats.stop();
  await becomes("beta", [200, 200, 503, 503, 503]);
  await becomes("alpha", [200, 200, 503, 503, 503]);
  t.regex(await why("alpha"), /no connection to NATS/);
  await pair.nats.restart();
  await becomes("beta", ofBackup);
  await Promise.all([pair.server("alpha").kill(), pair.server("beta").kill()]);
  pair.server("alpha").start();
  pair.server("beta").start();
  await until(async () => /an operator decides/.test(await why("beta").catch(() => "")), { withinMs });
  await becomes("beta", [200, 200, 503, 503, 503]);
  await becomes("alpha", [200, 200, 503, 503, 503]);
});

test("a server that begins without NATS is live and not ready, and says why", async (t) => {
  const { pair, becomes, why } = await probed(t, { start: [] });
  await pair.nats.stop();
  pair.server("alpha").start();
  await becomes("alpha", [200, 200, 503, 503, 503]);
  t.regex(await why("alpha"), /waits: cannot read the registry: not connected to NATS/);
  await pair.nats.restart();
  pair.server("beta").start();
  await pair.normal();
  await becomes("alpha", ofPrimary);
});

test("a server whose port for HTTP is taken ends at once, with a line that names the setting and its entry", async (t) => {
  const held = new Ports();
  t.teardown(() => held.release());
  const port = await held.reserve();
  const pair = await startPair(t, { start: [], settings: () => ({ http: { port } }) });
  pair.server("alpha").start();
  const isThere = () => fetch(`http://127.0.0.1:${port}/livez`).then(({ status }) => status === 200);
  await until(isThere, { withinMs });
  const beta = pair.server("beta");
  beta.start();
  await until(() => beta.ends.length === 1, { withinMs });
  t.is(beta.ends[0]?.code, 1);
  t.regex(beta.lines.join("\n"), /is taken: .*http\.port; see deploy\/RUNBOOK\.md#end-http-port-taken/);
});
