/** JetStream's store is lost while both servers run (situation 54): what `init` refuses, what status says, and how it is put back. */
import { execFile } from "node:child_process";
import process from "node:process";
import { fileURLToPath } from "node:url";
import test from "ava";
import { type Pair, startPair } from "../helpers/pair/pair.ts";
import { until } from "../helpers/until.ts";
import { Proof } from "./proof.ts";

const program = fileURLToPath(new URL("../../deploy/twinlog.js", import.meta.url));
const withinMs = 30_000;

interface Ran {
  readonly status: number;
  readonly out: string;
  readonly err: string;
}

function twinlog(...words: string[]): Promise<Ran> {
  return new Promise((resolve) => {
    execFile(process.execPath, [program, ...words], (error, out, err) =>
      resolve({ status: Number(error?.code ?? 0), out, err }),
    );
  });
}

const statusOf = (pair: Pair) =>
  twinlog("status", "--json", "--service", pair.service, "--nats", pair.nats.url).then(({ status, out }) => ({
    status,
    ...(JSON.parse(out) as { failoverReady: boolean; reasons: { code: string }[] }),
  }));

/** On a machine that is busy a server may miss its beats, and is not believed for a moment. */
const readySoon = (pair: Pair) =>
  until(async () => (await statusOf(pair)).failoverReady, { withinMs, everyMs: 200, waitedFor: "a failover to work" });

test.serial(
  "the registry is lost: init refuses to make another, status says so, and --restore lets the pair go on",
  async (t) => {
    const pair = await startPair(t);
    const proof = await Proof.begin(t, pair);
    const { primary, backup } = await pair.normal();
    const config = pair.server(primary).configFile;
    const before = await pair.registryRecord();
    await readySoon(pair);
    t.regex((await twinlog("init", "--config", config, "--restore")).out, /nobody has seen a newer one/);
    const manager = await pair.raw.jetstreamManager();
    await proof.gap("the registry is lost, and put back", async () => {
      await manager.streams.delete("KV_twinlog");
      const isFrozen = async () => {
        const { status, failoverReady, reasons } = await statusOf(pair);
        return status === 3 && !failoverReady && reasons.some(({ code }) => code === "registry.frozen");
      };
      await until(isFrozen, { withinMs, everyMs: 200, waitedFor: "status to say so" });
      for (const words of [[], ["--if-missing"]]) {
        const refused = await twinlog("init", "--config", config, ...words);
        t.is(refused.status, 1);
        t.regex(
          refused.err,
          /servers of this service have seen one: .*It was lost: put it back with `twinlog init --restore`/,
        );
      }
      await pair.server(backup).stop();
      const silent = await twinlog("init", "--config", config, "--restore");
      t.is(silent.status, 1);
      t.regex(silent.err, new RegExp(`${backup} does not answer, and may have seen more`));
      pair.server(backup).start();
      await until(async () => (await twinlog("init", "--config", config, "--restore")).status === 0, {
        withinMs,
        everyMs: 200,
        waitedFor: "both to be asked",
      });
      await pair.normal();
    });
    const after = await pair.registryRecord();
    t.true(after.epoch > before.epoch + 1);
    t.is(after.history, before.history);
    await pair.server(primary).kill();
    await pair.waitFor(backup, ({ role }) => role === "primary");
    await proof.answers(50);
    pair.server(primary).start();
    await pair.normal();
    await readySoon(pair);
    await proof.prove();
  },
);
