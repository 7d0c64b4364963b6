/**
 * A request that is sent again to a program of other defaults (rule 12): what is on record is the body as the program of then made it,
 * and it is compared as it is made now, and as it was sent. Where both differ it is refused, and not done twice.
 */
import test from "ava";
import { z } from "zod";
import { type Application, defineApplication } from "../../actors/application/define.ts";
import { subjects } from "../../schemas/subjects.ts";
import { OneServer, service } from "../helpers/one-server.ts";

const settings = { limits: { cautionMs: 0 } };

/** The same program, whose requests have these fields besides. */
const taking = (fields: Readonly<Record<string, z.ZodType>>): Application =>
  defineApplication({
    name: "adder",
    request: z.strictObject({ add: z.int(), ...fields }),
    result: z.object({ value: z.int() }),
    key: () => "k",
    tables: { sums: z.object({ value: z.int() }) },
    handle: ({ add }, { transaction }) =>
      transaction("add", (tx) => {
        const value = (tx.get("sums", "all")?.value ?? 0) + (add as number);
        tx.put("sums", "all", { value });
        return { value };
      }),
  }) as unknown as Application;

async function ask(server: OneServer, body: object): Promise<string> {
  const bytes = Buffer.from(JSON.stringify({ client: "c", id: "1", body }));
  server.bus.publish(subjects.request(service, "k", "c"), bytes, undefined, "inbox.c");
  await server.run(50);
  return server.published("inbox.c").at(-1) ?? "nothing";
}

/** What each of these bodies is answered when one program was sent the first, and the next one the others. */
async function answersOf(before: Application, first: object, after: Application, others: readonly object[]) {
  const one = new OneServer({ application: before, settings });
  await one.run(2_000);
  const reply = await ask(one, first);
  one.life.stop();
  await one.run(1_000);
  const { disk } = one.store;
  const next = new OneServer({ application: after, disk, registry: one.registry, settings, incarnation: "alpha-2" });
  await next.run(2_000);
  const answers: string[] = [];
  for (const body of others) {
    const text = await ask(next, body);
    answers.push(text === reply ? "the same" : (JSON.parse(text).error?.code ?? text));
  }
  return answers;
}

const note = z.string().default("none");
const times = z.int().default(1);

test("a default more changes nothing for what had none before", async (t) => {
  const bodies = [{ add: 1 }, { add: 1, note: "none" }];
  t.deepEqual(await answersOf(taking({}), { add: 1 }, taking({ note }), bodies), ["the same", "ID_REUSED"]);
});

test("a default more, where one was filled in before: as it was made then it is known, as it was sent it is not", async (t) => {
  const bodies = [{ add: 1 }, { add: 1, note: "none" }, { add: 2 }];
  const answers = await answersOf(taking({ note }), { add: 1 }, taking({ note, times }), bodies);
  t.deepEqual(answers, ["ID_REUSED", "the same", "ID_REUSED"]);
});

test("what a client wrote out, and what a handler makes of a field that is missing, is the same under every program", async (t) => {
  const whole = { add: 1, note: "none" };
  t.deepEqual(await answersOf(taking({ note }), whole, taking({ note, times }), [whole]), ["the same"]);
  const optional = z.string().optional();
  const after = taking({ note: optional, times: z.int().optional() });
  t.deepEqual(await answersOf(taking({ note: optional }), { add: 1 }, after, [{ add: 1 }]), ["the same"]);
});
