/**
 * The parts of the documents that are written from the code, so that they cannot differ from it. A part stands between two marks;
 * what is outside them is written by hand and never touched. `npm run documents` writes them, and a test fails when a document is
 * not what this file would write.
 */
import { readFileSync } from "node:fs";
import { z } from "zod";
import { confText } from "../../deploy/nats/permissions.ts";
import { chartMermaid } from "../../machines/chart.ts";
import { machines } from "../../machines/charts.ts";
import { errorCodes } from "../../schemas/errors.ts";
import { type Grant, permissionsOf, type Role, roleNames, roles } from "../../schemas/roles.ts";
import { Settings } from "../../schemas/settings.ts";
import { troubleKinds } from "../../schemas/troubles.ts";
import { helpOfCommands } from "../helpers/command-help.ts";
import { scopes } from "../simulation/explore/scopes.ts";
import { mutations } from "../simulation/mutations/mutations.ts";

/** For each document its parts: name and text. */
export const generated: Record<string, Record<string, () => string>> = {
  "README.md": {
    counter: () => example("counter.ts"),
    counterTest: () => example("counter.test.ts"),
    client: () => example("count.ts"),
    integrator: () => example("follow.ts"),
  },
  "actors/application/README.md": { simulation: () => example("simulation.test.ts") },
  "machines/CHARTS.md": { charts },
  "schemas/SETTINGS.md": { settings: () => settingsTable(false), limits: () => settingsTable(true) },
  "schemas/ERRORS.md": { errors: errorTable, troubles: troubleTable },
  "deploy/COMMANDS.md": { commands: helpOfCommands },
  "deploy/PERMISSIONS.md": { permissions: permissionTables },
  "deploy/nats/roles.conf": { permissions: examplePermissions },
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
  const mark = (text: string) => (path.endsWith(".conf") ? `# ${text}` : `<!-- ${text} -->`);
  const begin = mark(`generated: ${name}, by \`npm run documents\`; changes made here do not last`);
  const end = mark(`end of ${name}`);
  const from = document.indexOf(begin);
  const to = document.indexOf(end);
  if (from === -1 || to < from) throw new Error(`${path} must hold the lines "${begin}" and "${end}"`);
  return `${document.slice(0, from)}${begin}\n\n${part.trim()}\n\n${document.slice(to)}`;
}

/** A file of the counter as it is, without its opening. */
function example(file: string): string {
  const text = readFileSync(new URL(`../../../deploy/examples/counter/${file}`, import.meta.url), "utf8");
  return `\`\`\`ts\n${text.replace(/^\/\*\*[\s\S]*?\*\/\n/, "").trim()}\n\`\`\``;
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

/** What a JSON schema says of one setting. */
interface Told {
  readonly description?: string;
  readonly default?: unknown;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly enum?: readonly string[];
  readonly properties?: Record<string, Told>;
  readonly items?: Told;
}

function settingsTable(areLimits: boolean): string {
  const told = z.toJSONSchema(Settings, { io: "input" }) as Told;
  const rows = settingsBelow("", told).filter(([path]) => path.startsWith("limits.") === areLimits);
  return table(
    ["setting", "default", "range", "what"],
    rows.map(([path, setting]) => {
      const name = path.replace(/^limits\./, "");
      return [`\`${name}\``, defaultOf(name, setting), rangeOf(name, setting), setting.description ?? ""];
    }),
  );
}

/** Depth first, in the order of the schema; a list's own row comes before those of what it holds. */
function settingsBelow(path: string, { properties = {} }: Told): (readonly [path: string, setting: Told])[] {
  return Object.entries(properties).flatMap(([name, setting]) => {
    const here = path === "" ? name : `${path}.${name}`;
    const own = setting.properties === undefined || setting.description !== undefined ? [[here, setting] as const] : [];
    return [...own, ...settingsBelow(here, setting), ...settingsBelow(`${here}[]`, setting.items ?? {})];
  });
}

function defaultOf(name: string, { default: value }: Told): string {
  if (typeof value === "number") return amount(name, value);
  return value === undefined ? "" : `\`${typeof value === "string" ? value : JSON.stringify(value)}\``;
}

function rangeOf(name: string, { minimum, maximum, enum: words }: Told): string {
  if (words !== undefined) return words.map((word) => `\`${word}\``).join(", ");
  return minimum === undefined || maximum === undefined ? "" : `${amount(name, minimum)} to ${amount(name, maximum)}`;
}

const units: Record<string, readonly (readonly [many: number, unit: string])[]> = {
  Ms: [
    [86_400_000, "days"],
    [3_600_000, "h"],
    [60_000, "min"],
    [1_000, "s"],
    [1, "ms"],
  ],
  Bytes: [
    [1024 ** 4, "TiB"],
    [1024 ** 3, "GiB"],
    [1024 ** 2, "MiB"],
    [1024, "KiB"],
    [1, "bytes"],
  ],
};

/** In the largest unit of which it is a whole number. */
function amount(name: string, value: number): string {
  const [, known = []] = Object.entries(units).find(([end]) => name.endsWith(end)) ?? [];
  const found = known.find(
    ([many, unit]) => value % many === 0 && (value / many > 1 || unit !== "days") && value >= many,
  );
  return found === undefined ? value.toLocaleString("en") : `${(value / found[0]).toLocaleString("en")} ${found[1]}`;
}

function errorTable(): string {
  return table(
    ["code", "send again?", "is a record?", "meaning"],
    Object.entries(errorCodes).map(([code, { retry, logged, meaning }]) => [
      `\`${code}\``,
      retry ? "yes" : "no",
      logged ? "yes" : "no",
      meaning,
    ]),
  );
}

function troubleTable(): string {
  return table(
    ["code", "costs", "what it is"],
    Object.entries(troubleKinds).map(([code, { says, costs }]) => [`\`${code}\``, costs, says]),
  );
}

const exampleService = { service: "exchange", bucket: "twinlog" } as const;
const exampleUsers: readonly (readonly [role: Role, name: string])[] = [
  ["server", "alpha"],
  ["server", "beta"],
  ["client", "alice"],
  ["integrator", "reports"],
  ["viewer", "wall"],
  ["operator", "olga"],
  ["administrator", "ada"],
];

/** Of each role the subjects of one user, as they stand in the example. */
function permissionTables(): string {
  return roleNames
    .map((role) => {
      const [, name = ""] = exampleUsers.find(([known]) => known === role) ?? [];
      const { publish, subscribe } = permissionsOf({ ...exampleService, role, name });
      const rows = (may: string, grants: readonly Grant[]) =>
        grants.length === 0
          ? [[may, "nothing", ""]]
          : grants.map(({ subject, purpose }) => [may, `\`${subject}\``, purpose]);
      const head = `### ${role}\n\n\`${name}\` ${roles[role]}.\n\n`;
      return `${head}${table(["may", "subject", "what for"], [...rows("publish", publish), ...rows("subscribe", subscribe)])}`;
    })
    .join("\n\n");
}

function examplePermissions(): string {
  return exampleUsers
    .map(([role, name]) => `# ${name} ${roles[role]}.\n${confText({ ...exampleService, role, name }, `${name}_may`)}`)
    .join("\n");
}

function table(head: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const line = (cells: readonly (string | number)[]) => `| ${cells.join(" | ")} |`;
  return [line(head), `|${head.map(() => "---|").join("")}`, ...rows.map(line)].join("\n");
}
