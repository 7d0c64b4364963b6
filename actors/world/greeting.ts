/** The greeting as bytes (schemas/greeting.ts): what a server says first on a main link, and reads before it believes anything else. */
import {
  GreetingProof,
  Greeting as GreetingSchema,
  GreetingVersion,
  linkProtocolVersion,
} from "../../schemas/greeting.ts";

export const maxGreetingBytes = 1024;

export interface Greeting {
  readonly service: string;
  readonly server: string;
  readonly to: string;
  /** Which process speaks, on the wire as `life`; a crash notifier names it. Older programs do not say it. */
  readonly processId?: string | undefined;
  /** Largest frame that the speaker takes. Older programs do not say it. */
  readonly maxFrameBytes?: number | undefined;
  readonly nonce?: string | undefined;
  readonly proof?: string | undefined;
}

export function greetingOf({ processId, ...greeting }: Greeting): Uint8Array {
  return Buffer.from(JSON.stringify({ twinlog: linkProtocolVersion, ...greeting, life: processId }));
}

export function greetingProofOf(proof: string): Uint8Array {
  return Buffer.from(JSON.stringify({ proof }));
}

/** Null: it is none. Throws nothing, whatever the bytes are. */
export function readGreetingProof(frame: Uint8Array): string | null {
  return GreetingProof.safeParse(readJson(frame)).data?.proof ?? null;
}

/** The greeting, or why it is none. Throws nothing, whatever the bytes are. */
export function readGreeting(frame: Uint8Array): Greeting | string {
  const value = readJson(frame);
  const version = GreetingVersion.safeParse(value).data?.twinlog;
  if (version === undefined) return "the peer does not speak Twinlog";
  if (version !== linkProtocolVersion)
    return `the peer speaks version ${Number.isSafeInteger(version) ? version : "?"} of the link, this server ${linkProtocolVersion}`;
  const parsed = GreetingSchema.safeParse(value);
  if (!parsed.success) return `the peer's greeting does not fit: ${parsed.error.issues[0]?.path.join(".")}`;
  const { twinlog: _, life, ...greeting } = parsed.data;
  return life === undefined ? greeting : { ...greeting, processId: life };
}

function readJson(frame: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(frame.buffer, frame.byteOffset, frame.byteLength).toString());
  } catch {
    return undefined;
  }
}
