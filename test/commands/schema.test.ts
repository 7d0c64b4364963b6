/**
 * `twinlog schema`: what the service announces, and the AsyncAPI document of it, held to AsyncAPI's own schema, and to messages as servers
 * and clients really send them.
 */
import specs from "@asyncapi/specs";
import { Ajv, type ValidateFunction } from "ajv";
import test from "ava";
import { z } from "zod";
import { announcedSchemas } from "../../actors/application/announced.ts";
import { type Application, defineApplication } from "../../actors/application/define.ts";
import { exchange } from "../../actors/applications/exchange/exchange.ts";
import { ledger } from "../../actors/applications/ledger/ledger.ts";
import { asyncApi } from "../../deploy/asyncapi.ts";
import type { AnnouncedSchema } from "../../schemas/announced.ts";
import { subjects } from "../../schemas/subjects.ts";
import { bytesOf } from "../helpers/hand-world.ts";
import { makeRig } from "./rig.ts";

const ajv = new Ajv({ strict: false, validateFormats: false });
/** It brings along the schema of schemas itself. */
const isAsyncApi = new Ajv({ strict: false, validateFormats: false, meta: false, validateSchema: false }).compile(
  specs.schemas["3.0.0"] as object,
);

const Tree = z.strictObject({
  value: z.int(),
  get children() {
    return z.array(Tree);
  },
});
/** What refers to itself, and has names that JSON Schema has another meaning for. */
const odd = defineApplication({
  name: "odd",
  request: Tree,
  result: z.object({ trees: z.array(Tree), default: z.array(Tree), enum: z.array(z.string()) }),
  key: () => "k",
  handle: (_body, { transaction }) => transaction("nothing", () => ({ trees: [], default: [], enum: [] })),
  queries: {
    "with spaces": { body: z.strictObject({ tree: Tree }), answer: () => 0 },
    either: { body: z.union([z.strictObject({ a: z.int() }), z.strictObject({ b: z.int() })]), answer: () => 0 },
  },
});
const silent = defineApplication({
  name: "silent",
  request: z.unknown(),
  result: z.null(),
  key: () => "k",
  handle: (_body, { transaction }) => transaction("nothing", () => null),
});

function documentOf(application: Application, service = "s") {
  const { name } = application;
  return asyncApi({
    service,
    application: name,
    digest: "0",
    schemas: announcedSchemas(application),
    hosts: ["h:4222"],
  });
}

/** What holds a value to a component of the document. */
function held(document: object, component: string): ValidateFunction {
  const id = `document-${Math.random()}`;
  ajv.addSchema({ ...document, $id: id });
  return ajv.compile({ $ref: `${id}#/components/schemas/${component}` });
}

function referencesIn(part: unknown): string[] {
  if (typeof part !== "object" || part === null) return [];
  return Object.entries(part).flatMap(([field, value]) =>
    field === "$ref" && typeof value === "string" ? [value] : referencesIn(value),
  );
}

function isThere(document: unknown, reference: string): boolean {
  const path = reference
    .split("/")
    .slice(1)
    .map((word) => decodeURIComponent(word).replaceAll("~1", "/").replaceAll("~0", "~"));
  return (
    path.reduce<unknown>((part, word) => (part as Record<string, unknown> | undefined)?.[word], document) !== undefined
  );
}

test("the document of each application is one of AsyncAPI 3, and all that it refers to is in it", (t) => {
  for (const application of [exchange, ledger, odd, silent]) {
    const document = JSON.parse(JSON.stringify(documentOf(application))) as object;
    t.true(isAsyncApi(document), JSON.stringify(isAsyncApi.errors?.slice(0, 3)));
    const references = referencesIn(document);
    t.true(references.length > 20);
    for (const reference of references) t.true(isThere(document, reference), reference);
  }
});

