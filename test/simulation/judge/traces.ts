/**
 * Some requests of the simulated clients have a trace context, which is made of their names: so whoever meets it again, or misses it,
 * can say what it must be. What always holds: it comes to each handler that is called with the request, also after another server
 * began it, and stands in the record and the message of its result.
 */
import { createHash } from "node:crypto";
import { type RecordReader, recordKinds } from "../../../machines/codec/record.ts";

const everySo = 4;
/** How a reply begins that a simulated client is told. */
const beginning = /^\{"client":"([^"]+)","id":"([^"]+)"/;
const beginningBytes = 128;

/** "": it has none. Only clients that speak plain envelopes name their requests like this. */
export function traceOf(client: string, id: string): string {
  if (!/^client\d+$/.test(client) || !id.startsWith(`${client}-`)) return "";
  if (Number(id.slice(client.length + 1)) % everySo !== 0) return "";
  const hex = createHash("sha256").update(`${client} ${id}`).digest("hex");
  return `00-${hex.slice(0, 32)}-${hex.slice(32, 48)}-01`;
}

/** Why this is not the trace context that the request came with; null: it is. */
export function wrongTrace(client: string, id: string, found: string | undefined, where: string): string | null {
  const wanted = traceOf(client, id);
  return (found ?? "") === wanted
    ? null
    : `${id} of ${client} has the trace "${found ?? ""}" ${where}, not "${wanted}"`;
}

export function wrongTraceInRecord(reader: RecordReader): string | null {
  const { kind, client, id, traceparent, sequence } = reader;
  return kind === recordKinds.final ? wrongTrace(client, id, traceparent, `in record ${sequence}`) : null;
}

/** `data`: a reply, whole. */
export function wrongTraceOnResult(data: Uint8Array, found: string | undefined): string | null {
  const text = Buffer.from(data.buffer, data.byteOffset, Math.min(data.length, beginningBytes)).toString("latin1");
  const [, client = "", id = ""] = beginning.exec(text) ?? [];
  return wrongTrace(client, id, found, "on its result");
}
