/** `twinlog pause --failover` on a real pair: nobody takes over from a primary that is killed, until an operator lets failover go on. */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import test from "ava";
import { startPair } from "../helpers/pair/pair.ts";
import { until } from "../helpers/until.ts";

const program = fileURLToPath(new URL("../../deploy/twinlog.js", import.meta.url));

test("nobody takes over from a primary that is killed, and nothing is lost, until failover goes on (situation 160)", async (t) => {
  const pair = await startPair(t);
  const { primary, backup } = await pair.normal();
  const twinlog = (...words: string[]) =>
    new Promise<string>((resolve) => {
      const all = [program, ...words, "--service", pair.service, "--nats", pair.nats.url];
      execFile(process.execPath, all, { cwd: pair.folder }, (_error, out, err) => resolve(out + err));
    });
  const body = { type: "limit", symbol: "A", order: "o1", side: "buy", price: 1, quantity: 1 };
  const { text } = await pair.ask(body, { client: "me", id: "1" });
  t.regex(
    await twinlog("pause", "--failover"),
    new RegExp(`^${primary}: failover is being paused\nthe registry has it: nobody takes over\n$`),
  );
  t.regex(await twinlog("status"), /a failover would not work now[\s\S]*an operator paused failover/);
  await pair.server(primary).kill();
  const lost = await pair.waitFor(backup, ({ troubles }) =>
    troubles.some(({ message }) => /is lost, and nobody/.test(message)),
  );
  t.is(lost.state, "following.warm");
  pair.server(primary).start();
  await pair.waitFor(primary, ({ state }) => state === "waiting");
  t.is(pair.status(backup)?.state, "following.warm");
  t.regex(await twinlog("status"), /no primary speaks/);
  t.regex(
    await twinlog("resume", "--failover"),
    /the registry has it: a backup takes over where the primary is lost\n$/,
  );
  await until(() => pair.hot()?.name === backup, { withinMs: 60_000, waitedFor: "the backup to take over" });
  const again = await pair.askUntilAnswered(body, { client: "me", id: "1" });
  t.is(again.text, text);
  t.true(again.duplicate);
  t.regex(await twinlog("history"), /failover paused[\s\S]*failover resumed/);
});
