/**
 * An integrator: every result of the service, in order, none missing and none twice, from the first on and over takeovers.
 */
import { connect } from "twinlog";

const nats = process.env.TWINLOG_NATS ?? "nats://127.0.0.1:4222";
const client = await connect({ nats, service: "counter", client: "reports" });
for await (const event of client.results({ from: 1 })) {
  if (event.type === "history") console.log(`history ${event.history}, from result ${event.next} on`);
  else if (event.reply.ok) console.log(`${event.result} ${event.client}: ${JSON.stringify(event.reply.result)}`);
}
