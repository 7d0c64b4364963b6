/**
 * The probe of a nats-server, against stand-ins that speak its protocol: what it says is told from what its name happens to hold.
 */
import { once } from "node:events";
import { createServer } from "node:net";
import test, { type ExecutionContext } from "ava";
import { probeNats } from "../../deploy/nats/probe.ts";

const answer = '{"type":"io.nats.jetstream.api.v1.account_info_response"}';
const jetStream = `MSG _INBOX.operator.up.probe 1 ${answer.length}\r\n${answer}\r\n`;
const noResponders = "HMSG _INBOX.operator.up.probe 1 16 16\r\nNATS/1.0 503\r\n\r\n\r\n";

/** A port where something introduces itself under this name and answers the first question so. */
async function speaker(t: ExecutionContext, serverName: string, reply: string): Promise<number> {
  const server = createServer((socket) => {
    socket.on("error", () => {});
    socket.write(`INFO ${JSON.stringify({ server_name: serverName })}\r\n`);
    socket.once("data", () => socket.write(reply));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.teardown(() => server.close());
  return (server.address() as { port: number }).port;
}

test("ready is ready, also where the server's name holds the status of no responders", async (t) => {
  for (const name of ["twinlog-1", "twinlog-67503e4a"]) {
    const port = await speaker(t, name, jetStream);
    t.deepEqual(await probeNats(port, name, 5_000), { state: "ready", port });
  }
});

test("a server whose JetStream is not there yet is starting; another server is another", async (t) => {
  const port = await speaker(t, "twinlog-1", noResponders);
  t.deepEqual(await probeNats(port, "twinlog-1", 5_000), { state: "starting" });
  t.deepEqual(await probeNats(port, "twinlog-2", 5_000), { state: "other", serverName: "twinlog-1" });
});
