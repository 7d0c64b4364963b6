/**
 * `twinlog schema --format types`: what a service announces as types, held to the compiler; and what a service says that means harm.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import test, { type ExecutionContext } from "ava";
import { transform } from "esbuild";
import { z } from "zod";
import { announcedSchemas } from "../../actors/application/announced.ts";
import { type Application, defineApplication } from "../../actors/application/define.ts";
import { exchange } from "../../actors/applications/exchange/exchange.ts";
import { runCommand } from "../../deploy/nats/command.ts";
import { schemaTypes } from "../../deploy/schema-types.ts";
import type { ApplicationSchemas, JsonSchema } from "../../schemas/announced.ts";
import { temporaryDirectory } from "../helpers/temporary-directory.ts";

const compiler = fileURLToPath(new URL("../../../node_modules/typescript/bin/tsc", import.meta.url));
const withinMs = 60_000 * Number(process.env.TWINLOG_PATIENCE ?? 1);
const about = { service: "s", application: "a", digest: "0" };
const typesOf = (application: Application) => schemaTypes({ ...about, schemas: announcedSchemas(application) });

/** What the compiler says of the types, and of a program that uses them; empty: nothing. */
async function complaints(t: ExecutionContext, types: string, program: string): Promise<string> {
  const folder = await temporaryDirectory(t);
  writeFileSync(join(folder, "service.ts"), types);
  writeFileSync(join(folder, "program.ts"), program);
  const flags = ["--strict", "--exactOptionalPropertyTypes", "--noEmit", "--module", "nodenext", "--target", "es2023"];
  const { stdout } = await runCommand(
    process.execPath,
    [compiler, ...flags, "--types", "", "service.ts", "program.ts"],
    {
      cwd: folder,
      timeoutMs: withinMs,
    },
  );
  return stdout;
}

test("a program that keeps to a foreign service's types is compiled, and one that does not is told", async (t) => {
  const program = `
import type { AnswerBook, QueryBody, RequestBody, Result } from "./service.js";
export const best = ({ bids: [first] }: AnswerBook): number => first?.[0] ?? 0;
export const limit: RequestBody =
  { type: "limit", symbol: "BTCUSD", order: "o1", side: "buy", price: 1, quantity: 2 };
export const query: QueryBody = { query: "book", symbol: "BTCUSD" };
export const traded = ({ fills, reason }: Result): number =>
  reason === "order-exists" ? 0 : fills.reduce((sum, { quantity }) => sum + quantity, 0);
// @ts-expect-error a side is one of two
export const side: RequestBody = { type: "market", symbol: "BTCUSD", order: "o1", side: "both", quantity: 2 };
// @ts-expect-error a price is wanted
export const price: RequestBody = { type: "limit", symbol: "BTCUSD", order: "o1", side: "buy", quantity: 2 };
// @ts-expect-error there is no such query
export const none: QueryBody = { query: "books", symbol: "BTCUSD" };
`;
  t.is(await complaints(t, await typesOf(exchange), program), "");
});

test("what refers to itself, odd names, and nothing at all have types too", async (t) => {
  const Tree = z.strictObject({
    value: z.int(),
    get children() {
      return z.array(Tree);
    },
  });
  const odd = defineApplication({
    name: "odd",
    request: Tree,
    result: z.object({ default: z.array(Tree), "with spaces": z.tuple([z.string(), z.int()]) }),
    key: () => "k",
    handle: (_body, { transaction }) =>
      transaction("nothing", () => ({ default: [], "with spaces": ["", 0] as [string, number] })),
    queries: { "with spaces": { body: z.strictObject({ tree: Tree }), answer: () => 0 } },
  });
  const program = `
import type { QueryBody, RequestBody, Result } from "./service.js";
export const tree: RequestBody = { value: 1, children: [{ value: 2, children: [] }] };
export const query: QueryBody = { query: "with spaces", tree };
export const name = (result: Result): string => result["with spaces"][0];
// @ts-expect-error children have values
export const bad: RequestBody = { value: 1, children: [{ children: [] }] };
`;
  t.is(await complaints(t, await typesOf(odd), program), "");
  const silent = defineApplication({
    name: "silent",
    request: z.unknown(),
    result: z.null(),
    key: () => "k",
    handle: (_body, { transaction }) => transaction("nothing", () => null),
  });
  const unsaid = `
import type { QueryBody, RequestBody, Result } from "./service.js";
export const bodies: RequestBody[] = [1, "a", null];
export const result: Result = null;
export const never = (query: QueryBody): unknown => query;
`;
  t.is(await complaints(t, await typesOf(silent), unsaid), "");
});

test("whatever a service says becomes types and comments, and nothing that it names is read", async (t) => {
  const secret = join(await temporaryDirectory(t), "secret.json");
  writeFileSync(secret, JSON.stringify({ type: "object", properties: { s3cret: { type: "string" } } }));
  const evil = '*/ globalThis.taken = 1; /* `${globalThis.taken = 1}` "; globalThis.taken = 1; //\n';
  const request = {
    type: "object",
    title: evil,
    description: evil,
    tsType: "unknown; globalThis.taken = 1",
    properties: {
      [evil]: { type: "string", description: evil },
      of: { enum: [evil, "b"], tsEnumNames: [evil, "b"] },
      is: { const: evil },
      file: { $ref: `file://${secret}` },
      path: { $ref: secret },
      again: { $ref: "#/definitions/mine" },
    },
    definitions: { mine: { type: "string", tsType: "globalThis.taken" } },
  } as JsonSchema;
  const schemas: ApplicationSchemas = { request, result: request, queries: { [evil]: request, "": true } };
  const types = await schemaTypes({ service: evil, application: evil, digest: evil, schemas });
  t.notRegex(types, /s3cret/);
  t.true(readFileSync(secret, "utf8").includes("s3cret"));
  t.is(await complaints(t, types, 'export type * from "./service.js";'), "");
  const { code } = await transform(types, { loader: "ts", minify: true });
  t.is(code.trim(), "", "nothing of it runs");
});
