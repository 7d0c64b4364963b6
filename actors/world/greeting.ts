/**
 * The greeting: the first frame each way on a main link. It says who speaks, for which service, to whom and in which
 * version, so that a wrong port, another service or an old program is found before a record is sent.
 */
export const linkProtocolVersion = 1;
export const maxGreetingBytes = 1024;

export interface Greeting {
  readonly service: string;
  readonly server: string;
  readonly to: string;
  /** Which process speaks, on the wire as `life`; a crash notifier names it. Older programs do not say it. */
  readonly processId?: string | undefined;
  /** Largest frame that the speaker takes. Older programs do not say it. */
  readonly maxFrameBytes?: number | undefined;
}

export function greetingOf({ service, server, to, processId, maxFrameBytes }: Greeting): Uint8Array {
  return Buffer.from(
    JSON.stringify({ twinlog: linkProtocolVersion, service, server, to, life: processId, maxFrameBytes }),
  );
}

/** The greeting, or why it is none. */
export function readGreeting(frame: Uint8Array): Greeting | string {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(frame.buffer, frame.byteOffset, frame.byteLength).toString());
  } catch {
    value = null;
  }
  if (typeof value !== "object" || value === null || !("twinlog" in value)) return "the peer does not speak Twinlog";
  const { twinlog, service, server, to, life, maxFrameBytes } = value as Record<string, unknown>;
  if (twinlog !== linkProtocolVersion)
    return `the peer speaks version ${String(twinlog)} of the link, this server ${linkProtocolVersion}`;
  if (typeof service !== "string" || typeof server !== "string" || typeof to !== "string")
    return "the peer's greeting is not complete";
  return {
    service,
    server,
    to,
    ...(typeof life === "string" ? { processId: life } : {}),
    ...(typeof maxFrameBytes === "number" && maxFrameBytes > 0 ? { maxFrameBytes } : {}),
  };
}
