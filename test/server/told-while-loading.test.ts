/** What a server is told of deaths while it still reads its disk counts as well (rule 17). */
import test from "ava";
import { z } from "zod";
import { defineApplication } from "../../actors/application/define.ts";
import type { LastWords } from "../../schemas/death.ts";
import { inside } from "../helpers/inside.ts";
import { OneServer } from "../helpers/one-server.ts";

const nothing = defineApplication({
  name: "nothing",
  request: z.strictObject({}),
  result: z.strictObject({}),
  key: () => "k",
  handle: (_body, { transaction }) => transaction("nothing", () => ({})),
});
const words = {
  server: "beta",
  life: "process of beta",
  code: "handler",
  client: "c",
  id: "1",
  bodyHash: 0,
  isRecorded: false,
  busyMs: 5_000,
} as const satisfies LastWords;

test("last words that are heard while the disk is read are counted", async (t) => {
  const lastWords = new Map<string, LastWords>();
  const server = new OneServer({ application: nothing, lastWords });
  t.throws(() => server.life, { message: /was not read yet/ });
  lastWords.set(words.life, words);
  await server.run(1_000);
  t.deepEqual(inside(server.life.replica).core.deaths.facts, [words.life]);
});
