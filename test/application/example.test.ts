/** The example application, which the README shows, does what it says. */
import test from "ava";
import { counter } from "../../deploy/examples/counter/counter.ts";
import { Harness } from "../helpers/hot-and-warm.ts";

test("the example counts, and answers a query", (t) => {
  const harness = new Harness(counter);
  t.deepEqual(harness.result({ counter: "a", add: 2 }, "1"), { value: 2 });
  t.deepEqual(harness.result({ counter: "a", add: 3 }, "2"), { value: 5 });
  t.deepEqual(harness.runner.query({ query: "value", counter: "a" }, 2, "me"), {
    ok: true,
    json: '{"value":5,"sequence":2}',
  });
  t.is(harness.warm.digest(), harness.hot.digest());
  t.is(harness.warm.queue("changes").length, 2);
});
