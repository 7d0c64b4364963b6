/**
 * Application code that does not return (situation 64): the process is ended from outside the blocked thread, the other server goes
 * on, and what it died of is not tried without end. And what application code leaves behind: rejections, exceptions, errors.
 */
import { fileURLToPath } from "node:url";
import test, { type ExecutionContext } from "ava";
import { QueryEnvelope } from "../../schemas/envelope.ts";
import { subjects } from "../../schemas/subjects.ts";
import { type Pair, startPair } from "../helpers/pair/pair.ts";
import { until } from "../helpers/until.ts";

const application = fileURLToPath(new URL("./blocking-application.js", import.meta.url));
const withinMs = 60_000;

const start = (t: ExecutionContext): Promise<Pair> =>
  startPair(t, { application, restartMs: 100, limits: { maxBlockedMs: 300 } });
const deaths = (pair: Pair) =>
  [...pair.servers.values()].flatMap(({ ends }) => ends).filter(({ signal }) => signal === "SIGKILL").length;
const linesOf = (pair: Pair) => [...pair.servers.values()].flatMap(({ lines }) => lines);
const ask = (pair: Pair, id: string, wish?: string) =>
  pair.askUntilAnswered(
    { add: 1, ...(wish === undefined ? {} : { wish }) },
    { client: "anna", id, key: "counter" },
    withinMs,
  );

/** A query, again and again, until an answer comes. */
async function query(pair: Pair, body: object): Promise<Record<string, unknown>> {
  const message = Buffer.from(JSON.stringify(QueryEnvelope.parse({ client: "anna", id: "q", body })));
  return await until(
    async () => {
      const answered = await pair.raw
        .request(subjects.query(pair.service, "counter", "anna"), message, { timeout: 500 })
        .catch(() => undefined);
      const answer = answered?.json<Record<string, { code?: string }>>();
      return answer?.error?.code === "NOT_HOT" ? undefined : answer;
    },
    { withinMs, waitedFor: "an answer" },
  );
}

test.serial(
  "a handler that never returns costs two servers' lives and is POISONED; what comes after it is done",
  async (t) => {
    const pair = await start(t);
    t.true((await ask(pair, "1")).reply.ok);
    const { reply } = await ask(pair, "2", "handler");
    t.is(reply.error?.code, "POISONED");
    t.is(deaths(pair), 2);
    t.deepEqual((await ask(pair, "3")).reply.result, { total: 2 });
    t.true(
      linesOf(pair).some(
        (line) => line.includes('the handler of request \\"2\\" of client \\"anna\\"') && line.includes("forever "),
      ),
      "says of what, and where",
    );
  },
);

test.serial("a handler that never returns after an await is POISONED too", async (t) => {
  const pair = await start(t);
  const { reply } = await ask(pair, "1", "afterAwait");
  t.is(reply.error?.code, "POISONED");
  t.is(deaths(pair), 2);
  t.deepEqual((await ask(pair, "2")).reply.result, { total: 1 });
});

test.serial("a body whose check never returns costs one life, and is refused from then on", async (t) => {
  const pair = await start(t);
  const { reply } = await ask(pair, "1", "body");
  t.is(reply.error?.code, "INVALID_REQUEST");
  t.false(reply.error?.executed);
  t.is(deaths(pair), 1);
  t.deepEqual((await ask(pair, "2")).reply.result, { total: 1 });
});

test.serial(
  "a query that never returns costs one life, and is refused from then on; others are answered",
  async (t) => {
    const pair = await start(t);
    t.true((await ask(pair, "1")).reply.ok);
    const refused = await query(pair, { query: "forever", of: "x" });
    t.like(refused, { ok: false, error: { code: "INVALID_REQUEST" } });
    t.is(deaths(pair), 1);
    t.like(await query(pair, { query: "total" }), { ok: true, result: { total: 1 } });
  },
);

test.serial(
  "a floating rejection is logged with its stack, counted and shown, and survived; a handler's error is logged",
  async (t) => {
    const pair = await start(t);
    const { primary } = await pair.normal();
    const { pid } = pair.server(primary);
    t.true((await ask(pair, "1", "float")).reply.ok);
    t.true((await ask(pair, "2", "float")).reply.ok);
    const shown = await pair.waitFor(primary, ({ troubles }) =>
      troubles.some(({ code, message }) => code === "application.rejection" && message.startsWith("2 ")),
    );
    t.is(shown.pid, pid ?? 0);
    t.is((await ask(pair, "3", "throw")).reply.error?.code, "APPLICATION_ERROR");
    const { lines } = pair.server(primary);
    await until(() => lines.some((line) => line.includes("a handler failed: as it was told")), {
      withinMs,
      waitedFor: "the handler's error",
    });
    const told = JSON.parse(lines.find((line) => line.includes("a handler failed")) ?? "{}") as Record<string, string>;
    t.like(told, { client: "anna", id: "3" });
    t.regex(told.stack ?? "", /as it was told[\s\S]*blocking-application/);
    t.true(lines.some((line) => line.includes("nobody waits for this") && line.includes("blocking-application")));
    t.deepEqual((await ask(pair, "4")).reply.result, { total: 3 });
  },
);

test.serial("an exception that nobody catches ends the process at once, and costs a takeover", async (t) => {
  const pair = await start(t);
  const { primary } = await pair.normal();
  await ask(pair, "1", "uncaught");
  const ended = await until(() => pair.server(primary).ends[0], { withinMs, waitedFor: "its end" });
  t.is(ended.code, 1);
  const { lines } = pair.server(primary);
  t.true(lines.some((line) => line.includes("an exception that nobody caught ends this process: nobody catches this")));
  t.true((await ask(pair, "2")).reply.ok);
});
