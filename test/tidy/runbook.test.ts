/**
 * deploy/RUNBOOK.md is complete and invents nothing: every code that a person can be told has its entry, under the urgency that it
 * has; every state is explained; and every sentence by which a command is refused, or a server waits or refuses to start, can be
 * found by its words.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import test from "ava";
import { anchorOf, runbookPath } from "../../deploy/runbook.ts";
import { serverEnds } from "../../deploy/server-ends.ts";
import { lifecycleMachine } from "../../machines/lifecycle.ts";
import { checkKinds } from "../../schemas/check.ts";
import { troubleKinds } from "../../schemas/troubles.ts";
import { anchorsOf } from "./links.ts";

const root = fileURLToPath(new URL("../../..", import.meta.url));
const read = (path: string) => readFileSync(join(root, path), "utf8");
const runbook = read(runbookPath);

/** Section by section its entries: heading and text. */
const sections = new Map(
  [...runbook.matchAll(/^## (.+)\n([\s\S]*?)(?=^## |(?![\s\S]))/gm)].map(([, title = "", text = ""]) => [
    title,
    new Map(
      [...text.matchAll(/^### (.+)\n([\s\S]*?)(?=^### |(?![\s\S]))/gm)].map(([, head = "", body = ""]) => [head, body]),
    ),
  ]),
);
const entriesOf = (title: string) => [...(sections.get(title)?.keys() ?? [])];
const allEntries = [...sections.values()].flatMap((entries) => [...entries.keys()]);

const states = Object.entries(lifecycleMachine.config.states ?? {});
const urgency = { service: "The service stands", failover: "A failover would not work", nothing: "Warnings" } as const;
/** What an operator is led to from other entries or from an alert, and no code says. */
const situations = ["requests-slow", "disk-lost-for-good", "back-to-a-backup"];

test("every code, check, state and end has one entry, and there is no other", (t) => {
  const expected = [
    ...Object.keys(troubleKinds),
    ...Object.keys(checkKinds).map((name) => `check.${name}`),
    ...states.map(([name]) => `state.${name}`),
    ...Object.keys(serverEnds).map((code) => `end.${code}`),
  ].map((code) => code.replaceAll(".", "-"));
  t.deepEqual([...allEntries].sort(), [...expected, ...situations].sort());
  const anchors = anchorsOf(runbook);
  for (const code of expected) t.true(anchors.includes(anchorOf(code)), `#${anchorOf(code)} leads nowhere`);
  t.true(anchors.includes("refused"));
});

test("a trouble stands where its cost is: what is urgent comes first", (t) => {
  for (const [code, { costs }] of Object.entries(troubleKinds))
    t.true(entriesOf(urgency[costs]).includes(code.replaceAll(".", "-")), `${code} belongs under "${urgency[costs]}"`);
  t.deepEqual([...sections.keys()].slice(0, 3), Object.values(urgency));
});

test("every state within a state is told in its entry", (t) => {
  for (const [name, { states: inner = {} }] of states) {
    const told =
      [...sections.values()].map((entries) => entries.get(`state-${name}`)).find((each) => each !== undefined) ?? "";
    for (const below of statesBelow(name, inner)) t.true(told.includes(`\`${below}\``), `${below} is not told`);
  }
});

type Below = NonNullable<typeof lifecycleMachine.config.states>;
/** The innermost ones, as a status names them. */
function statesBelow(path: string, states: Below): string[] {
  return Object.entries(states).flatMap(([name, { states: inner = {} }]) =>
    Object.keys(inner).length === 0 ? [`${path}.${name}`] : statesBelow(`${path}.${name}`, inner as Below),
  );
}

test("an entry is short, and says whether data is in danger where something is wrong", (t) => {
  const graves = new Set([...entriesOf(urgency.service), ...entriesOf(urgency.failover)]);
  for (const entries of sections.values())
    for (const [head, body] of entries) {
      t.true(body.split(/\s+/).length <= 260, `${head} is long`);
      if (graves.has(head) && !head.startsWith("check-") && head !== "server-waiting") t.regex(body, /Data: /, head);
    }
});

/** A command is refused in the words of these, and a server says these where it waits or refuses. */
const refusals: readonly (readonly [path: string, within: RegExp])[] = [
  ["deploy/commands/connect.ts", /\bnew NotAllowed\(/g],
  ["deploy/commands/forbidden.ts", /\bnew NotAllowed\(/g],
  ["deploy/commands/control.ts", /\bnew CommandError\(/g],
  ["deploy/commands/operate.ts", /\bnew CommandError\(/g],
  ["deploy/commands/recover.ts", /\bnew CommandError\(/g],
  ["deploy/commands/init.ts", /\bnew CommandError\(/g],
  ["machines/replica/refusals.ts", /\breturn /g],
  ["machines/replica/registry/restoration.ts", /(\brefused\(|\breturn (?=`the registry has))/g],
  ["deploy/commands/backup.ts", /\bnew CommandError\(/g],
  ["deploy/backups/source.ts", /\bnew CommandError\(/g],
  ["deploy/backups/file.ts", /\bnew Backup(File)?Error\((?=`|error)/g],
  ["deploy/backups/restore.ts", /\bnew RestoreError\(/g],
  ["actors/checkpoint/backups.ts", /(\brefuse\(|\breturn (?=["`]))/g],
  ["actors/application/catalog.ts", /\breturn (?=`)/g],
  ["actors/loader.ts", /\breturn (?=`)/g],
  ["machines/replica/registry/start-table.ts", /(\bverdict\(\s*"verdict\.(wait|refuse)"|\breturn (?=`this store))/g],
  ["machines/replica/registry/consultation.ts", /\bwhy: |\bwhy = /g],
];
/** No refusal: what a verdict to go on says, and sentences whose words come from elsewhere. */
const passedOver = [/^recovered by force/, /^recover by force/, /^… \(it has/, /^…: …$/];

const said = refusals.flatMap(([path, within]) => {
  const source = read(path).replaceAll(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, "");
  return [...source.matchAll(within)].flatMap(({ index, 0: { length } }) => literalsFrom(source, index + length));
});

test("what a person is told when he is refused can be looked up by its words, and no words are told that nothing says", (t) => {
  const sentences = [...new Set(said)].filter(
    (each) => each.split(" ").length >= 3 && !passedOver.some((pattern) => pattern.test(each)),
  );
  t.true(sentences.length > 30, `${sentences.length} sentences were found in the sources`);
  const quotes = [...runbook.matchAll(/“([^”]+)”/g)].map(([, quote = ""]) => quote.replaceAll(/\s+/g, " "));
  const sources = [...sentences, ...frozen()];
  t.deepEqual(
    sentences.filter((sentence) => !quotes.some((quote) => sentence.includes(quote))),
    [],
    "told nowhere",
  );
  t.deepEqual(
    quotes.filter((quote) => !sources.some((sentence) => sentence.includes(quote))),
    [],
    "said by nothing",
  );
});

function frozen(): string[] {
  const source = read("machines/replica/registry/membership.ts");
  return [...source.matchAll(/const spent = /g)].flatMap(({ index, 0: { length } }) =>
    literalsFrom(source, index + length),
  );
}

/** The literals of one expression, up to its end, with … for what is put in. */
function literalsFrom(source: string, from: number): string[] {
  const found: string[] = [];
  let depth = 0;
  for (let at = from; at < source.length; at += 1) {
    const sign = source[at] ?? "";
    if (sign === '"' || sign === "`") {
      const [text, end] = literalAt(source, at);
      found.push(text);
      at = end;
    } else if ("([{".includes(sign)) depth += 1;
    else if (")]}".includes(sign)) {
      if (depth === 0) break;
      depth -= 1;
    } else if (sign === ";" && depth === 0) break;
  }
  return found;
}

/** The text of the literal that begins here, and where it ends. */
function literalAt(source: string, from: number): readonly [text: string, end: number] {
  const quote = source[from];
  let text = "";
  let at = from + 1;
  for (; at < source.length && source[at] !== quote; at += 1) {
    if (source[at] === "\\") {
      at += 1;
      text += source[at] ?? "";
    } else if (source.startsWith("${", at)) {
      let depth = 0;
      for (at += 1; at < source.length; at += 1) {
        const sign = source[at] ?? "";
        if (sign === '"' || sign === "`") [, at] = literalAt(source, at);
        else if (sign === "{") depth += 1;
        else if (sign === "}" && --depth === 0) break;
      }
      text += "…";
    } else text += source[at] ?? "";
  }
  return [text, at];
}

test("literals are found in what is said, also where something is put in", (t) => {
  const source = 'new CommandError(a ? `two ${b.map(({ c }) => `${c}`).join(", ")} are` : "one \\"is\\"") + "not this"';
  t.deepEqual(literalsFrom(source, "new CommandError(".length), ["two … are", 'one "is"']);
});
