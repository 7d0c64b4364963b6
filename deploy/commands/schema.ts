/**
 * `twinlog schema`: what the requests, results and queries of a service look like, as it announces them: their JSON Schemas, types
 * of TypeScript, or the whole service as an AsyncAPI document.
 */
import { type Command, Option } from "commander";
import { inboxes } from "../../schemas/subjects.ts";
import { asyncApi } from "../asyncapi.ts";
import { NoGenerator, schemaTypes } from "../schema-types.ts";
import { askSchema, type Known, schemaWithinMs } from "./announced.ts";
import { type CommonOptions, serviceCommand } from "./service-command.ts";
import { CommandError, type CommandWorld, wholeNumber } from "./world.ts";

interface SchemaFlags extends CommonOptions {
  format: "json" | "types" | "asyncapi";
  client?: string;
  timeout: number;
}

export function schemaCommand(world: CommandWorld): Command {
  return serviceCommand(
    world,
    "schema",
    "print what requests, results and queries look like, as the service announces it",
    [
      "twinlog schema | jq .schemas.request",
      "twinlog schema --format types > exchange.ts",
      "twinlog schema --format asyncapi > exchange.asyncapi.json",
    ],
  )
    .addOption(
      new Option("--format <format>", "JSON Schemas, types of TypeScript, or an AsyncAPI 3 document")
        .choices(["json", "types", "asyncapi"])
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
        await world.out(await textOf(announced.known, format, access.nats.servers.map(hostOf)));
      } finally {
        await bus.stop();
      }
    });
}

async function textOf(known: Known, format: SchemaFlags["format"], hosts: readonly string[]): Promise<string> {
  if (format !== "types")
    return `${JSON.stringify(format === "json" ? known : asyncApi({ ...known, hosts }), null, 2)}\n`;
  try {
    return await schemaTypes(known);
  } catch (error) {
    if (error instanceof NoGenerator) throw new CommandError(error.message);
    throw error;
  }
}

/** Without what is logged in with. */
function hostOf(url: string): string {
  return new URL(url.includes("://") ? url : `nats://${url}`).host;
}
