/**
 * Which application a service runs, as far as a command can tell without asking it: what `--application` says, else what was started
 * in this folder, else the one that has the service's name. What always holds: another service's application is never taken for it.
 */
import { resolve } from "node:path";
import type { ApplicationDefinition } from "../../actors/application/contract.ts";
import { schemaDigest } from "../../actors/application/define.ts";
import { applications, findApplication } from "../applications.ts";
import type { CommandWorld } from "./world.ts";

export interface ApplicationFlags {
  readonly service: string;
  readonly application?: string;
}

/** Of `--application`, for commands that check bodies and tell keys by it. */
export const applicationWords = `${[...applications.keys()].join(", ")} or the path of a module: what the service runs, by which bodies are checked here already (default: what was started in this folder)`;

/** undefined: nothing is known of it here. Throws ApplicationNotFound. */
export async function knownApplication(
  { serviceFile }: CommandWorld,
  { service, application }: ApplicationFlags,
): Promise<ApplicationDefinition | undefined> {
  const started = serviceFile?.service === service ? serviceFile.application : undefined;
  const name = application ?? started ?? service;
  if (application === undefined && started === undefined && !applications.has(name)) return undefined;
  return await findApplication(name, resolve("settings.json"));
}

/** One that this program brings along, where it is just the one that a service announces. */
export function broughtAlong(digest: string): ApplicationDefinition | undefined {
  return [...applications.values()].find((application) => schemaDigest(application) === digest);
}
