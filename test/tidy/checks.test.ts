/**
 * The tidy checks themselves can fail: each is shown a bad snippet that it must find and a good one that it must let pass.
 */
import test from "ava";
import { citesWhatIsNotThere, numbersOf } from "./protocol.ts";
import { forbiddenImports, importCycles } from "./rooms.ts";
import {
  noAny,
  noDefaultExport,
  noHiddenInputs,
  noPathsOfOneMachine,
  nothingUnfinished,
  opensWithItsPurpose,
} from "./rules.ts";
import { parseSource } from "./sources.ts";

function importing(path: string, specifier: string): string[] {
  return forbiddenImports(parseSource(path, `import { x } from "${specifier}";`));
}

const allowed: [path: string, specifier: string][] = [
  ["schemas/a.ts", "./b.ts"],
  ["schemas/a.ts", "zod"],
  ["machines/replica/a.ts", "../codec/b.ts"],
  ["machines/replica/a.ts", "../../schemas/b.ts"],
  ["machines/a.ts", "xstate"],
  ["machines/a.ts", "xstate/graph"],
  ["actors/failover/a.ts", "../../machines/b.ts"],
  ["actors/failover/a.ts", "../world/ports.ts"],
  ["actors/failover/a.ts", "../replication/b.ts"],
  ["actors/application/contract.ts", "zod"],
  ["actors/index.ts", "./world/bus-nats.ts"],
  ["actors/world/bus-nats.ts", "nats"],
  ["actors/world/registry-jetstream.ts", "nats"],
  ["actors/world/store-level.ts", "level"],
  ["actors/world/link-tcp.ts", "node:net"],
  ["actors/world/link-tcp.ts", "../../schemas/a.ts"],
  ["actors/applications/exchange/a.ts", "./book.ts"],
  ["actors/applications/exchange/a.ts", "../../application/contract.ts"],
  ["actors/applications/exchange/a.ts", "zod"],
  ["deploy/a.ts", "commander"],
  ["deploy/a.ts", "../actors/world/bus-nats.ts"],
  ["test/a.test.ts", "nats"],
  ["test/a.test.ts", "../deploy/b.ts"],
  ["test/pair/a.test.ts", "../helpers/pair/b.ts"],
  ["test/replica/a.test.ts", "../simulation/explore/b.ts"],
  ["test/simulation/service/a.ts", "../judge/b.ts"],
  ["test/simulation/explore/a.test.ts", "../run/b.ts"],
];

const forbidden: [path: string, specifier: string][] = [
  ["test/pair/a.test.ts", "../claims/b.ts"],
  ["test/client/a.test.ts", "../simulation/world/b.ts"],
  ["test/helpers/a.ts", "../pair/b.ts"],
  ["test/simulation/judge/a.ts", "../service/b.ts"],
  ["test/simulation/explore/a.ts", "../world/b.ts"],
  ["schemas/a.ts", "../machines/b.ts"],
  ["schemas/a.ts", "node:crypto"],
  ["schemas/a.ts", "xstate"],
  ["machines/a.ts", "../actors/b.ts"],
  ["machines/a.ts", "zod"],
  ["machines/a.ts", "node:fs"],
  ["machines/a.ts", "node:timers/promises"],
  ["machines/a.ts", "nats"],
  ["actors/failover/a.ts", "../world/bus-nats.ts"],
  ["actors/failover/a.ts", "../../deploy/b.ts"],
  ["actors/failover/a.ts", "nats"],
  ["actors/failover/a.ts", "node:net"],
  ["actors/failover/a.ts", "../../test/helpers/b.ts"],
  ["actors/world/link-tcp.ts", "nats"],
  ["actors/world/store-level.ts", "nats"],
  ["actors/world/bus-nats.ts", "../failover/a.ts"],
  ["actors/world/bus-nats.ts", "../../machines/a.ts"],
  ["actors/applications/exchange/a.ts", "../ledger/b.ts"],
  ["actors/applications/exchange/a.ts", "../../world/ports.ts"],
  ["actors/applications/exchange/a.ts", "../../../machines/a.ts"],
  ["deploy/a.ts", "nats"],
  ["deploy/a.ts", "level"],
  ["deploy/a.ts", "../test/helpers/b.ts"],
  ["elsewhere/a.ts", "zod"],
];

