/**
 * `up` for browsers: nats-server listens for WebSockets where it is asked to, on this machine alone, and only then is there a user for a page.
 */

import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createServer } from "node:net";
import { join } from "node:path";
import test from "ava";
import { openNodeClock } from "../../actors/world/clock-node.ts";
import { WebSocketLine } from "../../actors/world/connection-nats-ws.ts";
import { keptLog } from "../helpers/kept-log.ts";
import { until } from "../helpers/until.ts";
import { startUp, withinMs } from "./harness.ts";

const { WebSocket } = createRequire(import.meta.url)("ws") as { WebSocket: unknown };
Object.assign(globalThis, { WebSocket });

test("where it is asked to, NATS speaks with browsers, at its port or at another, over its restarts", async (t) => {
  const taken = createServer().listen(0, "127.0.0.1");
  t.teardown(() => taken.close());
  await once(taken, "listening");
  const { port: websocketPort } = taken.address() as { port: number };
  const up = await startUp(t, { websocketPort });
  await up.untilNormal();
  const [, url = "", port] = await up.prints(/Browsers speak NATS at (ws:\/\/127\.0\.0\.1:(\d+)), as (\S*)trader\.nk/);
  t.not(Number(port), websocketPort);
  const nkey = readFileSync(join(up.options.data, "access", "trader.nk"), "utf8");
  const line = new WebSocketLine({
    nats: { servers: [url], nkey },
    name: "test",
    inboxPrefix: "_INBOX.client.me",
    clock: openNodeClock(),
    log: keptLog(),
  });
  line.acquire();
  t.teardown(() => line.release());
  t.true(await line.ready(), line.lastReason);
  process.kill(up.pids().nats, "SIGKILL");
  await up.prints(/nats-server runs again/);
  await until(() => line.connected(), { withinMs, waitedFor: "the page's connection to be back" });
  t.is(await up.stop(), 0);
});

test("where it is not, there is no such port and no such user", async (t) => {
  const up = await startUp(t);
  await up.untilNormal();
  t.notRegex(up.printed, /ws:\/\//);
  t.notRegex(readFileSync(join(up.options.data, "nats", "nats.conf"), "utf8"), /websocket/);
  t.false(existsSync(join(up.options.data, "access", "trader.nk")));
  t.is(await up.stop(), 0);
});
