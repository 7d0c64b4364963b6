/**
 * `twinlog new`: what it refuses, what it writes, and by what its package.json names the program that wrote it. The project itself is
 * installed, compiled, tested and run in test/deploy/package.test.ts.
 */
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import test from "ava";
import { givenSource, sourceOf } from "../../deploy/installed.ts";
import { applicationName, whyNoName } from "../../deploy/new-project.ts";
import { Settings } from "../../schemas/settings.ts";
import { temporaryDirectory } from "../helpers/temporary-directory.ts";
import { makeRig } from "./rig.ts";

const root = fileURLToPath(new URL("../../..", import.meta.url));
const example = (path: string) => readFile(join(root, "deploy", "examples", "counter", path), "utf8");

test("the project is the counter under the folder's name, with what npm and the compiler need, and says what to type", async (t) => {
  const folder = join(await temporaryDirectory(t), "my.app");
  const { run } = makeRig();
  const ran = await run(["new", folder, "--twinlog", "^1.2.3"]);
  t.is(ran.status, 0, ran.err);
  t.regex(ran.out, /with the application my-app in src\/counter\.ts, on twinlog \^1\.2\.3/);
  for (const typed of ["npm install", "npm test", "npm start", "npx twinlog request"]) t.true(ran.out.includes(typed));
  const read = (path: string) => readFile(join(folder, path), "utf8");
  const counter = await example("counter.ts");
  t.is(await read("src/counter.ts"), counter.replace('name: "counter"', 'name: "my-app"'));
  t.is(await read("src/counter.test.ts"), await example("counter.test.ts"));
  t.like(JSON.parse(await read("package.json")), {
    name: "my.app",
    dependencies: { twinlog: "^1.2.3" },
    // What npm is told to stop reaches it: no shell is left in between.
    scripts: {
      start: "exec twinlog up --application dist/counter.js",
      test: "tsc && node --test dist/*.test.js",
    },
  });
  // What does not compile is brought to no server by `--watch`.
  t.like(JSON.parse(await read("tsconfig.json")), { compilerOptions: { noEmitOnError: true } });
  for (const server of ["alpha", "beta"]) {
    const settings = Settings.parse(JSON.parse(await read(`${server}.json`)));
    t.like(settings, { service: "my-app", server, application: "./dist/counter.js", testService: false });
  }
  const repeated = await run(["new", folder]);
  t.is(repeated.status, 1);
  t.regex(repeated.err, /^twinlog: .*my\.app is not empty \(.*, …\)\n$/);
});

test("a folder that is not empty, a file, or a name that npm does not take is refused, and nothing is written", async (t) => {
  const folder = await temporaryDirectory(t);
  await writeFile(join(folder, "taken"), "");
  const { run } = makeRig();
  for (const name of ["taken", "Upper", "a b", ".hidden", "_x", "http", "zod", "node_modules", "x".repeat(215)]) {
    const ran = await run(["new", join(folder, name)]);
    t.is(ran.status, 1, name);
    t.regex(ran.err, /^twinlog: [^\n]+\n$/);
  }
  t.deepEqual(await readdir(folder), ["taken"]);
  // A repository that has nothing but itself.
  await mkdir(join(folder, "cloned", ".git"), { recursive: true });
  t.is((await run(["new", join(folder, "cloned"), "--twinlog", "1.0.0"])).status, 0);
});

test("names: what npm takes, and what an application is called then", (t) => {
  for (const name of ["orders", "my-app", "my_app", "a.b", "0", "x".repeat(214)]) t.is(whyNoName(name), "", name);
  for (const [name, application] of [
    ["orders", "orders"],
    ["my_app.v2", "my-app-v2"],
    ["-", "counter"],
    ["x".repeat(40), "x".repeat(32)],
    [`${"x".repeat(31)}-y`, "x".repeat(31)],
  ] as const)
    t.is(applicationName(name), application);
});

test("what brought the program here brings it to the project too", async (t) => {
  const folder = await temporaryDirectory(t);
  const project = join(folder, "my-app");
  const installed = async (name: string, spec: string | undefined, inside = "node_modules/twinlog") => {
    const own = join(folder, name, inside);
    await mkdir(own, { recursive: true });
    const dependencies = spec === undefined ? {} : { twinlog: spec };
    await writeFile(join(folder, name, "package.json"), JSON.stringify({ dependencies }));
    return sourceOf(own, project, "0.1.0");
  };
  const tarball = join(folder, "twinlog-0.1.0.tgz");
  await writeFile(tarball, "");
  const packed = { spec: "file:../twinlog-0.1.0.tgz", isFolder: false };
  t.deepEqual(await installed("npx", "file:../twinlog-0.1.0.tgz"), packed);
  t.deepEqual(
    await installed("isolated", `file:${tarball}`, "node_modules/.store/twinlog@0.1.0-x/node_modules/twinlog"),
    packed,
  );
  t.deepEqual(await installed("pnpm", tarball), packed);
  t.deepEqual(await installed("released", "^0.1.0"), { spec: "^0.1.0", isFolder: false });
  t.deepEqual(await installed("git", "git+https://x.org/t.git#v1"), {
    spec: "git+https://x.org/t.git#v1",
    isFolder: false,
  });
  t.deepEqual(await installed("gone", "file:../gone.tgz"), { spec: "^0.1.0", isFolder: false });
  t.deepEqual(await installed("global", undefined), { spec: "^0.1.0", isFolder: false });
  const checkout = join(folder, "checkout");
  await mkdir(checkout);
  t.deepEqual(sourceOf(checkout, project, "0.1.0"), { spec: "file:../checkout", isFolder: true });

  t.deepEqual(givenSource("./twinlog-0.1.0.tgz", folder, project), packed);
  t.deepEqual(givenSource("checkout/../twinlog-0.1.0.tgz", folder, project), packed);
  t.deepEqual(givenSource("./checkout", folder, project), { spec: "file:../checkout", isFolder: true });
  for (const spec of ["^0.1.0", "latest", "https://x.org/twinlog.tgz", "./none.tgz"])
    t.deepEqual(givenSource(spec, folder, project), { spec, isFolder: false });
});
