/** `twinlog events` and `history` on a real pair: what servers remember after a switch and a death, and what the bucket keeps. */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import test from "ava";
import { type Pair, startPair } from "../helpers/pair/pair.ts";
import { until } from "../helpers/until.ts";

const program = fileURLToPath(new URL("../../deploy/twinlog.js", import.meta.url));

const commandsOf = (pair: Pair) => (command: string) =>
  new Promise<string>((resolve) => {
    const words = [program, command, "--service", pair.service, "--nats", pair.nats.url];
    execFile(process.execPath, words, { cwd: pair.folder }, (_error, out, err) => resolve(out + err));
  });

test("a switch and a death are told by who lived through them, and by the registry", async (t) => {
  const pair = await startPair(t);
  const twinlog = commandsOf(pair);
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
  t.notRegex(events + history, /without answers/, "nobody took over by himself yet");
});

test("for how long a failover left clients without answers is told by events, history and the status", async (t) => {
  const pair = await startPair(t);
  const twinlog = commandsOf(pair);
  await pair.normal();
  const { heartbeatMs } = pair.settings.get("beta")?.limits ?? { heartbeatMs: 0 };
  const killedMs = Date.now();
  await pair.server("alpha").kill();
  const failover = () => pair.status("beta")?.failover;
  await until(() => failover() !== undefined, { withinMs: 60_000, waitedFor: "beta to take over" });
  const { from, gapMs = 0, readyAtMs = 0 } = failover() ?? {};
  t.is(from, "alpha");
  const sinceKillMs = readyAtMs - killedMs;
  // The last word was said before the kill, a heartbeat at most, and may be heard after it.
  t.true(gapMs > 0 && gapMs <= sinceKillMs + 2 * heartbeatMs, `${gapMs} ms, and ${sinceKillMs} ms since it was killed`);
  const words = `clients were without answers for some ${gapMs} ms`;
  t.regex(await twinlog("events"), new RegExp(`  beta  epoch \\d+  hot\\.alone: ${words}: from alpha's last word at `));
  t.regex(await twinlog("history"), new RegExp(`by beta: beta in the place of alpha, alpha left out; ${words}\n`));
  t.is(pair.events.find(({ machine }) => machine === "failover")?.gapMs, gapMs);
});
