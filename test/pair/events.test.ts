/** `twinlog events` and `history` on a real pair: what servers remember after a switch and a death, and what the bucket keeps. */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import test from "ava";
import { startPair } from "../helpers/pair/pair.ts";
import { until } from "../helpers/until.ts";

const program = fileURLToPath(new URL("../../deploy/twinlog.js", import.meta.url));

test("a switch and a death are told by who lived through them, and by the registry", async (t) => {
  const pair = await startPair(t);
  const twinlog = (command: string) =>
    new Promise<string>((resolve) => {
      const words = [program, command, "--service", pair.service, "--nats", pair.nats.url];
      execFile(process.execPath, words, { cwd: pair.folder }, (_error, out, err) => resolve(out + err));
    });
  await pair.control("alpha", "switch");
  await until(() => pair.hot()?.name === "beta", { withinMs: 60_000, waitedFor: "the switch" });
  await pair.normal();
  await pair.server("alpha").kill();
  const isAlone = () => pair.status("beta")?.state === "hot.alone";
  await until(isAlone, { withinMs: 60_000, waitedFor: "beta alone" });
  const events = await twinlog("events");
  t.regex(events, /beta {2}epoch \d+ {2}following\.warm → receiving: alpha hands the role over/);
  t.regex(events, /beta {2}epoch \d+ {2}.*→ hot\.alone: won epoch \d+\n/);
  t.notRegex(events, / alpha {2}epoch/, "a process that is dead remembers nothing");
  const history = await twinlog("history");
  t.regex(history, /^\S+ {2}revision 1 {2}epoch 1 {2}primary-only {2}primary alpha {2}.*: created\n/);
  t.regex(history, /normal {2}primary beta {2}by beta: beta in the place of alpha\n/);
  t.regex(history, /primary beta {2}by beta: alpha left out\n/);
});
