/**
 * What can be completed of the command line, read from the very definition that parses it. What always holds: nothing here knows
 * a command by its name, so that a new one is completed as soon as it is there.
 */
import type { Argument, Command, Option } from "commander";

export interface CompletedOption {
  /** With its dashes. */
  readonly flag: string;
  readonly says: string;
  readonly value: Completed;
}

/** none: an option that takes nothing. any: nothing can be offered. */
export type Completed =
  | { readonly kind: "none" | "any" | "files" }
  | { readonly kind: "choices"; readonly choices: readonly string[] };

export interface CompletedCommand {
  readonly name: string;
  readonly says: string;
  readonly options: readonly CompletedOption[];
  /** One after another. */
  readonly values: readonly Completed[];
}

/** A word in angles that stands for a path. */
const isPath = /file|folder|directory|path/i;

export function completedCommands(program: Command): CompletedCommand[] {
  const help: CompletedOption = { flag: "--help", says: "display help for command", value: { kind: "none" } };
  return program.commands.map((command) => ({
    name: command.name(),
    says: firstSentence(command.description()),
    options: [...command.options.filter(({ hidden }) => !hidden).flatMap(optionOf), help],
    values: command.registeredArguments.map(argumentOf),
  }));
}

function optionOf(option: Option): CompletedOption[] {
  if (option.long === undefined || option.long === null) return [];
  const takes = option.required || option.optional;
  const value: Completed = takes ? completedAs(option.argChoices, option.flags) : { kind: "none" };
  return [{ flag: option.long, says: firstSentence(option.description), value }];
}

function argumentOf(argument: Argument & { argChoices?: string[] }): Completed {
  return completedAs(argument.argChoices, argument.name());
}

function completedAs(choices: readonly string[] | undefined, shown: string): Completed {
  if (choices !== undefined) return { kind: "choices", choices };
  return { kind: isPath.test(shown) ? "files" : "any" };
}

/** A menu has one line for each. */
function firstSentence(text: string): string {
  return (
    text
      .split(/[;(]|\. /)[0]
      ?.trim()
      .replace(/:$/, "") ?? ""
  );
}
