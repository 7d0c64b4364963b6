/**
 * The bus as browsers have it, over WebSockets, against a real nats-server: the conformance suite, ways to log in, and a broker that says
 * nothing any more. The WebSocket is `ws`, for Node 20 has none.
 */
import { createRequire } from "node:module";
import test from "ava";
import { NatsBus } from "../../actors/world/bus-nats.ts";
import { openBrowserClock } from "../../actors/world/clock-browser.ts";
import { openNodeClock } from "../../actors/world/clock-node.ts";
import { WebSocketLine } from "../../actors/world/connection-nats-ws.ts";
import { type WebSocketAccess, whyNoWebSocketLogIn } from "../../actors/world/dial-nats-ws.ts";
import { makeNkey, userOfNkey } from "../../actors/world/log-in-nats.ts";
import { TcpProxy } from "../../deploy/drill/proxy.ts";
import { inboxes } from "../../schemas/subjects.ts";
import { busConformance } from "../conformance/bus.ts";
import { realRig } from "../conformance/rig.ts";
import { freePort } from "../helpers/free-port.ts";
import { keptLog } from "../helpers/kept-log.ts";
import { natsServer, sharedNatsServer } from "../helpers/nats.ts";
import { until } from "../helpers/until.ts";

const { WebSocket } = createRequire(import.meta.url)("ws") as { WebSocket: unknown };
Object.assign(globalThis, { WebSocket });

const port = await freePort();
const websocketConf = (at: number) => `websocket { host: "127.0.0.1", port: ${at}, no_tls: true }`;
sharedNatsServer(test, { extraConfig: websocketConf(port) });
let names = 0;

const lineTo = (nats: WebSocketAccess, clock = openNodeClock()) =>
  new WebSocketLine({ nats, name: "test", inboxPrefix: inboxes.client("test"), clock, log: keptLog() });

busConformance("bus-nats over WebSockets", async () => {
  const proxy = new TcpProxy(() => port);
  await proxy.listen();
  const rig = realRig();
  names += 1;
  return {
    ...rig,
    prefix: `test${names}`,
    make: () => new NatsBus(lineTo({ servers: [`ws://127.0.0.1:${proxy.port}`] }, rig.clock)),
    brokerGone: () => proxy.cut(),
    brokerBack: () => proxy.listen(),
    dispose: () => proxy.close(),
  };
});

test.serial(
  "connection-nats-ws: each way to log in, by the address too; the reason of a refusal is told",
  async (t) => {
    const at = await freePort();
    const seed = makeNkey();
    const users = `{ nkey: ${userOfNkey(seed)} }, { user: "alice", password: "p:a@s" }`;
    await natsServer(t, { extraConfig: `${websocketConf(at)}\nauthorization { users: [${users}] }` });
    const broker = `127.0.0.1:${at}`;
    const url = `ws://${broker}`;
    const dialled = async (nats: WebSocketAccess) => {
      const line = lineTo(nats);
      line.acquire();
      const outcome = (await line.ready()) ? "in" : line.lastReason;
      await line.release();
      return outcome;
    };
    t.is(await dialled({ servers: [url], nkey: seed }), "in");
    t.is(await dialled({ servers: [url], user: "alice", password: "p:a@s" }), "in");
    t.is(await dialled({ servers: [`ws://alice:${encodeURIComponent("p:a@s")}@${broker}`], nkey: makeNkey() }), "in");
    t.is(await dialled({ servers: ["ws://127.0.0.1:1", url], nkey: seed }), "in", "whichever of the brokers answers");
    t.regex(await dialled({ servers: [url], nkey: makeNkey() }), /Authorization Violation/i);
    t.regex(await dialled({ servers: ["ws://127.0.0.1:1"] }), /^ws:\/\/127\.0\.0\.1:1: \S/);
  },
);

test.serial("connection-nats-ws: a broker that says nothing is left, and found again when it goes on", async (t) => {
  const at = await freePort();
  const nats = await natsServer(t, { extraConfig: websocketConf(at) });
  const line = lineTo({ servers: [`ws://127.0.0.1:${at}`] });
  const states: boolean[] = [];
  line.onState((connected) => states.push(connected));
  line.acquire();
  t.true(await line.ready());
  nats.signal("SIGSTOP");
  await until(() => states.at(-1) === false, { withinMs: 30_000, waitedFor: "the silence to be noticed" });
  t.is(line.lastReason, "the broker does not answer");
  t.false(line.publish("a", new Uint8Array()));
  nats.signal("SIGCONT");
  await until(() => states.at(-1) === true, { withinMs: 60_000, waitedFor: "the broker to be found again" });
  t.true(await line.flush());
  await line.release();
});

test("connection-nats-ws: what cannot be meant is said before anybody is dialled", (t) => {
  const servers = ["ws://a"];
  const seed = makeNkey();
  t.is(whyNoWebSocketLogIn({ servers, nkey: `# mine\n${seed}\r\n` }), "");
  t.regex(whyNoWebSocketLogIn({ servers: [] }), /at least one server/);
  t.regex(whyNoWebSocketLogIn({ servers, user: "a", password: "b", nkey: seed }), /not user and nkey/);
  t.regex(whyNoWebSocketLogIn({ servers, password: "b" }), /belong together/);
  t.regex(whyNoWebSocketLogIn({ servers, nkey: seed.slice(1) }), /no user's seed/);
  t.regex(whyNoWebSocketLogIn({ servers, creds: seed }), /no \.creds file/);
});

test("clock-browser: `soon` keeps the order and comes after what is running; ids are unlike and fit a subject", async (t) => {
  const clock = openBrowserClock();
  const order: string[] = [];
  await new Promise<void>((resolve) => {
    clock.soon(() => order.push("first"));
    clock.soon(() => {
      order.push("second");
      resolve();
    });
    order.push("now");
  });
  t.deepEqual(order, ["now", "first", "second"]);
  const ids = Array.from({ length: 100 }, () => clock.randomId());
  t.is(new Set(ids).size, 100);
  t.true(ids.every((id) => /^[\w-]{22}$/.test(id)));
});
