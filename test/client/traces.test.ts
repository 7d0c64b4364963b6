/** The trace context that a request is part of goes with each of its copies. */
import test from "ava";
import { traceparentHeader } from "../../schemas/traceparent.ts";
import { setup, watch } from "./setup.ts";

const known = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

test("the client sends what it is given for the request, else what it is asked for, in each copy", async (t) => {
  let active: string | undefined = `${known.slice(0, -2)}00`;
  const { clock, bus, server, client } = setup({ traceparent: () => active });
  const sent = () => bus.published.filter(({ subject }) => subject.startsWith("exchange.request."));
  const answers = [client.request({ n: 1 }, { traceparent: known }), client.request({ n: 2 })].map(watch);
  await clock.run(600);
  server.start();
  active = undefined;
  answers.push(watch(client.request({ n: 3 })));
  await clock.run(2_000);
  t.true(answers.every(({ value }) => value !== undefined));
  const bodies = sent().map(({ data, headers }) => ({
    n: (JSON.parse(Buffer.from(data).toString()) as { body: { n: number } }).body.n,
    trace: headers?.[traceparentHeader],
  }));
  const of = (n: number) => bodies.filter((one) => one.n === n).map((one) => one.trace);
  t.true(of(1).length > 1, "it was sent again");
  t.deepEqual([...new Set(of(1))], [known]);
  t.deepEqual([...new Set(of(2))], [`${known.slice(0, -2)}00`]);
  t.deepEqual([...new Set(of(3))], [undefined]);
});
