/**
 * The parts of the documents that are written from the code, so that they cannot differ from it. A part stands between two marks;
 * what is outside them is written by hand and never touched. `npm run documents` writes them, and a test fails when a document is
 * not what this file would write.
 */
import { chartMermaid } from "../../machines/chart.ts";
import { machines } from "../../machines/charts.ts";
import { scopes } from "../simulation/explore/scopes.ts";
import { mutations } from "../simulation/mutations/mutations.ts";

/** For each document its parts: name and text. */
export const generated: Record<string, Record<string, () => string>> = {
  "machines/CHARTS.md": { charts },
  "test/README.md": { scopes: scopeTable, mutations: mutationTable },
};

/** The document with its parts as the code is now. Throws if the marks of one are not there. */
export function withParts(path: string, document: string): string {
  return Object.entries(generated[path] ?? {}).reduce(
    (text, [name, write]) => withPart(path, text, name, write()),
    document,
  );
}

function withPart(path: string, document: string, name: string, part: string): string {
  const begin = `<!-- generated: ${name}, by \`npm run documents\`; changes made here do not last -->`;
  const end = `<!-- end of ${name} -->`;
  const from = document.indexOf(begin);
  const to = document.indexOf(end);
  if (from === -1 || to < from) throw new Error(`${path} must hold the lines "${begin}" and "${end}"`);
  return `${document.slice(0, from)}${begin}\n\n${part.trim()}\n\n${document.slice(to)}`;
}

function charts(): string {
  return Object.entries(machines)
    .map(
      ([name, { machine, decides }]) =>
        `## ${name}\n\nDecides ${decides}.\n\n\`\`\`mermaid\n${chartMermaid(machine)}\`\`\`\n`,
    )
    .join("\n");
}

function scopeTable(): string {
  return table(
    ["scope", "servers", "explored"],
    scopes.map(({ name, isQuick, bounds }) => [
      name,
      bounds.servers.length,
      isQuick ? "in every run of the tests" : "",
    ]),
  );
}

function mutationTable(): string {
  return table(
    ["rule", "broken", "searched in"],
    mutations.map(({ name, rule, scope }) => [rule, name, scope === undefined ? "seeds" : "a scope"]),
  );
}

function table(head: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const line = (cells: readonly (string | number)[]) => `| ${cells.join(" | ")} |`;
  return [line(head), `|${head.map(() => "---|").join("")}`, ...rows.map(line)].join("\n");
}
