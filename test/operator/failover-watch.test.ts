/** What a failover cost, as the server that took over knows it: once, from the last word to ready, and for no other way to the role. */
import test from "ava";
import { FailoverWatch, failoverText } from "../../actors/operator/failover-watch.ts";

const word = { server: "alpha", heardMs: 1_000.4 };

test("from the lost primary's last word until it is ready; with the role it is forgotten", (t) => {
  const watch = new FailoverWatch();
  watch.onEvent("following.warm", "candidate.syncing");
  watch.onEvent("candidate.syncing", "candidate.asking");
  watch.onEvent("candidate.asking", "hot.alone");
  t.is(watch.done, null, "it is hot, and not ready");
  const done = { from: "alpha", gapMs: 214, readyAtMs: 90_000 };
  t.deepEqual(watch.onReady(word, 1_214.2, 90_000), done);
  watch.onEvent("hot.alone", "hot.adding");
  t.deepEqual(watch.done, done);
  watch.onEvent("hot.normal", "following.warm");
  t.is(watch.done, null);
});

test("a switch, a start and a primary that was never heard tell nothing", (t) => {
  for (const from of ["receiving", "following.unsettled", "claiming.asking"]) {
    const watch = new FailoverWatch();
    watch.onEvent(from, "hot.normal");
    t.is(watch.onReady(word, 1_214, 90_000), null, from);
  }
  const watch = new FailoverWatch();
  watch.onEvent("candidate.asking", "hot.alone");
  t.is(watch.onReady(null, 1_214, 90_000), null);
  watch.onEvent("hot.alone", "following.warm");
  watch.onEvent("receiving", "hot.normal");
  t.is(watch.onReady(word, 1_214, 90_000), null, "the role came back by a switch");
});

test("in words: what, for how long, from when till when, and who says so", (t) => {
  t.is(
    failoverText({ from: "alpha", gapMs: 214, readyAtMs: Date.UTC(2026, 10, 30, 23, 59, 5, 100) }, "beta"),
    "clients were without answers for some 214 ms: from alpha's last word at 23:59:04.886 until beta was ready at 23:59:05.100, seen from beta",
  );
});
