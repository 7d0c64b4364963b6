/**
 * What a service says of its application on `<service>.schema`: JSON Schemas (draft 7) of what clients send and get, for
 * programs that do not have the application's module. Asked with any message; each server answers for itself.
 */
import { z } from "zod";

/** Longest answer, in bytes; larger schemas are not told, and the answer says so. The broker may take less. */
export const maxSchemaBytes = 256 * 1024;

/** A JSON Schema of draft 7; its own fields are JSON Schema's business. */
export const JsonSchema = z.union([z.boolean(), z.record(z.string(), z.unknown())]);
export type JsonSchema = z.infer<typeof JsonSchema>;

export const ApplicationSchemas = z.object({
  /** Of a request's body, as it is sent. */
  request: JsonSchema,
  /** Of `result` in a reply. */
  result: JsonSchema,
  /** Of a query's body, by its name, without the field `query`, which is the name. */
  queries: z.record(z.string(), JsonSchema),
  /** Of `result` in a query's answer, by its name, as far as the application says it; an earlier release says none. */
  answers: z.record(z.string(), JsonSchema).optional(),
});
export type ApplicationSchemas = z.infer<typeof ApplicationSchemas>;

export const AnnouncedSchema = z.object({
  service: z.string(),
  server: z.string(),
  application: z.string(),
  /** Of everything by which servers know each other's application, as in the metadata of `$SRV.INFO`. */
  digest: z.string(),
  /** The primary's answer: its application runs requests. */
  hot: z.boolean(),
  schemas: ApplicationSchemas.optional(),
  /** Why there are none. */
  omitted: z.string().optional(),
});
export type AnnouncedSchema = z.infer<typeof AnnouncedSchema>;
