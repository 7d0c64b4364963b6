/**
 * `twinlog schema`: what the requests, results and queries of a service look like, as it announces them: their JSON Schemas, or the whole
 * service as an AsyncAPI document.
 */
import { type Command, Option } from "commander";
import { inboxes } from "../../schemas/subjects.ts";
import { asyncApi } from "../asyncapi.ts";
import { askSchema, schemaWithinMs } from "./announced.ts";
import { type CommonOptions, serviceCommand } from "./service-command.ts";
import { CommandError, type CommandWorld, wholeNumber } from "./world.ts";

interface SchemaFlags extends CommonOptions {
  format: "json" | "asyncapi";
  client?: string;
  timeout: number;
}

export function schemaCommand(world: CommandWorld): Command {
  return serviceCommand(
    world,
    "schema",
    "print what requests, results and queries look like, as the service announces it",
    ["twinlog schema | jq .schemas.request", "twinlog schema --format asyncapi > exchange.asyncapi.json"],
  )
    .addOption(
      new Option("--format <format>", "JSON Schemas, or an AsyncAPI 3 document")
        .choices(["json", "asyncapi"])
        .default("json"),
    )
    .option("--client <name>", "for whoever may only listen to answers of a client of this name")
    .option("--timeout <ms>", "how long to wait for an answer", wholeNumber("--timeout", 1), schemaWithinMs)
    .action(async ({ service, access, format, client, timeout }: SchemaFlags) => {
      const prefix = client === undefined ? undefined : inboxes.client(client);
      const bus = await world.connect(access, () => undefined, prefix);
      try {
        const announced = await askSchema(bus, world.clock, service, timeout);
        if ("unknown" in announced) throw new CommandError(announced.unknown);
        const { known } = announced;
        const hosts = access.nats.servers.map(hostOf);
        await world.out(`${JSON.stringify(format === "json" ? known : asyncApi({ ...known, hosts }), null, 2)}\n`);
      } finally {
        await bus.stop();
      }
    });
}

/** Without what is logged in with. */
function hostOf(url: string): string {
  return new URL(url.includes("://") ? url : `nats://${url}`).host;
}
