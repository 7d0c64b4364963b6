/** Simulated clients try what is another's, now and then, and the plain models say of it what the applications do. */
import test from "ava";
import { Rng } from "../../../actors/testing/world/rng.ts";
import type { CommittedRecord } from "../../../machines/checker/history.ts";
import { Harness, settled } from "../../helpers/hot-and-warm.ts";
import { type Workload, workloads } from "./workloads.ts";

interface Asked {
  readonly type: string;
  readonly symbol: string;
  readonly order: string;
  readonly from: string;
}

/** Whose what is that the body would change as its owner alone may: an order, an account. */
function ownerOf(harness: Harness, body: Asked): string | undefined {
  const rowOf = (table: string, key: string) =>
    harness.hot.table(table).rows.get(key) as { client: string } | undefined;
  if (body.type === "cancel" || body.type === "replace") return rowOf("orders", `${body.symbol}/${body.order}`)?.client;
  return body.type === "transfer" ? rowOf("accounts", body.from)?.client : undefined;
}

async function run({ application, body, makeModel }: Pick<Workload, "application" | "body" | "makeModel">) {
  const harness = new Harness(application);
  const model = makeModel();
  const rng = new Rng(7);
  const met = { own: 0, others: 0 };
  const unequal: unknown[] = [];
  for (let n = 1; n <= 900; n += 1) {
    const [client, id] = [`client${rng.int(1, 3)}`, String(n)];
    const asked = body(rng, client, `${client}-${id}`, harness.nowMs) as Asked;
    const owner = ownerOf(harness, asked);
    if (owner !== undefined) met[owner === client ? "own" : "others"] += 1;
    harness.client = client;
    const from = harness.sent.length;
    harness.start(asked, id);
    await settled();
    for (const { kind, name, json } of harness.sent.slice(from)) {
      const record: CommittedRecord = {
        sequence: n,
        epoch: 1,
        hash: 0,
        kind,
        client,
        id,
        name,
        takenMs: harness.nowMs,
        resultNumber: n,
        reply: json,
      };
      const expected = model.run(record, asked);
      const told = kind === "final" ? (JSON.parse(json) as { result: unknown }).result : expected;
      if (JSON.stringify(sorted(told)) !== JSON.stringify(sorted(expected))) unequal.push({ asked, told, expected });
    }
  }
  return { met, unequal };
}

const sorted = (value: unknown) => Object.entries(value ?? {}).sort(([one], [other]) => (one < other ? -1 : 1));

for (const [name, workload] of Object.entries(workloads))
  test(`${name}: clients ask mostly for what is their own, sometimes for another's, and the model is the application's`, async (t) => {
    const timed = await run({ ...workload, body: workload.timedBody });
    t.deepEqual(timed.unequal, []);
    const { met, unequal } = await run(workload);
    t.deepEqual(unequal, []);
    t.true(met.others >= 9 && met.own > met.others, JSON.stringify(met));
  });
