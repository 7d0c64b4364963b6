/** What `up --watch` brings in: a program that has changed, and not what only lies beside it or was written anew. */
import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import test from "ava";
import { ProgramFiles } from "../../deploy/up/program-files.ts";
import { Rolling } from "../../deploy/up/rolling.ts";
import { ServiceWatch } from "../../deploy/up/watch.ts";
import { temporaryDirectory } from "../helpers/temporary-directory.ts";
import { until } from "../helpers/until.ts";

const withinMs = 60_000;
const isIgnored = (path: string) => /(^|\/)(\.|node_modules\/)/.test(path);

test("a program is its sources: tests, declarations and what is installed are none of it", (t) => {
  const files = new ProgramFiles("/nowhere", isIgnored);
  const counted = ["counter.js", "lib/rows.mjs", "prices.json", "testing.ts", "latest.js", "contest/a.js"];
  const others = ["counter.test.js", "counter.spec.ts", "lib/rows-test.mjs", "test/rows.js", "lib/__tests__/rows.js"];
  const noProgram = ["counter.d.ts", "counter.js.map", "node_modules/zod/index.js", ".git/a.json", "README.md"];
  for (const path of counted) t.true(files.counts(path), path);
  for (const path of [...others, ...noProgram]) t.false(files.counts(path), path);
});

test("what is in the files counts, not that they were written", async (t) => {
  const folder = await temporaryDirectory(t);
  const save = async (path: string, text: string) => {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), text);
  };
  const files = new ProgramFiles(folder, isIgnored);
  await save("app.js", "1");
  await save("lib/rows.js", "2");
  const before = files.digest();
  for (const path of ["app.test.js", "app.d.ts", "node_modules/a/index.js", "test/a.js"]) await save(path, "3");
  await save("app.js", "1");
  t.is(files.digest(), before);
  await save("lib/rows.js", "4");
  t.not(files.digest(), before);
});

test("a compiler that writes everything anew for the sake of a test brings nothing in", async (t) => {
  const folder = await temporaryDirectory(t);
  const module = join(folder, "app.mjs");
  const save = (name: string, text: string) => writeFile(join(folder, name), text);
  await save("app.mjs", "export {};\n");
  const files = new ProgramFiles(folder, isIgnored);
  let looks = 0;
  let tries = 0;
  const over = new AbortController();
  t.teardown(() => over.abort());
  const rolling = new Rolling({
    module,
    files: {
      counts: (path) => files.counts(path),
      digest: () => {
        looks += 1;
        return files.digest();
      },
    },
    watch: new ServiceWatch([], () => undefined),
    tryProgram: async () => {
      tries += 1;
      return "it is only tried here";
    },
    again: () => t.fail("nobody is replaced"),
    switchRoles: async () => null,
    tell: () => undefined,
    stopped: over.signal,
  });
  rolling.start();
  t.is(looks, 1);
  await save("app.test.mjs", "one\n");
  await save("app.mjs", "export {};\n");
  await until(() => looks > 1, { withinMs, waitedFor: "a look at what was written" });
  t.is(tries, 0);
  await save("app.mjs", "export const application = 1;\n");
  await until(() => tries > 0, { withinMs, waitedFor: "the program that has changed" });
  const after = looks;
  await save("app.mjs", "export const application = 1;\n");
  await until(() => looks > after, { withinMs, waitedFor: "another look" });
  t.is(tries, 1, "what did not load is not tried again before it changes");
});
