/** Two joiners that both need a snapshot at the same time: each gets its own, and neither has to wait for the other. */
import test from "ava";
import { schemaDigest } from "../../actors/application/define.ts";
import { counter } from "../../deploy/examples/counter/counter.ts";
import { OneServer } from "../helpers/one-server.ts";

test("two joiners are sent a snapshot each (rule 7)", async (t) => {
  const names = ["alpha", "beta", "gamma"];
  const servers = names.map((name, index) => ({ name, port: index + 1 }));
  const server = new OneServer({ application: counter, settings: { servers } });
  await server.run(2_000);
  t.is(server.life.replica.state, "hot.alone");
  const joiners = ["beta", "gamma"];
  for (const name of joiners) {
    server.hear(name, {
      type: "follow",
      session: `${name}.s1`,
      from: `${name}-1`,
      to: server.life.replica.self,
      epoch: 1,
      history: "another",
      schema: schemaDigest(counter),
      last: 5,
      committed: 5,
      epochEnds: [{ epoch: 1, last: 5 }],
    });
    await server.run(500);
  }
  const chunks = () => server.sent.flatMap((one) => (one.type === "snapshotChunk" ? [[one.session, one.number]] : []));
  const ask = async (name: string, number: number) => {
    server.hear(name, { type: "snapshotAck", session: `${name}.s1`, number, done: false });
    await server.run(100);
  };
  for (const name of joiners) await ask(name, 1);
  t.deepEqual(chunks(), [
    ["beta.s1", 1],
    ["gamma.s1", 1],
  ]);
  for (const name of joiners) await ask(name, 2);
  t.deepEqual(chunks().slice(2), [
    ["beta.s1", 2],
    ["gamma.s1", 2],
  ]);
});
