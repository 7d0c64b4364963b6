/** Servers that are stopped (SIGSTOP) and go on: shorter and longer than the others' patience, under load. */
import { setTimeout as delay } from "node:timers/promises";
import test from "ava";
import { startPair } from "../helpers/pair/pair.ts";
import { inFull } from "./full.ts";
import { Proof } from "./proof.ts";

const full = inFull(test);
/** The time of suspicion at this pace. */
const suspicionMs = 300;

test.serial(
  "the primary is stopped for twice the time of suspicion: it is replaced, says nothing wrong, and follows",
  async (t) => {
    const pair = await startPair(t, { pace: "nervous" });
    const proof = await Proof.begin(t, pair);
    const { primary, backup } = await pair.normal();
    await proof.gap("SIGSTOP of the primary", async () => {
      pair.server(primary).signal("SIGSTOP");
      await pair.waitFor(backup, ({ role, application }) => role === "primary" && application === "hot");
      await delay(suspicionMs);
      pair.server(primary).signal("SIGCONT");
    });
    await proof.prove();
  },
);

for (const times of [0.5, 1, 1.5, 3])
  full(`either is stopped for ${times} times the time of suspicion`, async (t) => {
    const pair = await startPair(t, { pace: "nervous" });
    const proof = await Proof.begin(t, pair);
    for (const who of ["primary", "backup"] as const) {
      const names = await pair.normal();
      await proof.gap(`SIGSTOP of the ${who} for ${times * suspicionMs} ms`, async () => {
        pair.server(names[who]).signal("SIGSTOP");
        await delay(times * suspicionMs);
        pair.server(names[who]).signal("SIGCONT");
      });
    }
    await proof.prove();
  });

full("both are stopped, one after the other and overlapping", async (t) => {
  const pair = await startPair(t, { pace: "nervous" });
  const proof = await Proof.begin(t, pair);
  const { primary, backup } = await pair.normal();
  await proof.gap("SIGSTOP of both", async () => {
    pair.server(primary).signal("SIGSTOP");
    await delay(suspicionMs / 2);
    pair.server(backup).signal("SIGSTOP");
    await delay(2 * suspicionMs);
    pair.server(primary).signal("SIGCONT");
    await delay(suspicionMs / 2);
    pair.server(backup).signal("SIGCONT");
  });
  await proof.prove();
});
