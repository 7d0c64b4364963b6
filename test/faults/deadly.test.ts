/** A request that kills every server that runs it is given up after two attempts; what was beside it is answered, once. */
import { fileURLToPath } from "node:url";
import test from "ava";
import { FailedError } from "../../actors/client/errors.ts";
import type { SequentialModel } from "../../machines/checker/history.ts";
import { startPair } from "../helpers/pair/pair.ts";
import { Proof, type ProofWorkload } from "./proof.ts";

const application = fileURLToPath(new URL("./deadly-application.js", import.meta.url));

/** Everybody adds to the one total. */
const adding: ProofWorkload = {
  makeBody: (n) => ({ add: n % 10 }),
  keyOf: () => "counter",
  isOrdered: true,
  query: () => ({ query: "total" }),
  makeModel(): SequentialModel {
    let total = 0;
    return {
      run: (record, body) => {
        if (record.kind !== "final") return undefined;
        total += (body as { add: number }).add;
        return { total };
      },
      query: () => ({ total }),
    };
  },
};

test.serial("a request that kills the process is POISONED in the end, and the service goes on", async (t) => {
  const pair = await startPair(t, { application, restartMs: 100 });
  const proof = await Proof.begin(t, pair, { workload: adding, rate: 200 });
  const client = await proof.client("dora");
  const ask = (resend: boolean) =>
    t.throwsAsync(client.request({ add: 10, deadly: true }, { id: "deadly", key: "counter", after: null, resend }), {
      instanceOf: FailedError,
      message: /POISONED/,
    });
  await proof.gap("a request that kills", () => ask(false));
  const deaths = [...pair.servers.values()].flatMap(({ ends }) => ends).filter(({ signal }) => signal === "SIGKILL");
  t.log(`${deaths.length} servers died of it`);
  t.true(deaths.length >= 2 && deaths.length <= 3, `${deaths.length} deaths`);
  await pair.normal();
  await ask(true);
  await proof.prove();
  const poisoned = proof.recorder.events.flatMap((event) =>
    event.type === "reply" && event.bytes.includes("POISONED") ? [event.client] : [],
  );
  t.deepEqual([...new Set(poisoned)], ["dora"], "nothing that was beside it was given up");
});
