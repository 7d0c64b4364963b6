/** The claims are complete: each has one test, and a row in test/README.md that names that test's file and code that is there. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import test from "ava";

const root = fileURLToPath(new URL("../../..", import.meta.url));
const folder = join(root, "test", "claims");
const claims = Array.from({ length: 38 }, (_, at) => at + 1);

const titles = readdirSync(folder)
  .filter((file) => file.endsWith(".test.ts"))
  .flatMap((file) =>
    [...readFileSync(join(folder, file), "utf8").matchAll(/^test(?:\.serial)?\(\s*"(\d+)\. /gm)].map((found) => ({
      claim: Number(found[1]),
      file,
    })),
  );

test("every claim has exactly one test, whose title is a literal that starts with its number", (t) => {
  t.deepEqual(
    titles.map(({ claim }) => claim).sort((one, other) => one - other),
    claims,
  );
});

test("test/README.md names for every claim its test's file and code that is there", (t) => {
  const text = readFileSync(join(root, "test", "README.md"), "utf8");
  for (const claim of claims) {
    const [, testCell = "", codeCell = ""] =
      new RegExp(`^\\| ${claim} \\| [^|]+ \\| \`([^|\`]+)\` \\| ([^|]+) \\|$`, "m").exec(text) ?? [];
    t.is(testCell, titles.find((title) => title.claim === claim)?.file ?? "", `claim ${claim}`);
    const files = [...codeCell.matchAll(/`([^`]+)`/g)].map((found) => found[1] ?? "");
    t.true(files.length > 0 && files.every((file) => existsSync(join(root, file))), `claim ${claim}: ${codeCell}`);
  }
});
