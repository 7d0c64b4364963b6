/**
 * A command that speaks with a service: which one, and how it gets there, is found out before it acts.
 */
import { Command } from "commander";
import type { LocalUser } from "../up/users.ts";
import { type Access, type AccessFlags, accessOf, addAccessOptions } from "./access.ts";
import { type CommandWorld, parseService } from "./world.ts";

export interface CommonOptions {
  service: string;
  access: Access;
}

const normalService = "exchange";
/** Who gives a command to a service on this machine: whoever may do just that. */
const users: Readonly<Record<string, LocalUser>> = {
  request: "client",
  query: "client",
  replay: "client",
  results: "integrator",
  schema: "integrator",
  status: "viewer",
  check: "viewer",
  console: "viewer",
  chart: "viewer",
  recover: "administrator",
  drill: "drill",
};

/** A command with the options that say which service is meant, and where. */
export function serviceCommand(world: CommandWorld, name: string, summary: string, examples: string[]): Command {
  const command = new Command(name)
    .description(summary)
    .option(
      "--service <name>",
      `the service's name; also from TWINLOG_SERVICE (default: the folder's, or ${normalService})`,
      parseService,
    );
  addAccessOptions(command);
  command.addHelpText("after", `\nExamples:\n${examples.map((example) => `  $ ${example}\n`).join("")}`);
  return command.hook("preAction", async (_program, acting) => {
    const { access, service } = await serviceMeant(world, name, acting.opts<ServiceFlags>());
    acting.setOptionValue("access", access);
    acting.setOptionValue("service", service);
  });
}

export type ServiceFlags = AccessFlags & { service?: string };

/** Which service a command speaks with, and how it gets there. */
export async function serviceMeant(world: CommandWorld, name: string, flags: ServiceFlags): Promise<CommonOptions> {
  const access = await accessOf(world, flags, { user: users[name] ?? "operator" });
  for (const line of access.warnings) world.err(`twinlog: warning: ${line}\n`);
  return { access, service: flags.service ?? serviceOf(world, flags, access) };
}

/** Not on the command line: a settings file that stands there says it too. */
function serviceOf({ environment, serviceFile }: CommandWorld, { config }: AccessFlags, { settings }: Access): string {
  const { TWINLOG_SERVICE: named } = environment;
  if (config !== undefined && settings !== undefined) return settings.service;
  if (named !== undefined) return parseService(named);
  return settings?.service ?? serviceFile?.service ?? normalService;
}
