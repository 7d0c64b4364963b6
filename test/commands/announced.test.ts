/**
 * `twinlog request` and `query` hold a body to what the service itself announces, and leave that to the service where it announces nothing.
 */
import test from "ava";
import { z } from "zod";
import { announcedSchemas } from "../../actors/application/announced.ts";
import { defineApplication } from "../../actors/application/define.ts";
import type { AnnouncedSchema } from "../../schemas/announced.ts";
import { subjects } from "../../schemas/subjects.ts";
import { bytesOf } from "../helpers/hand-world.ts";
import { makeRig } from "./rig.ts";

/** No application that the program brings along: the service alone knows it. */
const own = defineApplication({
  name: "own",
  request: z.discriminatedUnion("kind", [
    z.strictObject({ kind: z.literal("add"), add: z.int() }),
    z.strictObject({ kind: z.literal("drop") }),
  ]),
  result: z.unknown(),
  key: () => "k",
  handle: (_body, { transaction }) => transaction("nothing", () => null),
  queries: { value: { body: z.strictObject({ of: z.string() }), answer: () => 0 } },
});
const service = "exchange";
const whole: AnnouncedSchema = {
  service,
  server: "alpha",
  application: "own",
  digest: "0123456789abcdef",
  hot: true,
  schemas: announcedSchemas(own),
};

function rigOf(...told: unknown[]) {
  const rig = makeRig();
  rig.server.start();
  const { bus } = rig;
  bus.subscribe(subjects.schema(service), ({ reply }) => {
    for (const one of told) bus.publish(reply, bytesOf(one));
  });
  /** Whether anything was, and not how often: on a loaded machine a client sends again. */
  const isSent = (kind: string) => bus.published.some(({ subject }) => subject.startsWith(`${service}.${kind}.`));
  return { ...rig, isSent };
}

test("a body that does not fit what the service announces is one line, and nothing is sent", async (t) => {
  const { run, isSent } = rigOf(whole);
  for (const [command, body, says] of [
    ["request", '{"kind":"add","add":"1"}', "add: Invalid input: expected number, received string"],
    ["request", '{"kind":"add"}', "add: "],
    ["request", '{"kind":"wrong","add":1}', 'kind: Invalid input: expected "add" | "drop"'],
    ["request", '{"kind":"drop","add":1}', 'Unrecognized key: "add"'],
    ["request", "[]", "Invalid input: expected object"],
    ["query", "{}", "a query's body names the query"],
    ["query", '{"query":"toString"}', "there is no such query; there are: value"],
    ["query", '{"query":"value","of":1}', "of: Invalid input: expected string"],
  ] as const) {
    const ran = await run([command, body]);
    t.is(ran.status, 1, body);
    t.true(ran.err.startsWith(`twinlog: INVALID_REQUEST: ${says}`), `${body}: ${ran.err}`);
    t.true(ran.err.endsWith(" (by the schema that exchange announces: nothing was sent)\n"), ran.err);
  }
  t.false(isSent("request") || isSent("query"));
  const told = [await run(["request", '{"kind":"add","add":1}']), await run(["query", '{"query":"value","of":"a"}'])];
  t.deepEqual(
    told.map(({ status, err }) => [status, err]),
    [
      [0, ""],
      [0, ""],
    ],
  );
  t.true(isSent("request") && isSent("query"));
});

test("the primary's word counts, before that of a server with another program", async (t) => {
  const other = { ...whole, server: "beta", hot: false, schemas: { ...whole.schemas, request: false } };
  t.is((await rigOf(other, whole).run(["request", '{"kind":"drop"}'])).status, 0);
  const alone = await rigOf(other).run(["request", '{"kind":"drop"}']);
  t.is(alone.status, 1, "nobody else says anything");
});

test("--no-check sends what it is given", async (t) => {
  const { run, isSent } = rigOf(whole);
  const ran = await run(["request", "--no-check", '{"kind":"wrong"}']);
  t.deepEqual([ran.status, ran.err, isSent("request")], [0, "", true]);
});

test("where the service announces nothing that is understood, the command says that the service alone checks the body", async (t) => {
  const without = { ...whole, schemas: undefined };
  const strange = { ...whole.schemas, queries: { none: { if: {} } } };
  for (const [told, says] of [
    [[], /within 2000 ms/],
    [[{ ...without, omitted: "the schemas take 9 bytes" }], /server alpha: the schemas take 9 bytes/],
    [[{ ...whole, schemas: strange }], /is not understood here \(.*if\/then\/else.*\)/],
    [["no schema"], /what came from exchange\.schema is no schema/],
    [[{ ...whole, service: "other" }], /what came from exchange\.schema is no schema/],
  ] as const) {
    const { run } = rigOf(...told);
    const ran = await run(["query", '{"query":"none"}']);
    t.is(ran.status, 0);
    t.regex(ran.err, /^twinlog: the body was checked by the service alone: [^\n]+\n$/);
    t.regex(ran.err, says);
  }
});
