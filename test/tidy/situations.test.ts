/**
 * The table of situations in test/README.md is whole and true: each of machines/PROTOCOL.md has a row; a test that it names (as
 * `room/file: part of its title`) is there, and so is a fault or a moment of the simulation that stands in backquotes.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import test from "ava";
import { momentNames } from "../simulation/judge/moments.ts";
import { numbersOf } from "./protocol.ts";

const root = fileURLToPath(new URL("../../..", import.meta.url));
const read = (...path: string[]) => readFileSync(join(root, ...path), "utf8");

interface Row {
  readonly situation: number;
  readonly simulated: string;
  readonly tested: string;
}

function readRows(): Row[] {
  const [, section = ""] = /^## Situations$([\s\S]*?)^## /m.exec(read("test", "README.md")) ?? [];
  return [...section.matchAll(/^\| (\d+) [^|]+ \| ([^|]*) \| ?([^|]*) \|$/gm)].map((found) => ({
    situation: Number(found[1]),
    simulated: found[2] ?? "",
    tested: found[3] ?? "",
  }));
}

const quoted = (cell: string) => [...cell.matchAll(/`([^`]+)`/g)].map((found) => found[1] ?? "");

/** Titles of a test file as they are written; what is filled in at run time stands in braces. */
function titlesOf(file: string): string[] {
  if (file === "replica/transcripts") return scriptTitles();
  const text = read("test", `${file}.test.ts`);
  return [...text.matchAll(/\b(?:test|full)(?:\.serial)?\(\s*(?:"([^"]*)"|`([^`]*)`)/g)].map(
    (found) => found[1] ?? found[2] ?? "",
  );
}

/** What scripts are for, as their first lines say. */
function scriptTitles(): string[] {
  const folder = ["test", "replica", "testdata"];
  return readdirSync(join(root, ...folder)).map((file) => read(...folder, file).split("\n")[0] ?? "");
}

/** "situation 4" is not in "situation 44". */
const isPartOf = (part: string, title: string) =>
  title.includes(part) && !new RegExp(`${part.replace(/[^\w\s]/g, "\\$&")}\\d`).test(title);

/** Names of faults and moments, as the simulation has them. */
function simulatedNames(): Set<string> {
  const folder = ["test", "simulation", "faults"];
  const faults = readdirSync(join(root, ...folder))
    .filter((file) => !file.endsWith(".test.ts"))
    .flatMap((file) =>
      [...read(...folder, file).matchAll(/\b(?:name: |staged\()"(\w+)"/g)].map((found) => found[1] ?? ""),
    );
  return new Set<string>([...faults, ...momentNames]);
}

test("every situation of the protocol has one row", (t) => {
  t.deepEqual(
    readRows().map(({ situation }) => situation),
    numbersOf(read("machines", "PROTOCOL.md")).situation,
  );
});

test("every test that the table names is there, with that title, and every situation has one or is simulated", (t) => {
  for (const { situation, simulated, tested } of readRows()) {
    const tests = quoted(tested);
    t.true(tests.length > 0 || quoted(simulated).length > 0, `situation ${situation} is nowhere`);
    for (const named of tests) {
      const [, file = "", part = ""] = /^(\w+\/[\w-]+): (.+)$/.exec(named) ?? [];
      t.true(existsSync(join(root, "test", `${file}.test.ts`)), `situation ${situation}: no file for ${named}`);
      t.true(
        titlesOf(file).some((title) => isPartOf(part, title)),
        `situation ${situation}: no such title: ${named}`,
      );
    }
  }
});

test("every fault and moment in the table is one of the simulation's", (t) => {
  const names = simulatedNames();
  t.true(names.size > momentNames.length);
  for (const { situation, simulated } of readRows())
    for (const name of quoted(simulated))
      t.true(names.has(name), `situation ${situation}: the simulation has no ${name}`);
});
