/**
 * Request bodies at the edge: parsed once with the application's schema; inside, types are trusted. What always holds:
 * a parsed body is frozen JSON, of bounded depth, that parses to itself again (a resumed request is parsed from its record); equal bodies have equal hashes, whatever the order of their fields and whether defaults were written out.
 */
import { crc32 } from "node:zlib";
import { z } from "zod";
import type { Application } from "./define.ts";
import { messageOf } from "./errors.ts";
import { canonicalJson, describeIssues, freezeJson } from "./json.ts";

/** Longest partition key, in UTF-16 units: it becomes a token of the request's subject. */
const maxKeyLength = 128;

export type ParsedBody = { ok: true; value: unknown; key: string } | { ok: false; message: string };

export class BodyParser {
  readonly #application: Application;
  /** True if a parsed body's fields always come in the schema's order, so that plain JSON is canonical. */
  readonly #isOrdered: boolean;

  constructor(application: Application) {
    this.#application = application;
    this.#isOrdered = !isOpen(z.toJSONSchema(application.request, { io: "input" }));
  }

  /** Unknown fields are refused. The message, of bounded length, says what is wrong (INVALID_REQUEST). */
  parse(body: unknown): ParsedBody {
    try {
      const parsed = this.#application.request.safeParse(body);
      if (!parsed.success) return { ok: false, message: describeIssues(parsed.error) };
      freezeJson(parsed.data);
      const key = this.#application.key(parsed.data);
      if (typeof key !== "string" || key.length > maxKeyLength || /\p{Surrogate}/u.test(key))
        return { ok: false, message: `the partition key must be a text of at most ${maxKeyLength} characters` };
      return { ok: true, value: parsed.data, key };
    } catch (error) {
      return { ok: false, message: messageOf(error) };
    }
  }

  /** Of a parsed body: CRC-32 and length of its canonical JSON, in one number below 2^53. */
  hash(value: unknown): number {
    const text = this.#isOrdered ? JSON.stringify(value) : canonicalJson(value);
    return crc32(text) + (text.length % 2 ** 21) * 2 ** 32;
  }
}

/** True if the schema leaves some field or value open (records, loose objects, unknown), whose order is the sender's. */
function isOpen(schema: unknown): boolean {
  if (typeof schema !== "object" || schema === null) return false;
  if (Array.isArray(schema)) return schema.some(isOpen);
  const fields = Object.entries(schema).filter(([name]) => name !== "$schema");
  if (fields.length === 0) return true;
  return fields.some(([name, value]) => {
    if (name === "additionalProperties") return value !== false;
    if (name === "properties") return Object.values(value as object).some(isOpen);
    return name !== "default" && name !== "const" && name !== "enum" && isOpen(value);
  });
}
