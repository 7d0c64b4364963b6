/** What a server tells of its application on `<service>.schema`: to whom, how often, and what it does where that is too large. */
import test from "ava";
import { z } from "zod";
import { defineApplication } from "../../actors/application/define.ts";
import { maxSchemaAnswers } from "../../actors/operator/schema-answers.ts";
import { AnnouncedSchema, maxSchemaBytes } from "../../schemas/announced.ts";
import { subjects } from "../../schemas/subjects.ts";
import { bytesOf } from "../helpers/hand-world.ts";
import { OneServer, service } from "../helpers/one-server.ts";

function counting(words = "") {
  return defineApplication({
    name: "counting",
    request: z.strictObject({ add: z.int().describe(words) }),
    result: z.strictObject({ value: z.int() }),
    key: () => "k",
    handle: ({ add }, { transaction }) => transaction("add", () => ({ value: add })),
    queries: { value: { body: z.strictObject({ at: z.int() }), answer: () => ({ value: 0 }) } },
  });
}

let asked = 0;
async function ask(server: OneServer, times = 1): Promise<AnnouncedSchema[]> {
  asked += 1;
  const inbox = `_INBOX.client.alice.${asked}`;
  for (let time = 0; time < times; time += 1)
    server.bus.publish(subjects.schema(service), bytesOf({}), undefined, inbox);
  await server.run(10);
  return server.published(inbox).map((text) => AnnouncedSchema.parse(JSON.parse(text)));
}

test("the primary tells what requests, results and queries look like, and that it is the one", async (t) => {
  const server = new OneServer({ application: counting() });
  await server.run(10);
  t.like((await ask(server))[0], { server: "alpha", hot: false }, "not yet");
  await server.run(2_000);
  const [told] = await ask(server);
  t.like(told, { service, server: "alpha", application: "counting", hot: true });
  t.regex(told?.digest ?? "", /^[0-9a-f]{16}$/);
  t.like(told?.schemas?.request, { type: "object", required: ["add"], additionalProperties: false });
  t.like(told?.schemas?.result, { type: "object", required: ["value"] });
  t.like(told?.schemas?.queries.value, { type: "object", required: ["at"] });
});

test("whoever asks too often is not answered until the next tick, and that is told once", async (t) => {
  const server = new OneServer({ application: counting() });
  await server.run(2_000);
  t.is((await ask(server, 10 * maxSchemaAnswers)).length, maxSchemaAnswers);
  await server.run(200);
  t.is((await ask(server)).length, 1);
  t.is((await ask(server, 10 * maxSchemaAnswers)).length < 10 * maxSchemaAnswers, true);
  t.is(server.warnings.filter((line) => line.includes("asked for too often")).length, 1);
});

test("schemas that are too large, for anybody or for this broker, are told to be left out", async (t) => {
  const large = new OneServer({ application: counting("x".repeat(maxSchemaBytes)) });
  await large.run(2_000);
  const [told] = await ask(large);
  t.like(told, { hot: true, application: "counting" });
  t.is(told?.schemas, undefined);
  t.regex(told?.omitted ?? "", new RegExp(`at most ${maxSchemaBytes} are told`));
  await ask(large);
  t.is(large.warnings.filter((line) => line.includes("leave the check of bodies")).length, 1);

  const small = new OneServer({ application: counting() });
  await small.run(2_000);
  small.bus.limits = { ...small.bus.limits, payloadBytes: 400 };
  t.regex((await ask(small))[0]?.omitted ?? "", /at most \d{3} are told/);
});
