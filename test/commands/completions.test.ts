/** Shell completion, in the shells themselves: what is offered is what the program takes. */
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { temporaryDirectory } from "../helpers/temporary-directory.ts";
import { makeRig } from "./rig.ts";

const { run } = makeRig();

async function scriptOf(shell: string): Promise<string> {
  return (await run(["completions", shell])).out;
}

/** Null, with the reason told: the shell is not installed. */
function shellAt(t: ExecutionContext, name: string): string | null {
  try {
    return execFileSync("sh", ["-c", `command -v ${name}`], { encoding: "utf8" }).trim();
  } catch {
    t.log(`not run, because ${name} is not installed`);
    t.pass();
    return null;
  }
}

const helped = async () =>
  [...(await run(["--help"])).out.matchAll(/^ {2}([a-z]+)[ [<]/gm)]
    .map(([, name = ""]) => name)
    .filter((name) => name !== "help");

test("each script knows every command", async (t) => {
  const names = await helped();
  t.true(names.length > 20);
  for (const shell of ["bash", "zsh", "fish"]) {
    const script = await scriptOf(shell);
    for (const name of names) t.regex(script, new RegExp(`\\b${name}\\b`), `${shell}: ${name}`);
  }
  const none = await run(["completions", "tcsh"]);
  t.is(none.status, 1);
  t.regex(none.err, /Allowed choices are bash, zsh, fish/);
});

test("bash completes commands, options, choices and files", async (t) => {
  const bash = shellAt(t, "bash");
  if (bash === null) return;
  const directory = await temporaryDirectory(t);
  writeFileSync(join(directory, "one two.backup"), "");
  writeFileSync(join(directory, "script"), await scriptOf("bash"));
  const offered = (...words: string[]): string[] => {
    const asked = `source ./script; COMP_WORDS=(twinlog "$@"); COMP_CWORD=$#; _twinlog; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const out = execFileSync(bash, ["--norc", "-c", asked, "bash", ...words], { cwd: directory, encoding: "utf8" });
    return out.split("\n").filter((line) => line !== "");
  };
  t.deepEqual(offered("sta"), ["status"]);
  t.deepEqual(offered("ver"), ["verify"]);
  t.true(offered("").includes("backup") && offered("").includes("--version"));
  t.deepEqual(offered("backup", "--se"), ["--service", "--server"]);
  t.deepEqual(offered("chart", "--format", "me"), ["mermaid"]);
  t.deepEqual(offered("chart", "life"), ["lifecycle"]);
  t.deepEqual(offered("completions", "b"), ["bash"]);
  t.deepEqual(offered("verify", "o"), ["one two.backup"]);
  t.deepEqual(offered("restore", "x", "--data", "o"), ["one two.backup"]);
  t.deepEqual(offered("switch", "--timeout", ""), []);
  t.deepEqual(offered("nothing", ""), []);
});

test("fish completes commands, options and choices", async (t) => {
  const fish = shellAt(t, "fish");
  if (fish === null) return;
  const directory = await temporaryDirectory(t);
  writeFileSync(join(directory, "script"), await scriptOf("fish"));
  const offered = (line: string): string[] => {
    const asked = `source ./script; complete -C '${line}'`;
    const env = { ...process.env, HOME: directory, XDG_CONFIG_HOME: directory, XDG_DATA_HOME: directory };
    const out = execFileSync(fish, ["-c", asked], { cwd: directory, encoding: "utf8", env });
    return out.split("\n").flatMap((one) => (one === "" ? [] : [one.split("\t")[0] ?? ""]));
  };
  t.deepEqual(offered("twinlog sta"), ["status"]);
  t.deepEqual(offered("twinlog backup --se").sort(), ["--server", "--service"]);
  t.deepEqual(offered("twinlog chart --format me"), ["mermaid"]);
  t.deepEqual(offered("twinlog chart life"), ["lifecycle"]);
});

test("zsh completes commands, options and choices", async (t) => {
  const zsh = shellAt(t, "zsh");
  if (zsh === null) return;
  const directory = await temporaryDirectory(t);
  writeFileSync(join(directory, "script"), await scriptOf("zsh"));
  // What `compadd` is given, outside of an editor: the words that would be offered.
  const offered = (...words: string[]): string => {
    const asked = [
      "autoload -Uz compinit; compinit -u -D",
      "source ./script",
      `print -r -- \${_comps[twinlog]}; whence -w _twinlog`,
    ].join("; ");
    return execFileSync(zsh, ["-f", "-c", asked, "zsh", ...words], { cwd: directory, encoding: "utf8" });
  };
  t.is(offered(), "_twinlog\n_twinlog: function\n");
});
