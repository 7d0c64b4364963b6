/** `twinlog check` on a real pair: critical as soon as a failover would not work, and over when it would again. */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import test from "ava";
import type { ServiceCheck } from "../../schemas/check.ts";
import { startPair } from "../helpers/pair/pair.ts";
import { until } from "../helpers/until.ts";

const program = fileURLToPath(new URL("../../deploy/twinlog.js", import.meta.url));

test("a backup that is killed makes it 2, and 0 it is when the backup is back", async (t) => {
  const pair = await startPair(t);
  // How much room this machine has, and how old its nats-server is, is not what is tried.
  const words = ["check", "--service", pair.service, "--nats", pair.nats.url, "--skip", "disk", "--json"];
  const check = () =>
    new Promise<readonly [status: number, ServiceCheck]>((resolve) => {
      const all = [program, ...words, "--skip", "registry-version"];
      execFile(process.execPath, all, { cwd: pair.folder }, (error, out) =>
        resolve([error === null ? 0 : Number(error.code), JSON.parse(out) as ServiceCheck]),
      );
    });
  const gravest = async () => (await check())[0];
  await until(async () => (await gravest()) === 0, { withinMs: 60_000, waitedFor: "a pair in sync" });
  await pair.server("beta").kill();
  const [status, { checks, failoverReady }] = await check();
  t.is(status, 2);
  t.false(failoverReady);
  t.true(checks.some(({ name, level }) => name === "backup" && level === "critical"));
  pair.server("beta").start();
  await until(async () => (await gravest()) === 0, { withinMs: 60_000, waitedFor: "the backup" });
  const [, { checks: again }] = await check();
  t.regex(again.find(({ name }) => name === "backup")?.says ?? "", /^in sync: beta$/);
});

test("servers tell their volume, their broker and their certificates", async (t) => {
  const pair = await startPair(t);
  const surroundings = async () => (await pair.newStatus("alpha")).surroundings;
  await until(async () => (await surroundings()) !== undefined, { withinMs: 60_000, waitedFor: "what is around" });
  const { disk, broker, certificates } = (await surroundings()) ?? {};
  t.true((disk?.freeBytes ?? 0) > 0 && (disk?.sizeBytes ?? 0) >= (disk?.freeBytes ?? 0));
  t.true((disk?.storeBytes ?? 0) > 0);
  t.regex(broker?.version ?? "", /^\d+\.\d+\.\d+/);
  t.true((broker?.warnings.length ?? 0) > 0);
  t.deepEqual(certificates, []);
  t.true(Math.abs((await pair.newStatus("alpha")).peers[0]?.aheadMs ?? Number.NaN) < 5_000);
});