test("what the import table allows passes", (t) => {
  for (const [path, specifier] of allowed) {
    t.deepEqual(importing(path, specifier), []);
  }
});

test("what the import table does not allow is found", (t) => {
  for (const [path, specifier] of forbidden) {
    t.is(importing(path, specifier).length, 1, `${path} imports ${specifier}`);
  }
});

test("of node:crypto and node:zlib, machines may take the pure functions only", (t) => {
  const check = (text: string) => forbiddenImports(parseSource("machines/a.ts", text)).length;
  t.is(check('import { createHash } from "node:crypto";\nimport { crc32 } from "node:zlib";'), 0);
  t.is(check('import { createHash, randomUUID } from "node:crypto";'), 1);
  t.is(check('import * as crypto from "node:crypto";'), 1);
  t.is(check('import crypto from "node:crypto";'), 1);
  t.is(check('import "node:crypto";'), 1);
});

test("every way to write an import is seen", (t) => {
  const ways = [
    'import "nats";',
    'import { a } from "nats";',
    'import type { A } from "nats";',
    'import {\n  a,\n  b,\n} from "nats";',
    'export { a } from "nats";',
    'export * from "nats";',
    'const a = await import("nats");',
    "import { a } from 'nats';",
  ];
  for (const way of ways) {
    t.is(forbiddenImports(parseSource("machines/a.ts", way)).length, 1, way);
  }
  t.is(forbiddenImports(parseSource("machines/a.ts", '// import "nats";\nconst a = `import("nats")`;')).length, 0);
});

test("a circle of imports is told from file to file", (t) => {
  const a = parseSource("machines/a.ts", 'import { b } from "./b.ts";');
  const b = parseSource("machines/b.ts", 'import type { C } from "./deep/c.ts";');
  const c = parseSource("machines/deep/c.ts", 'export { a } from "../a.ts";');
  t.deepEqual(importCycles([a, b, c]), [
    "imports in a circle: machines/a.ts → machines/b.ts → machines/deep/c.ts → machines/a.ts",
  ]);
  t.deepEqual(importCycles([a, b]), []);
});

test("time and chance come from outside, but for adapters and tests", (t) => {
  for (const line of [
    "const now = Date.now();",
    "const now = new Date();",
    "const id = Math.random();",
    "const at = performance.now();",
    "setTimeout(go, 5);",
    "setInterval(go, 5);",
    "const id = `${Math.random()}`;",
    "const ratio = a / b + Date.now() / c;",
  ]) {
    t.is(noHiddenInputs(parseSource("machines/a.ts", line)).length, 1, line);
    t.is(noHiddenInputs(parseSource("actors/failover/a.ts", line)).length, 1, line);
    t.is(noHiddenInputs(parseSource("actors/world/clock-node.ts", line)).length, 0, line);
    t.is(noHiddenInputs(parseSource("test/a.ts", line)).length, 0, line);
  }
});

test("machines do not touch the process; words about it are words", (t) => {
  t.is(noHiddenInputs(parseSource("machines/a.ts", "if (process.env) {}")).length, 1);
  t.is(noHiddenInputs(parseSource("machines/a.ts", 'console.log("x");')).length, 1);
  const words = [
    "// Date.now() is not for us",
    "/* nor\n process.env */",
    'const text = "Date.now()";',
    "const text = 'it\\'s process.env';",
    "const text = `process.${name} Date.now()`;",
    "const pattern = /process.|[/]Date.now/;",
    "const reprocess = preprocess.value;",
  ];
  for (const word of words) {
    t.deepEqual(noHiddenInputs(parseSource("machines/a.ts", word)), [], word);
  }
});

