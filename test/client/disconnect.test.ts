/** A connection that is closed leaves nothing of its own behind: neither a reader that waits, nor a timer that keeps a process alive. */
import test from "ava";
import { connect } from "../../actors/index.ts";
import { natsServer } from "../helpers/nats.ts";

test("disconnect ends a reader of results that waits for the next one", async (t) => {
  const nats = await natsServer(t);
  const connection = await connect({ service: "nobody", client: "c1", nats: nats.url });
  const reader = connection.results();
  const next = reader[Symbol.asyncIterator]().next();
  await connection.disconnect();
  t.deepEqual(await next, { done: true, value: undefined });
  t.true(reader.isClosed);
});
