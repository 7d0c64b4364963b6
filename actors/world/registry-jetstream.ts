/**
 * The Registry port on a JetStream key-value bucket: one record a service, changed only by compare-and-set.
 * What always holds:
 * 1. Reads and writes go to the stream's leader, past the library's key-value class, whose answers are less clear (a
 *    missing bucket and a missing key look alike there).
 * 2. A write is sent once. Only the clear answer "wrong last sequence" is `lost`, only an acknowledgement is `won`; a
 *    timeout, a lost connection or any other error is `unknown`, because the write may have landed or may still land.
 */
import { type ApiError, MessageAnswer, NamesAnswer, PublishAnswer, StreamAnswer } from "../../schemas/jetstream.ts";
import {
  type RegistryRead,
  type RegistryRecord,
  type RegistryWrite,
  readRegistryRecord,
} from "../../schemas/registry.ts";
import type { RegistryWarning } from "../../schemas/surroundings.ts";
import type { NatsLine } from "./connection-nats.ts";
import { headerText } from "./message-nats.ts";
import type { Registry } from "./ports.ts";
import { brokerWarnings, bucketWarnings, streamConfigOf } from "./registry-warnings.ts";

export interface JetStreamRegistryOptions {
  readonly service: string;
  readonly bucket: string;
  readonly replicas: number;
  readonly timeoutMs: number;
  readonly line: NatsLine;
}

/** "wrong last sequence": what the broker says to a compare-and-set that came too late (10164 on newer servers). */
const wrongLastSequence = new Set([10_071, 10_164]);
const streamNotFound = 10_059;
const messageNotFound = 10_037;
const streamNameInUse = 10_058;

const nothing = new Uint8Array();
const restoreIt = "`twinlog init --restore` puts the newest one that servers know in its place";

export class JetStreamRegistry implements Registry {
  readonly #options: JetStreamRegistryOptions;
  readonly #stream: string;
  readonly #subject: string;

  constructor(options: JetStreamRegistryOptions) {
    this.#options = options;
    this.#stream = `KV_${options.bucket}`;
    this.#subject = `$KV.${options.bucket}.${options.service}`;
  }

  async read(): Promise<RegistryRead> {
    try {
      return await this.#use(() => this.#readOnce());
    } catch (error) {
      return { outcome: "unavailable", reason: reasonOf(error) };
    }
  }

  async compareAndSet(record: RegistryRecord, expectedRevision: number): Promise<RegistryWrite> {
    return this.#write(record, expectedRevision);
  }

  /** The key counts as missing only if nothing was ever written to it: a deleted one is `lost`, and a person has to look. */
  async create(record: RegistryRecord): Promise<RegistryWrite> {
    try {
      const refused = await this.#use(() => this.#makeBucket());
      if (refused !== null) return { outcome: "unknown", reason: refused };
    } catch (error) {
      return { outcome: "unknown", reason: reasonOf(error) };
    }
    return this.#write(record, 0);
  }