test("a place is named by its line, also behind comments and templates", (t) => {
  const text = ["/* one", " two */", "const a = `", "${b}`;", "Date.now();"].join("\n");
  t.regex(noHiddenInputs(parseSource("machines/a.ts", text))[0] ?? "", /^machines\/a\.ts:5: Date\.now/);
});

test("default exports are found", (t) => {
  t.is(noDefaultExport(parseSource("a.ts", "export default class {}")).length, 1);
  t.is(noDefaultExport(parseSource("a.ts", "export { a as default };")).length, 1);
  t.is(noDefaultExport(parseSource("a.ts", 'export const a = "export default";')).length, 0);
});

test("the type any is found, the word is not", (t) => {
  for (const line of [
    "let a: any;",
    "a as any",
    "const a: any[] = [];",
    "Map<string, any>",
    "type A = string | any;",
    "f<any>()",
  ]) {
    t.true(noAny(parseSource("a.ts", line)).length > 0, line);
  }
  for (const line of ["Promise.any(all)", "// any: word", 'const a = "x: any";', "const company: Company = any(b);"]) {
    t.deepEqual(noAny(parseSource("a.ts", line)), [], line);
  }
});

test("a number that the protocol does not have is found, and so is a document that is not here", (t) => {
  const page = ["## Rules", "1. One.", "2. Two.", "## Situations", "1. One.", "## Invariants", "1. One.", ""].join(
    "\n",
  );
  const numbers = numbersOf(page);
  t.deepEqual(numbers, { rule: [1, 2], situation: [1], invariant: [1] });
  const wrong = (text: string) => citesWhatIsNotThere("a.ts", text, numbers).length;
  t.is(wrong("rules 1 and 2, situation 1, Invariant 1"), 0);
  t.is(wrong("rules 1, 2 and 3"), 1);
  t.is(wrong(`situation ${2}; invariants ${0} and 1`), 2);
  t.is(wrong(joined("DES", "IGN.md says so")), 1);
});

/** Puts together what must not stand in this file as it is. */
const joined = (...pieces: string[]): string => pieces.join("");

test("marks of unfinished work, suppressions and half tests are found", (t) => {
  for (const line of [
    joined("// TO", "DO later"),
    joined("/* FIX", "ME */"),
    joined("// @ts-", "ignore"),
    joined("// biome-", "ignore lint: x"),
    joined("test.", "skip();"),
    joined("test.", "only();"),
    joined("test.serial.", "failing();"),
  ]) {
    t.is(nothingUnfinished(parseSource("a.ts", line)).length, 1, line);
  }
  t.deepEqual(nothingUnfinished(parseSource("a.ts", "latest.only(); // to do it")), []);
});

test("a path of one machine is found, a web address is not", (t) => {
  t.is(noPathsOfOneMachine("a.md", joined("see /ho", "me/jo/x")).length, 1);
  t.is(noPathsOfOneMachine("a.md", joined('"/ro', 'ot/x"')).length, 1);
  t.deepEqual(noPathsOfOneMachine("a.md", "https://example.org/users and ./home/x and /usr/sbin"), []);
});

test("a file opens with what it is for", (t) => {
  t.is(opensWithItsPurpose(parseSource("a.ts", 'import "x";\n/** What this file is for, too late. */')).length, 1);
  t.is(opensWithItsPurpose(parseSource("a.ts", "/** Code. */\n")).length, 1);
  t.is(opensWithItsPurpose(parseSource("a.ts", "/**\n * Reads what was written and says so.\n */\n")).length, 0);
  t.is(
    opensWithItsPurpose(parseSource("a.ts", "#!/usr/bin/env node\n// Starts a server from the command line.\n")).length,
    0,
  );
});
