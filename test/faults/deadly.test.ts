/** A request that kills every server that runs it is given up after two attempts; what came with it is answered. */
import { fileURLToPath } from "node:url";
import test from "ava";
import { FailedError } from "../../actors/client/errors.ts";
import { startPair } from "../pair/pair.ts";

const application = fileURLToPath(new URL("./deadly-application.js", import.meta.url));

test.serial("a request that kills the process is POISONED in the end, and the service goes on", async (t) => {
  const pair = await startPair(t, { application, restartMs: 100 });
  const client = await pair.client({ client: "anna", deadlineMs: 50_000 });
  const before = await client.request({ add: 1 }, { key: "counter" });
  t.deepEqual(before.result, { total: 1 });
  const deadly = t.throwsAsync(
    client.request({ add: 10, deadly: true }, { id: "deadly", key: "counter", after: null }),
    {
      instanceOf: FailedError,
      message: /POISONED/,
    },
  );
  const beside = client.request({ add: 2 }, { key: "counter", after: null });
  await deadly;
  t.deepEqual((await beside).result, { total: 3 });
  const deaths = [...pair.servers.values()].flatMap(({ ends }) => ends).filter(({ signal }) => signal === "SIGKILL");
  t.log(`${deaths.length} servers died of it`);
  t.true(deaths.length >= 2 && deaths.length <= 3, `${deaths.length} deaths`);
  await pair.normal();
  const again = await t.throwsAsync(
    client.request({ add: 10, deadly: true }, { id: "deadly", key: "counter", resend: true }),
    {
      instanceOf: FailedError,
    },
  );
  t.regex(again?.message ?? "", /POISONED/);
  t.deepEqual((await client.request({ add: 4 }, { key: "counter" })).result, { total: 7 });
});
