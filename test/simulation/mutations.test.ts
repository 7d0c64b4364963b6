/** Where seeds do not judge a rule, a unit test does: the table of mutations names it, and it exists. */
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import test from "ava";
import { shippedRules } from "../../machines/replica/rules.ts";
import { mutations } from "./mutations.ts";

const folder = fileURLToPath(new URL("../../../test/replica/", import.meta.url));
const source = readdirSync(folder)
  .filter((name) => name.endsWith(".test.ts"))
  .map((name) => readFileSync(`${folder}${name}`, "utf8"))
  .join("\n");

test("every unit test that the table of mutations names exists", (t) => {
  for (const { asserted } of mutations) if (asserted !== undefined) t.true(source.includes(asserted), asserted);
});

test("every rule has a mutation, or says why not", (t) => {
  /** Counted with others: who the others are, and who is alone, follow from the configurations (rule 3). */
  const without = ["commitPoint", "isAlone", "otherMembers"];
  const broken = new Set(mutations.flatMap(({ rules }) => Object.keys(rules)));
  t.deepEqual(
    Object.keys(shippedRules).filter((name) => !broken.has(name)),
    without,
  );
});
