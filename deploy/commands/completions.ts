/**
 * `twinlog completions bash|zsh|fish`: a script for the shell, to be sourced or put where it finds such scripts. What always holds: the script
 * asks nothing and runs nothing; every word in it is quoted.
 */
import { Argument, Command } from "commander";
import { type Completed, type CompletedCommand, completedCommands } from "./completion-words.ts";
import type { CommandWorld } from "./world.ts";

const shells = { bash: bashScript, zsh: zshScript, fish: fishScript } as const;

export function completionsCommand(world: Pick<CommandWorld, "out">): Command {
  const command = new Command("completions")
    .description("print a script with which a shell completes this command's words")
    .addArgument(new Argument("<shell>", "which one").choices(Object.keys(shells)))
    .addHelpText(
      "after",
      "\nExamples:\n  $ source <(twinlog completions bash)\n  $ twinlog completions zsh > ~/.zfunc/_twinlog\n  $ twinlog completions fish > ~/.config/fish/completions/twinlog.fish\n",
    );
  return command.action(async (shell: keyof typeof shells) => {
    const { parent } = command;
    if (parent === null) throw new Error("it is a command of a program");
    await world.out(shells[shell](completedCommands(parent)));
  });
}

/** For a POSIX shell, as one word. */
const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;

function bashScript(commands: readonly CompletedCommand[]): string {
  const cases = commands.map(({ name, options, values }) => {
    const taking = options.filter(({ value }) => value.kind !== "none");
    const byOption = taking.map(({ flag, value }) => `        ${flag}) ${bashOffer(value)}; return ;;\n`).join("");
    const [value = { kind: "any" as const }] = values;
    const flags = options.map(({ flag }) => flag).join(" ");
    return `    ${name})
      case "$before" in
${byOption}      esac
      if [[ "$word" == -* ]]; then COMPREPLY=($(compgen -W ${quoted(flags)} -- "$word")); else ${bashOffer(value)}; fi ;;
`;
  });
  return `# bash completion of twinlog: source <(twinlog completions bash)
_twinlog() {
  local word="\${COMP_WORDS[COMP_CWORD]}" before="\${COMP_WORDS[COMP_CWORD-1]}"
  COMPREPLY=()
  if [[ $COMP_CWORD -eq 1 ]]; then
    COMPREPLY=($(compgen -W ${quoted(`${commands.map(({ name }) => name).join(" ")} --help --version`)} -- "$word"))
    return
  fi
  case "\${COMP_WORDS[1]}" in
${cases.join("")}  esac
}
complete -o filenames -o bashdefault -F _twinlog twinlog
`;
}

function bashOffer(value: Completed): string {
  if (value.kind === "choices") return `COMPREPLY=($(compgen -W ${quoted(value.choices.join(" "))} -- "$word"))`;
  // One line a file, so that names with blanks stay whole.
  return value.kind === "files" ? 'mapfile -t COMPREPLY < <(compgen -f -- "$word")' : ":";
}

function zshScript(commands: readonly CompletedCommand[]): string {
  const names = commands.map(({ name, says }) => `    ${quoted(`${name}:${says.replaceAll(":", "\\:")}`)}\n`);
  const cases = commands.map(({ name, options, values }) => {
    const flags = options.map(({ flag, says, value }) => {
      const shown = says.replaceAll(/[\\[\]:]/g, "\\$&");
      const equals = value.kind === "none" ? "" : "=";
      return `        ${quoted(`${flag}${equals}[${shown}]${zshOffer(value)}`)} \\\n`;
    });
    const words = values.map((value) => `        ${quoted(zshOffer(value))} \\\n`);
    return `      ${name})
        _arguments \\
${flags.join("")}${words.join("")}        && return ;;
`;
  });
  return `#compdef twinlog
# zsh completion of twinlog: twinlog completions zsh > DIRECTORY/_twinlog, where DIRECTORY is in $fpath
_twinlog() {
  local state line curcontext="$curcontext"
  local -a commands
  commands=(
${names.join("")}  )
  _arguments -C '1: :->command' '*:: :->words'
  case $state in
    command) _describe -t commands command commands ;;
    words)
      case $words[1] in
${cases.join("")}      esac ;;
  esac
}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then _twinlog "$@"; else compdef _twinlog twinlog; fi
`;
}

function zshOffer(value: Completed): string {
  if (value.kind === "none") return "";
  if (value.kind === "choices") return `:value:(${value.choices.join(" ")})`;
  return value.kind === "files" ? ":value:_files" : ":value: ";
}

function fishScript(commands: readonly CompletedCommand[]): string {
  const fish = (text: string) => `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
  const lines = ["# fish completion of twinlog: twinlog completions fish > ~/.config/fish/completions/twinlog.fish"];
  lines.push("complete -c twinlog -f");
  for (const { name, says } of commands)
    lines.push(`complete -c twinlog -n __fish_use_subcommand -a ${name} -d ${fish(says)}`);
  const offer = (value: Completed): string => {
    if (value.kind === "none") return "";
    if (value.kind === "choices") return ` -x -a ${fish(value.choices.join(" "))}`;
    return value.kind === "files" ? " -r -F" : " -x";
  };
  for (const { name, options, values } of commands) {
    const within = `complete -c twinlog -n ${fish(`__fish_seen_subcommand_from ${name}`)}`;
    for (const { flag, says, value } of options)
      lines.push(`${within} -l ${flag.slice(2)} -d ${fish(says)}${offer(value)}`);
    const [value] = values;
    if (value?.kind === "files") lines.push(`${within} -F`);
    if (value?.kind === "choices") lines.push(`${within} -a ${fish(value.choices.join(" "))}`);
  }
  return `${lines.join("\n")}\n`;
}
