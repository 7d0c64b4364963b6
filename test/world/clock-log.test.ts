/**
 * The clock and the log: small adapters with small promises (ids that fit, timers that can be cancelled, lines that
 * are on the disk when the call returns).
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import { openNodeClock } from "../../actors/world/clock-node.ts";
import { openPinoLog } from "../../actors/world/log-pino.ts";
import { temporaryDirectory } from "../helpers/temporary-directory.ts";

test("clock-node: ids are short, clean and all different", (t) => {
  const clock = openNodeClock();
  const ids = Array.from({ length: 2000 }, () => clock.randomId());
  t.true(ids.every((id) => /^[A-Za-z0-9_-]{1,22}$/.test(id)));
  t.is(new Set(ids).size, ids.length);
});

test("clock-node: time goes forward, timers run no earlier than asked, cancelled ones never", async (t) => {
  const clock = openNodeClock();
  let cancelledRan = false;
  const cancelled = clock.after(1, () => {
    cancelledRan = true;
  });
  cancelled.cancel();
  cancelled.cancel();
  const sinceMs = clock.nowMs();
  await new Promise<void>((resolve) => clock.after(10, resolve));
  // Node's timers are counted in whole milliseconds and may be up to one early.
  t.true(clock.nowMs() - sinceMs >= 9);
  t.false(cancelledRan);
  const order: string[] = [];
  await new Promise<void>((resolve) => {
    clock.soon(() => {
      order.push("soon");
      resolve();
    });
    order.push("call");
  });
  t.deepEqual(order, ["call", "soon"], "soon is later than the call");
  t.true(Math.abs(clock.wallMs() - Date.now()) < 1000);
  const chance = clock.random();
  t.true(chance >= 0 && chance < 1);
});

test("log-pino: each line is JSON with the server's fields, there when the call returns, and below the level silent", async (t) => {
  const file = join(await temporaryDirectory(t), "log");
  const log = openPinoLog({ service: "exchange", server: "alpha" }, { file, level: "info" });
  log.debug({ a: 0 }, "not this");
  log.info({ a: 1 }, "first");
  log.warn({ a: 2 }, "second");
  log.error({ a: 3 }, "third");
  const lines = readFileSync(file, "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  t.deepEqual(
    lines.map(({ msg, a, server }) => ({ msg, a, server })),
    ["first", "second", "third"].map((msg, at) => ({ msg, a: at + 1, server: "alpha" })),
  );
});
