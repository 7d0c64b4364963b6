/** Somebody subscribes to much and reads nothing: he is cut off, and nobody else waits for him. */
import { connect } from "node:net";
import test from "ava";
import { connect as connectNats } from "nats";
import { natsServer } from "../helpers/nats.ts";
import { until } from "../helpers/until.ts";

const bytes = new Uint8Array(256 * 1024);
/** What the broker, and the kernel for it, keep for one client before a write waits: some megabytes. */
const messages = 400;
/** nats-server's own deadline is 10 s, and it waits once for each of them. */
const longestMs = 4_000;

test("a broker as we configure it cuts off who does not read, and others are answered meanwhile", async (t) => {
  t.timeout(60_000);
  const nats = await natsServer(t);
  const server = await connectNats({ servers: nats.url });
  const client = await connectNats({ servers: nats.url });
  t.teardown(() => Promise.all([server.close(), client.close()]));
  server.subscribe("echo", { callback: (_error, message) => message.respond(message.data) });
  await server.flush();
  const stalled = connect(nats.port, "127.0.0.1");
  t.teardown(() => stalled.destroy());
  let isCutOff = false;
  stalled.on("error", () => undefined).on("close", () => (isCutOff = true));
  stalled.write('CONNECT {"verbose":false}\r\nSUB results.> 1\r\nPING\r\n');
  await new Promise((resolve) => stalled.once("data", resolve));
  stalled.pause();
  await client.request("echo", "first", { timeout: longestMs });
  for (let sent = 0; sent < messages; sent += 1) server.publish("results.x", bytes);
  const answer = await client.request("echo", "meanwhile", { timeout: longestMs });
  t.is(answer.string(), "meanwhile");
  stalled.resume();
  await until(() => isCutOff, { withinMs: 10_000, waitedFor: "the broker to end the connection" });
});
