/**
 * A client: counts apples, ten times a second, until Ctrl-C. However often the primary is killed, no number is missing.
 */
import { setTimeout as delay } from "node:timers/promises";
import { connect } from "twinlog";
import { counter } from "./counter.ts";

const nats = process.env.TWINLOG_NATS ?? "nats://127.0.0.1:4222";
const client = await connect({ nats, service: "counter", client: "alice", application: counter });
for (;;) {
  const { result, epoch } = await client.request({ counter: "apples", add: 1 });
  console.log(`${result.value} apples (epoch ${epoch})`);
  await delay(100);
}
