/**
 * `twinlog password NAME`: gives an operator a password for the console, or takes it away. What always holds: the password is typed where it is
 * not shown, or read from standard input, and is no argument; what is written is a hash, in a file of its user alone.
 */
import { join } from "node:path";
import { Command } from "commander";
import { OperatorName } from "../../schemas/status.ts";
import { passwordsFileName, setPassword, whyNoPassword } from "../console/passwords.ts";
import { CommandError, type CommandWorld } from "./world.ts";

interface PasswordFlags {
  file?: string;
  remove: boolean;
}

const helpText = `
The console reads the file at each log-in and each action (\`twinlog console --login FILE\`; the one of \`npm start\` in its folder's
access/${passwordsFileName}): a name that is taken out of it can do nothing from then on.

Examples:
  $ twinlog password olga
  $ twinlog password olga --file passwords.json < secret.txt
  $ twinlog password olga --remove
`;

export function passwordCommand(world: CommandWorld): Command {
  return new Command("password")
    .description("give an operator a password for the console, or take it away")
    .argument("<name>", "the operator's name, as timeline and logs will tell it")
    .option("--file <file>", "the file of passwords (default: that of the service in this folder)")
    .option("--remove", "this operator has no password any more", false)
    .addHelpText("after", helpText)
    .action(async (name: string, { file: named, remove }: PasswordFlags) => {
      const file = named ?? ownFile(world);
      const { error } = OperatorName.safeParse(name);
      if (error !== undefined) throw new CommandError(`${JSON.stringify(name)}: ${error.issues[0]?.message}`);
      await setPassword(file, name, remove ? null : await passwordFrom(world));
      await world.out(`${name} ${remove ? "has no password any more" : "has a password"}, in ${file}\n`);
    });
}

function ownFile({ serviceFile }: CommandWorld): string {
  if (serviceFile?.access === undefined)
    throw new CommandError("which file? Name it with --file, or come to the folder in which `twinlog up` runs");
  return join(serviceFile.access, passwordsFileName);
}

async function passwordFrom(world: CommandWorld): Promise<string> {
  const typed = await world.askSecret("Password: ");
  const password = typed ?? (await world.readInput()).replace(/\r?\n$/, "");
  const why = whyNoPassword(password);
  if (why !== null) throw new CommandError(why);
  if (typed !== null && (await world.askSecret("Once more: ")) !== typed)
    throw new CommandError("these are not the same: nothing was changed");
  return password;
}
