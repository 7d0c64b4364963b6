/**
 * `twinlog new DIR`: a project with an application of one's own, to begin with. What always holds: it writes into an empty folder alone, and
 * all or nothing of what can be refused is refused before anything is written.
 */
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { basename, dirname, join, relative, resolve } from "node:path";
import process from "node:process";
import { Command } from "commander";
import { givenSource, ownFolder, sourceOf } from "../installed.ts";
import { applicationName, ownManifest, projectFiles, whyNoName } from "../new-project.ts";
import { CommandError, type CommandWorld } from "./world.ts";

const examples = `
Examples:
  $ twinlog new my-app
  $ npx ./twinlog-0.1.0.tgz new my-app
  $ twinlog new my-app --twinlog ./twinlog-0.1.0.tgz
`;

export function newCommand({ out }: Pick<CommandWorld, "out">): Command {
  return new Command("new")
    .description("write a small project with an application of your own: the counter, its test, settings, scripts")
    .argument("<folder>", "a new or empty one; the package is called as it is")
    .option(
      "--twinlog <spec>",
      "what its package.json says of twinlog: a version, or the path of a package or checkout (default: where this program came from)",
    )
    .addHelpText("after", examples)
    .action(async (given: string, { twinlog }: { twinlog?: string }) => {
      const folder = resolve(given);
      const name = basename(folder);
      const why = whyNoName(name);
      if (why !== "") throw new CommandError(`${name}: no name for a package: ${why}`);
      refuseUnlessEmpty(folder);
      const { spec, isFolder } =
        twinlog === undefined
          ? sourceOf(ownFolder, folder, ownManifest().version)
          : givenSource(twinlog, process.cwd(), folder);
      const files = projectFiles({ name, twinlog: spec, isFolder });
      write(folder, files);
      await out(told(folder, name, files.size, spec));
    });
}

/** A repository that was just made, or cloned while it is empty, is empty. */
function refuseUnlessEmpty(folder: string): void {
  let found: string[];
  try {
    found = readdirSync(folder).filter((entry) => entry !== ".git");
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === "ENOENT") return;
    throw new CommandError(code === "ENOTDIR" ? `${folder} is no folder` : `${folder}: ${message}`);
  }
  if (found.length > 0)
    throw new CommandError(`${folder} is not empty (${found.slice(0, 3).join(", ")}${found.length > 3 ? ", …" : ""})`);
}

function write(folder: string, files: ReadonlyMap<string, string>): void {
  try {
    for (const [path, text] of files) {
      const file = join(folder, path);
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, text, { flag: "wx" });
    }
  } catch (error) {
    throw new CommandError(`cannot write the project: ${(error as Error).message}`);
  }
}

function told(folder: string, name: string, files: number, spec: string): string {
  const there = relative(process.cwd(), folder);
  const steps = [
    ...(there === "" ? [] : [`cd ${/\s/.test(there) ? `'${there}'` : there}`]),
    "npm install",
    "npm test       # tests it, without NATS and without a disk",
    "npm start      # runs it as a pair on this machine; Ctrl-C stops it",
  ];
  return `${folder}: ${files} files, with the application ${applicationName(name)} in src/counter.ts, on twinlog ${spec}. Now type

${steps.map((step) => `  ${step}\n`).join("")}
and while it runs, in a second terminal in the same folder

  npx twinlog request '{"counter":"apples","add":1}'
  npx twinlog status --watch
`;
}
