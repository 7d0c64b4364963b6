/** Signals to the servers of a pair under load: what is no stop stops nobody, and a stop loses nothing. */
import { setTimeout as delay } from "node:timers/promises";
import test from "ava";
import { sameSignalMs } from "../../deploy/signals.ts";
import { startPair } from "../helpers/pair/pair.ts";
import { until } from "../helpers/until.ts";
import { Proof } from "./proof.ts";

test.serial(
  "SIGHUP of both servers, and later SIGTERM of both, lose nothing: a hang-up is no first stop",
  async (t) => {
    const pair = await startPair(t, { restartMs: 300 });
    const proof = await Proof.begin(t, pair);
    const names = Object.values(await pair.normal());
    await proof.gap("SIGHUP of both", async () => {
      for (const name of names) pair.server(name).signal("SIGHUP");
      for (const name of names)
        await until(() => pair.server(name).lines.some((line) => /nothing to open again/.test(line)), {
          withinMs: 10_000,
          waitedFor: `${name} to have heard`,
        });
    });
    // What came this long ago cannot be taken for one with what comes now.
    await delay(sameSignalMs);
    await proof.gap("SIGTERM of both, twice as npm does", async () => {
      for (const name of names) for (const signal of ["SIGTERM", "SIGTERM"] as const) pair.server(name).signal(signal);
      await until(() => names.every((name) => pair.server(name).ends.length > 0), { withinMs: 20_000 });
    });
    for (const name of names) t.deepEqual(pair.server(name).ends[0], { code: 0, signal: null });
    await pair.normal();
    await proof.prove();
  },
);