test("its messages are those that clients and servers send", (t) => {
  const document = documentOf(exchange);
  const body = { type: "limit", symbol: "BTCUSD", order: "o1", side: "buy", price: 1, quantity: 1 };
  const result = { status: "resting", order: "o1", remaining: 1, fills: [] };
  const names = { client: "alice", id: "1" };
  const refusal = { code: "BUSY", message: "later", executed: false };
  for (const [component, fits, doesNot] of [
    ["Request", { ...names, body }, { ...names, body: { ...body, side: "hold" } }],
    ["Request", { ...names, body, issuedAt: 0, after: "0" }, { ...names, body, more: 1 }],
    [
      "Reply",
      { ...names, ok: true, result, sequence: 1, epoch: 1 },
      { ...names, ok: true, result: 1, sequence: 1, epoch: 1 },
    ],
    ["Reply", { ...names, ok: false, error: refusal }, { ...names, ok: false, error: { ...refusal, code: "NO" } }],
    ["Query", { ...names, body: { query: "book", symbol: "B" } }, { ...names, body: { query: "other", symbol: "B" } }],
    [
      "QueryReply",
      { ...names, ok: true, result: { symbol: "B", bids: [[1, 2, 1]], asks: [], sequence: 1 }, sequence: 1, epoch: 1 },
      { ...names, ok: true, result: { symbol: "B", bids: [[1, 2]], asks: [], sequence: 1 }, sequence: 1, epoch: 1 },
    ],
    ["ReplayRequest", { from: 1 }, { from: 0 }],
  ] as const) {
    const holds = held(document, component);
    t.true(holds(fits), `${component}: ${JSON.stringify(holds.errors)}`);
    t.false(holds(doesNot), component);
  }
  const tree = held(documentOf(odd), "RequestBody");
  t.true(tree({ value: 1, children: [{ value: 2, children: [] }] }));
  t.false(tree({ value: 1, children: [{ value: 2, children: [3] }] }));
  t.true(held(documentOf(odd), "QueryReply")({ ...names, ok: true, result: [7], sequence: 1, epoch: 1 }));
  t.true(held(documentOf(odd), "Query-either")({ query: "either", a: 1 }));
});

test("subjects have places for the key and the client, and answers go where they are asked for", (t) => {
  const { channels } = documentOf(exchange, "KEY") as { channels: Record<string, { address: string | null }> };
  const addresses = Object.fromEntries(Object.entries(channels).map(([name, { address }]) => [name, address]));
  t.deepEqual(addresses, {
    request: "KEY.request.{key}.{client}",
    query: "KEY.query.{key}.{client}",
    result: "KEY.result.{key}.{client}",
    replay: "KEY.replay",
    ready: "KEY.signal",
    schema: "KEY.schema",
    reply: null,
    replayed: null,
    announced: null,
  });
});

test("the command prints what the service announces, and ends with 1 where it announces nothing", async (t) => {
  const service = "exchange";
  const { bus, run } = makeRig();
  const nobody = await run(["schema"]);
  t.deepEqual([nobody.status, nobody.out], [1, ""]);
  t.regex(nobody.err, /^twinlog: no server of exchange announces its schema[^\n]*\n$/);
  const told: AnnouncedSchema = {
    service,
    server: "alpha",
    application: "exchange",
    digest: "0123456789abcdef",
    hot: true,
    schemas: announcedSchemas(exchange),
  };
  bus.subscribe(subjects.schema(service), ({ reply }) => void bus.publish(reply, bytesOf(told)));
  t.deepEqual(JSON.parse((await run(["schema"])).out), JSON.parse(JSON.stringify(told)));
  t.regex((await run(["schema", "--format", "types"])).out, /^export type RequestBody =$/m);
  const words = ["schema", "--format", "asyncapi", "--nats", "nats://name:secret@127.0.0.1:4222"];
  const { status, out } = await run(words);
  t.is(status, 0);
  t.false(out.includes("secret"));
  const document = JSON.parse(out) as object;
  t.true(isAsyncApi(document));
  const traced = { headers: { properties: { traceparent: { type: "string" } } } };
  t.like(document, { components: { messages: { request: traced, result: traced } } });
  t.like(document, { servers: { nats: { host: "127.0.0.1:4222", protocol: "nats" } } });
  t.is((await run(["schema", "--format", "yaml"])).status, 1);
});
