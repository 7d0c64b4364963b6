/**
 * What is promised to those who have no library of ours: requests with a reply subject, results by subscription, and what was missed
 * by asking for a replay (rule 13). One pair for all; plain NATS throughout.
 */
import test from "ava";
import { headers as natsHeaders } from "nats";
import { headers } from "../../schemas/envelope.ts";
import { type ReplayEnd, replayHeaders } from "../../schemas/replay.ts";
import { subjects } from "../../schemas/subjects.ts";
import { buy } from "../helpers/orders.ts";
import { type Pair, sharedPair } from "../helpers/pair/pair.ts";
import { until } from "../helpers/until.ts";

const shared = sharedPair(test, { service: "plain" });

/** All results from a number on, as an integrator without a library gets them: ask, read up to the end mark, ask for the rest. */
async function replay(pair: Pair, from: number): Promise<{ numbers: number[]; texts: string[]; end: ReplayEnd }> {
  const numbers: number[] = [];
  const texts: string[] = [];
  let end: ReplayEnd | undefined;
  const inbox = `replays.${from}`;
  const subscription = pair.raw.subscribe(inbox, {
    callback: (_error, message) => {
      if (message.headers?.has(replayHeaders.end)) end = message.json<ReplayEnd>();
      else {
        numbers.push(Number(message.headers?.get(headers.result)));
        texts.push(message.string());
      }
    },
  });
  pair.raw.publish(subjects.replay(pair.service), JSON.stringify({ from }), { reply: inbox });
  const found = await until(() => end, { withinMs: 20_000, waitedFor: "the end of the replay" });
  subscription.unsubscribe();
  return { numbers, texts, end: found };
}

test.serial(
  "a request is published with a reply subject, and its result with headers that a stream can keep apart",
  async (t) => {
    const pair = shared.current;
    const results: { text: string; subject: string; id: string; number: string }[] = [];
    const subscription = pair.raw.subscribe(subjects.results(pair.service), {
      callback: (_error, message) =>
        results.push({
          text: message.string(),
          subject: message.subject,
          id: message.headers?.get(headers.messageId) ?? "",
          number: message.headers?.get(headers.result) ?? "",
        }),
    });
    const extra = natsHeaders();
    extra.set("Trace", "kept by the broker, of no interest to the service");
    const body = buy(1, "PLAIN");
    const reply = await pair.raw.request(
      subjects.request(pair.service, "PLAIN", "alice"),
      JSON.stringify({ client: "alice", id: "1", body }),
      { timeout: 5_000, headers: extra },
    );
    t.like(reply.json(), { client: "alice", id: "1", ok: true, result: { status: "resting" } });
    await until(() => results.length > 0, { withinMs: 20_000, waitedFor: "the result" });
    subscription.unsubscribe();
    const { history } = await pair.newStatus("alpha");
    t.deepEqual(results, [
      { text: reply.string(), subject: "plain.result.PLAIN.alice", id: `${history}-1`, number: "1" },
    ]);
  },
);

test.serial("a client may send its next request without waiting, and say after which one it is to run", async (t) => {
  const pair = shared.current;
  const pending = Array.from({ length: 50 }, (_, n) =>
    pair.ask(buy(n, "ORDER"), { client: "bob", id: String(n), ...(n === 0 ? {} : { after: String(n - 1) }) }),
  );
  const sequences = (await Promise.all(pending)).map(({ reply }) => reply.sequence ?? 0);
  t.deepEqual(
    sequences,
    sequences.toSorted((one, other) => one - other),
  );
  const lost = await pair.ask(buy(99, "ORDER"), { client: "bob", id: "99", after: "98" });
  t.like(lost.reply.error, { code: "OUT_OF_ORDER", executed: false });
});

test.serial("what is sent to a subject of somebody else is refused, and so is what is no JSON", async (t) => {
  const pair = shared.current;
  const { sequence } = await pair.newStatus("alpha");
  const send = async (client: string, text: string) =>
    (await pair.raw.request(subjects.request(pair.service, "PLAIN", client), text, { timeout: 5_000 })).json();
  const request = JSON.stringify({ client: "alice", id: "9", body: buy(9, "PLAIN") });
  for (const reply of [
    await send("mallory", request),
    await send("alice", request.slice(0, -1)),
    await send("alice", ""),
  ])
    t.like(reply, { ok: false, error: { code: "INVALID_REQUEST", executed: false } });
  t.is((await pair.newStatus("alpha")).sequence, sequence);
});

test.serial("a query goes by any key, also none, and says of which moment its answer is", async (t) => {
  const pair = shared.current;
  const { sequence } = await pair.newStatus("alpha");
  for (const key of ["", "PLAIN", "another"]) {
    const query = { client: "alice", id: "q1", body: { query: "book", symbol: "PLAIN" } };
    const reply = await pair.raw.request(subjects.query(pair.service, key, "alice"), JSON.stringify(query), {
      timeout: 5_000,
    });
    t.like(reply.json(), { client: "alice", id: "q1", ok: true, result: { symbol: "PLAIN" }, sequence });
  }
});

test.serial("the end of a replay says where it stands, also of a history that nobody knows", async (t) => {
  const pair = shared.current;
  const { end, numbers } = await replay(pair, 3);
  const { history } = await pair.newStatus("alpha");
  const last = 2 + numbers.length;
  t.deepEqual(end, { history, current: history, next: last + 1, oldest: 1, last });
  const other = await pair.raw.request(subjects.replay(pair.service), '{"from":1,"history":"none"}', {
    timeout: 5_000,
  });
  t.is(other.headers?.get(replayHeaders.end), "1");
  t.like(other.json(), { current: history, error: { code: "UNKNOWN_HISTORY" } });
});

test.serial(
  "what an integrator missed it gets by a replay, the same from either server, with nothing missing and nothing twice",
  async (t) => {
    const pair = shared.current;
    const ask = (n: number) => pair.askUntilAnswered(buy(n, "REPLAY"), { client: "carol", id: String(n) });
    for (let n = 1; n <= 30; n += 1) await ask(n);
    const before = await replay(pair, 1);
    t.deepEqual(
      before.numbers,
      before.numbers.map((_, at) => at + 1),
    );
    await pair.server("alpha").kill();
    for (let n = 31; n <= 40; n += 1) await ask(n);
    const after = await replay(pair, 1);
    t.is(after.end.history, before.end.history);
    t.is(after.numbers.length, before.numbers.length + 10);
    t.deepEqual(after.texts.slice(0, before.texts.length), before.texts);
    t.deepEqual(
      after.numbers,
      after.numbers.map((_, at) => at + 1),
    );
    const part = await replay(pair, 35);
    t.deepEqual(part.texts, after.texts.slice(34));
  },
);
