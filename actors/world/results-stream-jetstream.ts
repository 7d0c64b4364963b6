/**
 * A JetStream stream over a service's results (`init --results-stream`), under a name that the service's own gives. What always holds: it stands over
 * result subjects and nothing else, so that it answers no client; what is there already is never changed here.
 */

import { StreamAnswer } from "../../schemas/jetstream.ts";
import { type ResultsLimits, resultsStreamName } from "../../schemas/results-stream.ts";
import { subjects } from "../../schemas/subjects.ts";
import type { StreamSeen } from "../../schemas/surroundings.ts";
import { utf8Bytes } from "../../schemas/utf8.ts";
import type { NatsLine } from "./connection-nats.ts";

const streamNotFound = 10_059;
const msPerNs = 1e6;

export interface ResultsStreamOptions {
  readonly service: string;
  readonly timeoutMs: number;
  readonly line: Pick<NatsLine, "request">;
}

export class ResultsStream {
  readonly #options: ResultsStreamOptions;
  readonly name: string;
  /** What it has to stand over. */
  readonly subject: string;

  constructor(options: ResultsStreamOptions) {
    this.#options = options;
    this.name = resultsStreamName(options.service);
    this.subject = subjects.results(options.service);
  }

  /** null: there is none. Rejects where NATS does not say. */
  async look(): Promise<StreamSeen | null> {
    const answer = await this.#ask("INFO", {});
    if ("error" in answer) {
      if (answer.error.err_code === streamNotFound) return null;
      throw new Error(answer.error.description ?? `error ${answer.error.code}`);
    }
    return seenIn(answer, this.name);
  }

  /** Makes it. Rejects where NATS refuses: other streams may stand over the same subjects. */
  async make({ maxAgeMs, maxBytes, duplicateMs }: ResultsLimits, replicas: number): Promise<void> {
    const answer = await this.#ask("CREATE", {
      name: this.name,
      description: `results of the service ${this.#options.service}, each once`,
      subjects: [this.subject],
      retention: "limits",
      storage: "file",
      discard: "old",
      num_replicas: replicas,
      max_consumers: -1,
      max_msgs: -1,
      max_bytes: maxBytes,
      max_age: maxAgeMs * msPerNs,
      duplicate_window: duplicateMs * msPerNs,
      // Servers wait for no answer, and nobody else may publish there.
      no_ack: true,
    });
    if ("error" in answer) throw new Error(answer.error.description ?? `error ${answer.error.code}`);
  }

  async #ask(what: "INFO" | "CREATE", request: object) {
    const { line, timeoutMs } = this.#options;
    const body = what === "INFO" ? new Uint8Array() : utf8Bytes(JSON.stringify(request));
    const message = await line.request(`$JS.API.STREAM.${what}.${this.name}`, body, timeoutMs);
    return StreamAnswer.parse(JSON.parse(message.string()));
  }
}

function seenIn({ config, state }: Exclude<StreamAnswer, { error: unknown }>, name: string): StreamSeen {
  return {
    name,
    subjects: config.subjects ?? [],
    maxBytes: config.max_bytes ?? -1,
    maxAgeMs: (config.max_age ?? 0) / msPerNs,
    duplicateMs: (config.duplicate_window ?? 0) / msPerNs,
    messages: state?.messages ?? 0,
    bytes: state?.bytes ?? 0,
    stored: state?.last_seq ?? 0,
  };
}
