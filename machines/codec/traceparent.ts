/**
 * A request's trace context in a record: in a final record as bytes; behind a body, which is JSON, as white space, two bits a
 * character, so that programs that know nothing of it read the same body.
 */

/** Of version 00, without it: trace id, span id, flags. */
export const traceBytes = 25;
/** Of what stands behind a body. */
export const traceSpaceBytes = 4 * traceBytes;

const spaces = [0x20, 0x09, 0x0a, 0x0d] as const;

/** `traceparent`: as `readTraceparent` gives it, and not "". */
export function writeTrace(target: Buffer, at: number, traceparent: string): number {
  return target.write(traceparent.slice(3).replaceAll("-", ""), at, "hex");
}

/** From `traceBytes` bytes. */
export function readTrace(bytes: Buffer, at: number): string {
  const hex = (from: number, to: number) => bytes.toString("hex", at + from, at + to);
  return `00-${hex(0, 16)}-${hex(16, 24)}-${hex(24, traceBytes)}`;
}

/** "" for "". */
export function traceAsSpace(traceparent: string): string {
  if (traceparent === "") return "";
  const trace = Buffer.alloc(traceBytes);
  writeTrace(trace, 0, traceparent);
  const text = Buffer.alloc(traceSpaceBytes);
  for (let at = 0; at < traceSpaceBytes; at += 1)
    text[at] = spaces[((trace[at >> 2] as number) >> (2 * (at & 3))) & 3] as number;
  return text.toString("latin1");
}

/** What stands behind the JSON that ends at `end`; "" where that is anything else. */
export function traceBehind(bytes: Buffer, start: number, end: number): string {
  const from = end - traceSpaceBytes;
  if (from <= start) return "";
  const trace = Buffer.alloc(traceBytes);
  for (let at = 0; at < traceSpaceBytes; at += 1) {
    const bits = spaces.indexOf(bytes[from + at] as (typeof spaces)[number]);
    if (bits < 0) return "";
    trace[at >> 2] = (trace[at >> 2] as number) | (bits << (2 * (at & 3)));
  }
  return readTrace(trace, 0);
}
