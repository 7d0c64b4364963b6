/**
 * `twinlog permissions`: what a user of a role needs to be allowed on NATS, to be pasted into its configuration. What always
 * holds: it asks nobody and changes nothing.
 */
import { Command, Option } from "commander";
import { type Role, type RoleUser, roleNames, roles, whyNoUser } from "../../schemas/roles.ts";
import { confText, natsPermissions, nscText } from "../nats/permissions.ts";
import { CommandError, type CommandWorld, parseService, usualName } from "./world.ts";

const formats = ["nats.conf", "nsc", "json"] as const;

interface PermissionsFlags {
  role: Role;
  name?: string;
  service: string;
  bucket: string;
  account?: string;
  format: (typeof formats)[number];
}

/** Whose name stands in subjects that others act on. */
const named: ReadonlySet<Role> = new Set(["client", "server"]);

const examples = `
Roles:
${roleNames.map((role) => `  ${role.padEnd(14)} ${roles[role]}`).join("\n")}

Examples:
  $ twinlog permissions --role client --name alice
  $ twinlog permissions --role server --name alpha --format nsc
`;

export function permissionsCommand({ environment, serviceFile, out, err }: CommandWorld): Command {
  return new Command("permissions")
    .description("print what a user of a role has to be allowed on NATS, to paste into its configuration")
    .addOption(new Option("--role <role>", "what the user is").choices(roleNames).makeOptionMandatory())
    .option(
      "--name <name>",
      "the client's or the server's name; of others, as TWINLOG_NAME tells their commands (default: cli)",
    )
    .option(
      "--service <name>",
      "the service's name; also from TWINLOG_SERVICE",
      parseService,
      parseService(environment.TWINLOG_SERVICE ?? serviceFile?.service ?? "exchange"),
    )
    .option("--bucket <name>", "the registry's bucket (setting registry.bucket)", "twinlog")
    .addOption(
      new Option("--format <format>", "nats.conf: a user's block; nsc: a command line")
        .choices(formats)
        .default("nats.conf"),
    )
    .option("--account <name>", "with --format nsc: whose user it is (default: the service's name)")
    .addHelpText("after", examples)
    .action(async ({ role, service, bucket, format, ...given }: PermissionsFlags) => {
      if (given.name === undefined && named.has(role)) throw new CommandError(`a ${role} needs its --name`);
      const name = given.name ?? environment.TWINLOG_NAME ?? usualName;
      const user: RoleUser = { role, name, service, bucket };
      const why = whyNoUser(user);
      if (why !== "") throw new CommandError(why);
      if (format === "json") await out(`${JSON.stringify(natsPermissions(user), null, 2)}\n`);
      else if (format === "nats.conf") await out(confText(user));
      else {
        await out(nscText(user, given.account ?? service));
        err("of a user that is there already: `nsc edit user` takes the same flags, and adds to what he has\n");
      }
    });
}
