/** Claims 12 and 14: what the servers' environments must have in common, and what they must not. */
import { readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import test from "ava";
import { exchange } from "../../actors/applications/exchange/exchange.ts";
import { Orders, sameLogs } from "../helpers/orders.ts";
import { type Pair, startPair } from "../helpers/pair/pair.ts";
import { until } from "../helpers/until.ts";

/** Changes a server's settings on its disk; it must not run. */
async function reconfigure(pair: Pair, server: string, change: Record<string, unknown>): Promise<void> {
  const { configFile } = pair.server(server);
  const settings = JSON.parse(await readFile(configFile, "utf8")) as Record<string, unknown>;
  await writeFile(configFile, JSON.stringify({ ...settings, ...change }));
}

test("12. The servers' environments are identical in what counts: a server with another application, or that cannot read what is stored, may not join", async (t) => {
  const pair = await startPair(t, { start: ["alpha"] });
  const orders = new Orders(pair, "claim12");
  await orders.send(2);

  // The exchange, whose orders must have something that those that are there have not; its name is the same.
  const module = join(pair.folder, "exchange.mjs");
  const shipped = new URL("../../actors/applications/exchange/exchange.js", import.meta.url).href;
  await writeFile(
    module,
    `import { exchange } from ${JSON.stringify(shipped)};
     const { orders } = exchange.tables;
     export const other = { ...exchange, tables: { ...exchange.tables, orders: orders.extend({ more: orders }) } };`,
  );
  const alphaIsAlone = async () => {
    await orders.send(1);
    t.deepEqual(
      (await pair.registryRecord()).inSync.map(({ server }) => server),
      ["alpha"],
    );
  };
  await reconfigure(pair, "beta", { application: "ledger", dataDirectory: join(pair.folder, "beta of ledger") });
  pair.server("beta").start();
  const refused = await pair.waitFor("beta", ({ state }) => state === "refusing");
  t.regex(refused.waitingFor, /another application or schema/);
  t.is(refused.role, "none");
  await alphaIsAlone();
  await pair.server("beta").stop();
  await reconfigure(pair, "beta", { application: module, dataDirectory: join(pair.folder, "beta of another") });
  pair.server("beta").start();
  await until(() => pair.server("beta").pid === null, { withinMs: 60_000, waitedFor: "beta to end" });
  t.regex(
    pair.server("beta").lines.join("\n"),
    /what is stored does not fit this program: table orders: field more is required/,
  );
  await alphaIsAlone();

  await reconfigure(pair, "beta", { application: "exchange", dataDirectory: join(pair.folder, "beta") });
  pair.server("beta").start();
  await pair.normal();
  t.is((await pair.newStatus("beta")).version, (await pair.newStatus("alpha")).version);
  await sameLogs(t, pair, ["alpha", "beta"]);
});

test("14. Primary and backup may run on one machine, each with a disk of its own: the loss of one disk is not felt by the other server", async (t) => {
  const pair = await startPair(t);
  const orders = new Orders(pair, "claim14");
  const { primary, backup } = await pair.normal();
  t.not(pair.server(primary).pid, pair.server(backup).pid);
  t.not(pair.settings.get(primary)?.dataDirectory, pair.settings.get(backup)?.dataDirectory);
  await orders.send(10);
  await sameLogs(t, pair, [primary, backup]);

  const disk = pair.settings.get(primary)?.dataDirectory ?? "";
  await pair.server(primary).kill();
  await rename(disk, `${disk} taken away`);
  await orders.send(10);
  t.is(await orders.resting(), 20);

  // With a new, empty disk it is a backup again, and has everything.
  pair.server(primary).start();
  t.deepEqual(await pair.normal(), { primary: backup, backup: primary });
  await rm(`${disk} taken away`, { recursive: true });
  await sameLogs(t, pair, [primary, backup], exchange);
  await pair.server(backup).kill();
  t.is(await orders.resting(), 20);
});
