/**
 * The greeting: the first frame each way on a main link, as JSON (actors/world/greeting.ts). It says who speaks, for which
 * service, to whom and in which version, so that a wrong port, another service or an old program is found before a record is
 * sent. Fields that are not known are passed over.
 */
import { z } from "zod";
import { maxIdLength } from "./ranges.ts";
import { ServerName } from "./settings.ts";

export const linkProtocolVersion = 1;

/** No link of any program takes more in one frame, in bytes. */
const maxFrameBytesEver = 0xffff_ffff;

const maxProofLength = 64;

/** Of whatever version. */
export const GreetingVersion = z.object({ twinlog: z.unknown().refine((version) => version !== undefined) });

export const Greeting = z.object({
  twinlog: z.literal(linkProtocolVersion),
  service: ServerName,
  server: ServerName,
  to: ServerName,
  /** Which process speaks; a crash notifier names it. Older programs do not say it. */
  life: z.string().min(1).max(maxIdLength).optional(),
  /** Largest frame that the speaker takes. Older programs do not say it. */
  maxFrameBytes: z.int().min(1).max(maxFrameBytesEver).optional(),
  /** Where the servers share keys: what the other one's proof is to be of. 16 random bytes, as base64url. */
  nonce: z.string().max(maxProofLength).optional(),
  /** Of whoever answers: that it has a key (actors/world/handshake.ts). As base64url. */
  proof: z.string().max(maxProofLength).optional(),
});
export type Greeting = z.infer<typeof Greeting>;

/** What a dialler says second, where the greeting that it got asks for it. */
export const GreetingProof = z.object({ proof: z.string().max(maxProofLength) });
