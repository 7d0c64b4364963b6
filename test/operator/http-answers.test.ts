/** What a server answers by HTTP, path by path, asked of a life that goes its way. */
import test from "ava";
import { z } from "zod";
import { defineApplication } from "../../actors/application/define.ts";
import type { LifeFacts } from "../../actors/operator/health.ts";
import { HttpAnswers, scrapeMs } from "../../actors/operator/http-answers.ts";
import type { HttpAnswer } from "../../actors/world/ports.ts";
import { subjects } from "../../schemas/subjects.ts";
import { bytesOf } from "../helpers/hand-world.ts";
import { OneServer, service } from "../helpers/one-server.ts";
import { statusOf } from "../helpers/status-of.ts";

const nothing = defineApplication({
  name: "nothing",
  request: z.strictObject({}),
  result: z.strictObject({}),
  key: () => "k",
  handle: (_body, { transaction }) => transaction("nothing", () => ({})),
});

const names = ["/livez", "/health", "/readyz", "/primary", "/backup"] as const;

function answersOf(facts: () => LifeFacts | null) {
  const metrics = { contentType: "text/plain", text: async () => "twinlog_info 1\n" };
  const answers = new HttpAnswers({ service, server: "alpha", version: "1.2.3", facts, metrics, nowMs: () => 0 });
  const ask = (path: string, query = "") => answers.answer({ path, query }) as HttpAnswer;
  return {
    ask,
    statuses: () => names.map((name) => ask(name).status),
    document: (path: string) => JSON.parse(ask(path).body) as Record<string, unknown>,
  };
}

test("before its disk is read a server is live and nothing else, and its document says that it starts", (t) => {
  const { statuses, document } = answersOf(() => null);
  t.deepEqual(statuses(), [200, 503, 503, 503, 503]);
  t.deepEqual(document("/readyz"), {
    ok: false,
    why: "it starts: its disk is being read",
    service,
    server: "alpha",
    version: "1.2.3",
    role: "none",
    state: "starting",
  });
});

test("a life is asked each time: it waits, it serves, it is paused, it is told to stop", async (t) => {
  const server = new OneServer({ application: nothing });
  await server.run(20);
  const { statuses, document } = answersOf(() => server.life.facts);
  t.deepEqual(statuses(), [200, 200, 503, 503, 503], "it has not asked the registry yet");
  await server.run(2_000);
  t.deepEqual(statuses(), [200, 200, 200, 200, 503]);
  t.true(server.life.facts.beatAgeMs <= 100, "it did its tick");
  t.like(document("/backup"), { ok: false, why: "it is the primary", state: "hot.alone", epoch: 2, lag: null });
  t.deepEqual(document("/primary").troubles, ["backup.lost"]);
  server.bus.publish(subjects.control(service, "alpha", "pause"), bytesOf({}));
  await server.run(300);
  t.deepEqual(statuses(), [200, 200, 200, 503, 503]);
  server.bus.isConnected = false;
  server.life.onBus(false);
  await server.run(300);
  t.deepEqual(statuses(), [200, 200, 503, 503, 503]);
});

test("a backup says how far it is behind, as its primary said last", (t) => {
  const status = statusOf({ name: "alpha", role: "backup", state: "following.warm", application: "warm" });
  let lag: number | null = 7;
  const { ask, document } = answersOf(() => ({ status, beatAgeMs: 0, takesRequests: false, isConnected: true, lag }));
  t.is(ask("/backup").status, 200);
  t.is(ask("/backup", "lag=7").status, 200);
  t.is(ask("/backup", "lag=6").status, 503);
  t.regex(ask("/backup", "lag=6").body, /"why":"it is 7 records behind"/);
  t.is(document("/backup").lag, 7);
  lag = null;
  t.is(ask("/backup", "lag=1000").status, 503, "not known is no yes");
  t.is(ask("/backup").status, 200);
});

test("what cannot be understood is never a yes", (t) => {
  const status = statusOf({ name: "alpha", role: "backup", state: "following.warm", application: "warm" });
  const { ask } = answersOf(() => ({ status, beatAgeMs: 0, takesRequests: false, isConnected: true, lag: 0 }));
  for (const query of ["lag", "lag=", "lag=-1", "lag=1e3", "lag=1MB", "lag=1&lag=2", "lga=1", "lag=9999999999999999"])
    t.is(ask("/backup", query).status, 400, query);
  for (const path of ["", "/", "/Primary", "/primary/", "/livez/x", "/__proto__", "/constructor", "*"])
    t.is(ask(path).status, 404, path);
  t.is(
    ask("/readyz", "anything=1").status,
    200,
    "others take no parameter, and a probe may have one to get past caches",
  );
});

test("metrics are read when they are asked for, once for all who ask within a moment; one that fails is tried again", async (t) => {
  let [nowMs, times] = [1_000, 0];
  const text = async () => {
    times += 1;
    if (times === 3) throw new Error("no metrics");
    return `twinlog_times ${times}\n`;
  };
  const metrics = { contentType: "text/plain; version=0.0.4", text };
  const facts = () => null;
  const answers = new HttpAnswers({ service, server: "alpha", version: "1.2.3", facts, metrics, nowMs: () => nowMs });
  const ask = async () => (await answers.answer({ path: "/metrics", query: "" })).body;
  t.deepEqual(await answers.answer({ path: "/metrics", query: "x=1" }), {
    status: 200,
    type: "text/plain; version=0.0.4",
    body: "twinlog_times 1\n",
  });
  t.deepEqual(await Promise.all([ask(), ask()]), ["twinlog_times 1\n", "twinlog_times 1\n"]);
  nowMs += scrapeMs;
  t.is(await ask(), "twinlog_times 2\n");
  nowMs += scrapeMs;
  await t.throwsAsync(ask(), { message: "no metrics" });
  nowMs += scrapeMs;
  t.is(await ask(), "twinlog_times 4\n");
});
