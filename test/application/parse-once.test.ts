/** Every object within a schema parses once (parse-once.ts). */
import test from "ava";
import { z } from "zod";
import { parseOnce } from "../../actors/application/parse-once.ts";

test("whatever schemas are made of, each within them is reached, recursive ones too, and what they throw is nobody's", (t) => {
  const reached: string[] = [];
  const spy = (name: string) =>
    z.preprocess((value) => {
      reached.push(name);
      if (name === "throws") throw new Error("not for me");
      return value;
    }, z.strictObject({}));
  interface Tree {
    readonly leaf: unknown;
    readonly children: Tree[];
  }
  const tree: z.ZodType<Tree> = z.lazy(() => z.strictObject({ leaf: spy("leaf"), children: z.array(tree) }));
  const shared = spy("shared");
  parseOnce(
    z.discriminatedUnion("type", [
      z.strictObject({ type: z.literal("a"), list: z.array(spy("element")), map: z.record(z.string(), spy("value")) }),
      z.strictObject({ type: z.literal("b"), pair: z.tuple([spy("first"), spy("second")]), tree, shared }),
      z.strictObject({ type: z.literal("c"), maybe: spy("maybe").optional(), shared, throws: spy("throws") }),
    ]),
  );
  const names = ["element", "first", "leaf", "maybe", "second", "shared", "throws", "value"];
  t.deepEqual([...new Set(reached)].sort(), names);
});
