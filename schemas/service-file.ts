/**
 * `service.json` in a service's data folder (`.twinlog`): where the service that was started there is reached. Written by `twinlog up`, read by
 * the other commands as the default of their options; an option or an environment variable goes before it.
 */
import { z } from "zod";
import { ServerName } from "./settings.ts";

/** Where a service that is started in a folder has its files, and the name of this one. */
export const normalDataFolder = ".twinlog";
export const serviceFileName = "service.json";

export const ServiceFile = z.object({
  service: ServerName,
  /** URL of nats-server. */
  nats: z.string().min(1),
  application: z.string().min(1).default("exchange"),
  /** A folder with contexts of the `nats` tool, one for each role. */
  access: z.string().min(1).optional(),
});
export type ServiceFile = z.infer<typeof ServiceFile>;
