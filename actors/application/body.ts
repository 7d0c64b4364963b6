/**
 * Request bodies at the edge: parsed once with the application's schema; inside, types are trusted. What always holds:
 * a parsed body is frozen JSON, of bounded depth, that parses to itself again (a resumed request is parsed from its record); equal bodies have equal hashes, whatever the order of their fields and whether defaults were written out.
 */
import { hashOf } from "../../machines/codec/body-hash.ts";
import type { Application } from "./define.ts";
import { messageOf } from "./errors.ts";
import { describeIssues, freezeJson } from "./json.ts";

/** Longest partition key, in UTF-16 units: it becomes a token of the request's subject. */
const maxKeyLength = 128;

export type ParsedBody = { ok: true; value: unknown; key: string } | { ok: false; message: string };

export class BodyParser {
  readonly #application: Application;

  constructor(application: Application) {
    this.#application = application;
  }

  /** 53 bits over a parsed body. */
  hash(value: unknown): number {
    return hashOf(value);
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
}
