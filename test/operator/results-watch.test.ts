/**
 * Whether a stream keeps up with results: what is on its way, published twice, or of another stream or history, is never said to be missing.
 */
import test from "ava";
import { ResultsWatch } from "../../actors/operator/results-watch.ts";

const seen = (stored: number) => ({
  name: "RESULTS_s",
  subjects: ["s.result.>"],
  maxBytes: -1,
  maxAgeMs: 0,
  duplicateMs: 0,
  messages: stored,
  bytes: 0,
  stored,
});

test("results count once a look has passed since they were executed", (t) => {
  const watch = new ResultsWatch();
  t.is(watch.onLook(seen(10), 100), 0, "what was before the first look is not asked for");
  t.is(watch.onLook(seen(10), 105), 0, "they may be on their way");
  t.is(watch.onLook(seen(13), 105), 2);
  t.is(watch.onLook(seen(15), 105), 0);
  t.is(watch.onLook(seen(20), 106), 0, "some were published twice, too late to be known");
});

test("another stream, none, or another history begins anew", (t) => {
  const watch = new ResultsWatch();
  watch.onLook(seen(10), 100);
  watch.onLook(seen(10), 200);
  t.is(watch.onLook(null, 300), 0);
  t.is(watch.onLook(seen(0), 400), 0);
  t.is(watch.onLook(seen(0), 401), 0);
  t.is(watch.onLook(seen(0), 401), 1);
  t.is(watch.onLook(seen(0), 3), 0, "result numbers start again at 1");
});
