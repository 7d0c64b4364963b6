/**
 * `.twinlog/service.json`: where the service that was started in this folder is reached. Written by `twinlog up`, read by
 * the other commands as the default of their options; an option or an environment variable goes before it.
 */
import { z } from "zod";
import { ServerName } from "./settings.ts";

/** Path of the file, from the folder that the service was started in. */
export const serviceFilePath = ".twinlog/service.json";

export const ServiceFile = z.object({
  service: ServerName,
  /** URL of nats-server. */
  nats: z.string().min(1),
  application: z.string().min(1).default("exchange"),
});
export type ServiceFile = z.infer<typeof ServiceFile>;