  async warnings(): Promise<RegistryWarning[]> {
    try {
      return await this.#use(async () => {
        const answer = await this.#ask(`STREAM.INFO.${this.#stream}`, {}, StreamAnswer);
        const bucket = "config" in answer ? bucketWarnings(answer.config, this.#options) : [];
        return [...brokerWarnings(this.#options.line.info, this.#options.replicas), ...bucket];
      });
    } catch (error) {
      return [{ kind: "untold", says: `NATS could not be asked about its settings: ${reasonOf(error)}` }];
    }
  }

  /** A stream with `no_ack` says nothing to whoever published: it harms nobody. */
  async streamsOver(subjects: readonly string[]): Promise<string[] | null> {
    try {
      return await this.#use(async () => {
        const names = new Set<string>();
        for (const subject of subjects) {
          const answer = await this.#ask("STREAM.NAMES", { subject }, NamesAnswer);
          if ("error" in answer) return null;
          for (const name of answer.streams ?? []) names.add(name);
        }
        for (const name of names) {
          const answer = await this.#ask(`STREAM.INFO.${name}`, {}, StreamAnswer);
          if ("config" in answer && answer.config.no_ack === true) names.delete(name);
        }
        return [...names].sort();
      });
    } catch {
      return null;
    }
  }

  /** Null if there is a bucket now, however it was made; else why not. */
  async #makeBucket(): Promise<string | null> {
    const found = await this.#ask(`STREAM.INFO.${this.#stream}`, {}, StreamAnswer);
    if (!("error" in found)) return null;
    if (found.error.err_code !== streamNotFound) return describe(found.error);
    const made = await this.#ask(`STREAM.CREATE.${this.#stream}`, streamConfigOf(this.#options), StreamAnswer);
    // Another server may have been quicker, with other settings.
    return "error" in made && made.error.err_code !== streamNameInUse ? describe(made.error) : null;
  }

  async #readOnce(): Promise<RegistryRead> {
    const answer = await this.#ask(`STREAM.MSG.GET.${this.#stream}`, { last_by_subj: this.#subject }, MessageAnswer);
    if ("error" in answer) {
      const { err_code } = answer.error;
      return err_code === streamNotFound || err_code === messageNotFound
        ? { outcome: "missing" }
        : { outcome: "unavailable", reason: describe(answer.error) };
    }
    const { hdrs, data, seq } = answer.message;
    // A deletion is a message with a header of the key-value class.
    if (hdrs !== undefined && /^KV-Operation:\s*(DEL|PURGE)\s*$/im.test(fromBase64(hdrs)))
      return { outcome: "missing", revision: seq };
    const record = readRegistryRecord(fromBase64(data ?? ""));
    if (typeof record === "string")
      return { outcome: "unavailable", reason: `revision ${seq} is damaged: ${record}; ${restoreIt}`, revision: seq };
    if (record.service !== this.#options.service)
      return { outcome: "unavailable", reason: `revision ${seq} is of the service ${record.service}` };
    return { outcome: "found", record, revision: seq };
  }

  async #write(record: RegistryRecord, expectedRevision: number): Promise<RegistryWrite> {
    const headers = headerText({ "Nats-Expected-Last-Subject-Sequence": `${expectedRevision}` });
    try {
      const { line, timeoutMs } = this.#options;
      const message = await this.#use(() =>
        line.request(this.#subject, Buffer.from(JSON.stringify(record)), timeoutMs, headers),
      );
      const answer = PublishAnswer.parse(JSON.parse(message.string()));
      if ("error" in answer)
        return wrongLastSequence.has(answer.error.err_code ?? 0)
          ? { outcome: "lost" }
          : { outcome: "unknown", reason: describe(answer.error) };
      if (answer.stream !== this.#stream || answer.duplicate === true)
        return { outcome: "unknown", reason: `a strange acknowledgement: ${message.string()}` };
      return { outcome: "won", revision: answer.seq };
    } catch (error) {
      return { outcome: "unknown", reason: reasonOf(error) };
    }
  }

  async #ask<T>(what: string, request: object, schema: { parse(value: unknown): T }): Promise<T> {
    const { line, timeoutMs } = this.#options;
    const body = Object.keys(request).length === 0 ? nothing : Buffer.from(JSON.stringify(request));
    const message = await line.request(`$JS.API.${what}`, body, timeoutMs);
    return schema.parse(JSON.parse(message.string()));
  }

  /** Holds the line for one operation, so that a command that only reads the registry needs nothing else started. */
  async #use<T>(run: () => Promise<T>): Promise<T> {
    const { line } = this.#options;
    line.acquire();
    try {
      await line.ready(this.#options.timeoutMs);
      return await run();
    } finally {
      await line.release();
    }
  }
}

function fromBase64(text: string): string {
  return Buffer.from(text, "base64").toString();
}

function describe(error: ApiError): string {
  return `${error.description ?? "refused"} (${error.err_code ?? error.code})`;
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  // The library's errors say least in their message: a code is all that some have.
  const code = "code" in error && typeof error.code === "string" ? error.code : "";
  if (code === "503") return "JetStream does not answer (no responders)";
  const words = error.message.replace(/[:\s]+$/, "");
  return code === "" || words.includes(code) ? words : `${words} (${code})`;
}
