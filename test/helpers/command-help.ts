/**
 * What `twinlog --help` says of each command, for the page that is written from it and the test that holds it.
 */

import { buildProgram } from "../../deploy/commands/program.ts";
import type { CommandWorld } from "../../deploy/commands/world.ts";

const columns = 100;

/** A heading and a block for each command. */
export function helpOfCommands(): string {
  // All that a command asks of the world before it is run.
  const program = buildProgram({ environment: {} } as CommandWorld, "");
  return program.commands
    .map((command) => {
      let help = "";
      command.configureOutput({ getOutHelpWidth: () => columns, writeOut: (text) => (help += text) }).outputHelp();
      const text = help.replaceAll(/\n{3,}/g, "\n\n").trim();
      return `### ${command.name()}\n\n\`\`\`\n${text}\n\`\`\``;
    })
    .join("\n\n");
}
