/** A connection that is closed leaves nothing of its own behind: neither a reader that waits, nor a timer or a socket that keeps a process alive. */
import process from "node:process";
import test from "ava";
import { connect } from "../../actors/index.ts";
import { runCommand } from "../../deploy/nats/command.ts";
import { natsServer } from "../helpers/nats.ts";

for (const word of ["disconnect", "close"] as const) {
  test(`${word} ends a reader of results that waits for the next one, and may be said twice`, async (t) => {
    const nats = await natsServer(t);
    const connection = await connect({ service: "nobody", client: "c1", nats: nats.url });
    const reader = connection.results();
    const next = reader[Symbol.asyncIterator]().next();
    await connection[word]();
    t.deepEqual(await next, { done: true, value: undefined });
    t.true(reader.isClosed);
    await connection.disconnect();
    await t.throwsAsync(connection.request({}), { message: /the client is closed/ });
  });

  test(`after ${word} a program comes to its end by itself`, async (t) => {
    const nats = await natsServer(t);
    const library = new URL("../../actors/index.js", import.meta.url).href;
    const options = JSON.stringify({ service: "nobody", client: "c1", nats: nats.url });
    const program = `import { connect } from "${library}"; await (await connect(${options})).${word}();`;
    const words = ["--input-type=module", "--eval", program];
    t.is((await runCommand(process.execPath, words, { timeoutMs: 60_000 })).status, 0);
  });
}
