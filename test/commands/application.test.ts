/**
 * Where commands take the name or the path of an application: one that there is not.
 */
import test from "ava";
import { makeRig } from "./rig.ts";

test("an application that there is not is one line, before anything is started or sent", async (t) => {
  const { run, connectedTo } = makeRig();
  const unknown = await run(["up", "--application", "counter"]);
  t.is(unknown.status, 1);
  t.regex(
    unknown.err,
    /^twinlog: no application is called counter; there are: exchange, ledger, or a path to a module\n$/,
  );
  for (const command of ["up", "request", "replay"]) {
    const body = command === "up" ? [] : ["-"];
    const missing = await run([command, "--application", "./none.ts", ...body], { input: "{}" });
    t.is(missing.status, 1);
    t.regex(missing.err, /^twinlog: cannot load the application .*none\.ts: .*\n$/);
  }
  t.deepEqual(connectedTo, []);
});
