/**
 * One request as a stopped server's log tells it: its records, its result number and its reply, and whether a duplicate would still
 * get that. What always holds: what is not on the disk any more is not taken for what never was; a request that an operator asks
 * for comes in a bounded number of records.
 */
import { recordKinds } from "../../machines/codec/record.ts";
import type { CheckpointMeta } from "../../schemas/checkpoint.ts";
import type { InspectVisitor } from "../inspect.ts";
import { eachRecord, json, recordOf } from "./inspect-lines.ts";

export interface Found {
  readonly client: string;
  readonly id: string;
  /** unknown: the log that is on the disk has no record of it. */
  readonly state: "done" | "in progress" | "unknown";
  /** The sequence of the record with its result. */
  readonly sequence: number | null;
  readonly resultNumber: number | null;
  readonly reply: unknown;
  /** A duplicate gets the reply; else it is EXPIRED, or executed anew where it has no stamp. */
  readonly isRemembered: boolean;
  readonly records: readonly object[];
  /** Records beyond those. */
  readonly omitted: number;
}

export class RequestSearch implements InspectVisitor {
  readonly #client: string;
  readonly #id: string;
  readonly #limit: number;
  #records: object[] = [];
  #count = 0;
  #final: { sequence: number; resultNumber: number; reply: unknown } | null = null;

  constructor(client: string, id: string, limit: number) {
    this.#client = client;
    this.#id = id;
    this.#limit = limit;
  }

  onBatch: NonNullable<InspectVisitor["onBatch"]> = ({ bytes }) =>
    eachRecord(bytes, (reader) => {
      if (reader.client !== this.#client || reader.id !== this.#id || reader.kind === recordKinds.history) return;
      this.#count += 1;
      if (this.#records.length < this.#limit) this.#records.push(recordOf(reader));
      const { sequence, resultNumber } = reader;
      if (reader.kind === recordKinds.final) this.#final = { sequence, resultNumber, reply: json(reader.reply) };
    });

  found({ forgottenThrough }: CheckpointMeta): Found {
    const final = this.#final;
    return {
      client: this.#client,
      id: this.#id,
      state: final === null ? (this.#count === 0 ? "unknown" : "in progress") : "done",
      sequence: final?.sequence ?? null,
      resultNumber: final?.resultNumber ?? null,
      reply: final?.reply ?? null,
      isRemembered: final !== null && final.sequence > forgottenThrough,
      records: this.#records,
      omitted: this.#count - this.#records.length,
    };
  }
}

export function foundText(found: Found, { firstRetained, forgottenThrough }: CheckpointMeta): string {
  const { client, id, state, sequence, resultNumber, reply, isRemembered, records, omitted } = found;
  const lines: [label: string, value: string][] = [["request", `${id} of ${client}`]];
  if (state === "unknown")
    lines.push([
      "state",
      firstRetained === 1
        ? "no record of it, and this disk has all of the log"
        : `no record of it on this disk, which has them from ${firstRetained} on: older, or never taken`,
    ]);
  else if (state === "in progress") lines.push(["state", "in progress: it has no result yet"]);
  else {
    lines.push(["state", `done: record ${sequence}, result ${resultNumber}`]);
    lines.push(["reply", JSON.stringify(reply) ?? ""]);
    lines.push([
      "remembered",
      isRemembered
        ? "yes: a duplicate gets this reply"
        : `no: replies through record ${forgottenThrough} are forgotten`,
    ]);
  }
  const text = lines.map(([label, value]) => `${label.padEnd(14)}${value}\n`).join("");
  const more = omitted === 0 ? "" : `and ${omitted} records more: --limit\n`;
  return `${text}${records.map((record) => `${JSON.stringify(record)}\n`).join("")}${more}`;
}
