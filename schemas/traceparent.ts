/**
 * The trace context of a request (W3C Trace Context, `traceparent`): which trace its work belongs to, and which span asked for it.
 * It is carried along and means nothing to the service: a header that is none is as if it were not there.
 */

/** Of requests as clients send them, and of their results. Lower case, as tracing libraries write and look for it. */
export const traceparentHeader = "traceparent";

/** Version 00: trace id and span id, neither all zeros, and flags. Of later versions this much is promised, and more may follow. */
const form = /^(?!ff)([0-9a-f]{2})-((?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2})(-.*)?$/;

/** As version 00; "" where it is none. */
export function readTraceparent(text: string | undefined): string {
  const found = text === undefined ? null : form.exec(text);
  if (found === null) return "";
  const [, version, context, more] = found;
  return version === "00" && more !== undefined ? "" : `00-${context}`;
}
