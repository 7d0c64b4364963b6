/**
 * The project that `twinlog new` writes: the counter of deploy/examples/counter under another name, and what npm and the compiler need
 * beside it. What always holds: its sources are the example's own; what it depends on are the versions that this program is tested with.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { builtinModules } from "node:module";
import { fileURLToPath } from "node:url";

/** Of this package. */
export interface OwnManifest {
  readonly name: string;
  readonly version: string;
  readonly engines: { readonly node: string };
  readonly peerDependencies: { readonly zod: string };
  readonly devDependencies: { readonly typescript: string; readonly "@types/node": string };
}

export interface NewProject {
  /** Of the package: the folder's. */
  readonly name: string;
  /** What package.json says of `twinlog`. */
  readonly twinlog: string;
  /** `twinlog` is a folder: npm shall copy what a package of it holds, not link it, for then there would be two of zod. */
  readonly isFolder: boolean;
}

const exampleFolder = new URL("../../deploy/examples/counter/", import.meta.url);
const exampleName = "counter";
/** Longest name of a package that npm takes. */
const maxNameLength = 214;

export function ownManifest(): OwnManifest {
  return JSON.parse(readFileSync(fileURLToPath(new URL("../../package.json", import.meta.url)), "utf8")) as OwnManifest;
}

/** Why npm would take no new package of that name; "" where it does. */
export function whyNoName(name: string): string {
  if (name.length > maxNameLength) return `npm takes names of at most ${maxNameLength} characters`;
  if (!/^[a-z0-9-][a-z0-9._-]*$/.test(name))
    return "npm takes names of a-z, 0-9, -, _ and dots, which begin with a letter, a digit or -";
  if (["node_modules", "favicon.ico"].includes(name)) return "npm keeps it for itself";
  if (builtinModules.includes(name)) return "a module of Node is called so";
  if ([...Object.keys(dependenciesOf("")), ...Object.keys(developmentOf(ownManifest()))].includes(name))
    return "a package that it needs is called so";
  return "";
}

/** An application's name is a token of subjects, and shorter: what does not fit is left out; "counter" where nothing does. */
export function applicationName(name: string): string {
  const fitting = name
    .replaceAll(/[^a-z0-9-]+/g, "-")
    .replace(/^-+/, "")
    .slice(0, 32)
    .replace(/-+$/, "");
  return fitting === "" ? exampleName : fitting;
}

/** Text by its path in the project. */
export function projectFiles(project: NewProject): ReadonlyMap<string, string> {
  const application = applicationName(project.name);
  const files: [string, string][] = [
    ["package.json", json(manifestOf(project))],
    ["tsconfig.json", json(compilerConfig)],
    [".gitignore", "node_modules/\ndist/\n.twinlog/\n"],
    ...(project.isFolder ? [[".npmrc", "install-links=true\n"] as [string, string]] : []),
    ["README.md", readme(project.name, application)],
    ["src/counter.ts", named(example("counter.ts"), application)],
    ["src/counter.test.ts", example("counter.test.ts")],
    ...["alpha", "beta"].map((server): [string, string] => [`${server}.json`, json(settingsOf(server, application))]),
  ];
  return new Map(files);
}

function example(path: string): string {
  return readFileSync(fileURLToPath(new URL(path, exampleFolder)), "utf8");
}

function named(source: string, application: string): string {
  const before = `name: "${exampleName}"`;
  assert(source.split(before).length === 2, "the example has its name in one place");
  return source.replace(before, `name: "${application}"`);
}

function dependenciesOf(twinlog: string): Record<string, string> {
  return { twinlog, zod: ownManifest().peerDependencies.zod };
}

function developmentOf({ devDependencies }: OwnManifest): Record<string, string> {
  return { "@types/node": `^${devDependencies["@types/node"]}`, typescript: `^${devDependencies.typescript}` };
}

function manifestOf({ name, twinlog }: NewProject) {
  const own = ownManifest();
  return {
    name,
    version: "0.1.0",
    private: true,
    type: "module",
    engines: own.engines,
    scripts: {
      build: "tsc",
      prestart: "npm run build",
      start: "exec twinlog up --application dist/counter.js",
      // By itself: yarn runs no pretest.
      test: "tsc && node --test dist/*.test.js",
    },
    dependencies: dependenciesOf(twinlog),
    devDependencies: developmentOf(own),
  };
}

const compilerConfig = {
  compilerOptions: {
    target: "ES2023",
    module: "nodenext",
    types: ["node"],
    strict: true,
    noUncheckedIndexedAccess: true,
    rewriteRelativeImportExtensions: true,
    noEmitOnError: true,
    rootDir: "src",
    outDir: "dist",
    sourceMap: true,
  },
  include: ["src"],
};

/** The example's, but that the application is the project's own; and it is no service for tests. */
function settingsOf(server: string, application: string): Record<string, unknown> {
  const { testService: _, ...settings } = JSON.parse(example(`${server}.json`)) as Record<string, unknown>;
  return {
    ...settings,
    service: application,
    application: "./dist/counter.js",
    dataDirectory: `.twinlog/${application}-${server}`,
  };
}

function json(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}

function readme(name: string, application: string): string {
  return `# ${name}

An application on Twinlog: two servers run it, and when one dies the other goes on.

\`\`\`
npm install
npm test       # builds it, and tests it without NATS and without a disk: the server dies at every place in it
npm start      # builds it, and runs it as a pair on this machine, with all data under .twinlog/; Ctrl-C stops it
npm start -- --watch     # the same, and goes on with what \`npm run build\`, or \`npx tsc --watch\`, makes of src/ in a second terminal
\`\`\`

With pnpm too: it asks whether classic-level may run its build script, which it need not (\`allowBuilds: { classic-level: false }\` in pnpm-workspace.yaml).
With yarn 4 by \`nodeLinker: node-modules\` (its Plug'n'Play has no types for the compiler), and \`yarn build && yarn twinlog up --application dist/counter.js\` in
place of \`npm start\`.

While it runs, in a second terminal:

\`\`\`
npx twinlog request '{"counter":"apples","add":1}'
npx twinlog query '{"query":"value","counter":"apples"}'
npx twinlog schema               # what requests, results and queries look like
npx twinlog status --watch       # now kill -9 the primary's process, as npm start printed it
npx twinlog backup my.backup     # and \`npx twinlog verify my.backup\`
\`\`\`

A program of your own logs in with a key from there: \`connect({ nats: { servers: ["nats://127.0.0.1:4222"], nkeyFile: ".twinlog/access/client.nk" },
service: "${application}", client: "me", application: counter })\`. What may change in src/counter.ts beside data that is there, and what is another
\`version\` with a migration: actors/application/README.md in node_modules/twinlog.

| file | what |
|---|---|
| \`src/counter.ts\` | the application \`${application}\`: requests, results, tables, queues, queries |
| \`src/counter.test.ts\` | its test |
| \`alpha.json\`, \`beta.json\` | settings for servers of your own: \`npx twinlog init --config alpha.json\` once, with a nats-server that has JetStream on port 4222 (not that of \`npm start\`, which lets in nobody else: stop it first), then \`npx twinlog server --config alpha.json\` and the same with \`beta.json\`; \`npx twinlog status --config alpha.json\` |

What to know is in node_modules/twinlog: README.md, actors/application/README.md (what an application may do), deploy/OPERATING.md.
`;
}
