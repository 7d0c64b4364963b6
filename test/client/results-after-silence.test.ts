/**
 * A reader of results whose questions a dead server's subscription swallowed goes on as soon as another server says that
 * it is ready, however patient the silence has made it (rule 13).
 */
import test from "ava";
import { readResults } from "../../actors/client/results.ts";
import { subjects } from "../../schemas/subjects.ts";
import { FakeServer } from "../helpers/fake-server.ts";
import { noFaults, TestBus, TestClock } from "../helpers/hand-world.ts";

test("a new primary's ready is asked at once, after a long silence", async (t) => {
  const clock = new TestClock(1);
  const bus = new TestBus(clock);
  const server = new FakeServer(bus, clock);
  // Questions arrive somewhere, and nobody answers: a server that is cut off, paused or dying.
  const hole = bus.subscribe(subjects.replay("exchange"), () => {});
  const histories: string[] = [];
  const reader = readResults({ service: "exchange", clock, bus });
  void (async () => {
    for await (const event of reader) histories.push(event.history);
  })();
  await clock.run(20_000);
  hole.stop();
  server.start();
  await clock.run(100);
  t.deepEqual(histories, [server.history]);
  reader.close();
});

test("what was asked over a connection that is gone is asked again over the new one", async (t) => {
  const clock = new TestClock(1);
  const bus = new TestBus(clock);
  const server = new FakeServer(bus, clock);
  bus.faults = { ...noFaults, drop: 1 };
  server.start();
  const histories: string[] = [];
  const reader = readResults({ service: "exchange", clock, bus });
  void (async () => {
    for await (const event of reader) histories.push(event.history);
  })();
  await clock.run(20_000);
  bus.faults = noFaults;
  reader.onBusState(false);
  await clock.run(100);
  t.deepEqual(histories, []);
  reader.onBusState(true);
  await clock.run(100);
  t.deepEqual(histories, [server.history]);
  reader.close();
});
