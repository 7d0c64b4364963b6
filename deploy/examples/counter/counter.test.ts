/**
 * A test of the counter, without NATS and without a disk: `node --test`, or any other runner.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { atEveryCrash, testApplication } from "twinlog/testing";
import { counter } from "./counter.ts";

test("it counts, and counts a request that is sent again once", async () => {
  const app = testApplication(counter);
  await app.request({ counter: "apples", add: 2 }, { id: "1" });
  const again = await app.request({ counter: "apples", add: 2 }, { id: "1" });
  assert.deepEqual([again.result, again.duplicate], [{ value: 2 }, true]);
  const { result } = await app.query<{ value: number }>({ query: "value", counter: "apples" });
  assert.equal(result.value, 2);
  app.close();
});

test("wherever the server dies, the other one goes on with the count", async () => {
  await atEveryCrash(counter, async (app) => {
    await app.request({ counter: "apples", add: 2 });
    await app.request({ counter: "apples", add: 3 });
    assert.deepEqual(app.state.get("counters", "apples"), { value: 5 });
    assert.equal(app.state.queueLength("changes"), 2);
  });
});
