/**
 * The first frames of a main link, on one side: a greeting each way, and where the servers share keys the proof of each that it
 * has one. The dialler greets; who answers greets too, with a proof; then the dialler gives its own.
 * What always holds: a proof is of both nonces, and of who gives it to whom, so that none that was seen before, or is
 * somebody else's, serves again; without one nobody is greeted where it is required; no bytes of a stranger's are repeated
 * in a refusal but names that are names.
 */
import { randomBytes } from "node:crypto";
import { type Greeting, greetingOf, greetingProofOf, readGreeting, readGreetingProof } from "./greeting.ts";
import { type PeerProof, whyUnproven } from "./peer-proof.ts";

const nonceBytes = 16;
const encoding = "base64url";

/** Why a connection is none of ours. `kind`: one of few, whatever strangers say. */
export interface Refusal {
  readonly kind: string;
  readonly says: string;
  /** Set where it gives no proof: who it says that it is, a configured server. */
  readonly unproven?: { readonly peer: string; readonly why: string };
}

export type Step =
  /** The first words are over. `answer`: what is said to that, before anything else. */
  | { readonly outcome: "greeted"; readonly greeting: Greeting; readonly answer: Uint8Array | null }
  | { readonly outcome: "waits"; readonly answer: Uint8Array }
  | { readonly outcome: "refused"; readonly refusal: Refusal };

export interface HandshakeOptions {
  /** How this server greets; `to` where it dials. */
  readonly own: Omit<Greeting, "to">;
  readonly dialled: string | null;
  readonly proof: PeerProof | undefined;
  /** Null: it is a peer that may speak here, if it proves it. */
  readonly recognise: (greeting: Greeting) => Refusal | null;
}

export class Handshake {
  readonly #options: HandshakeOptions;
  readonly #nonce: string | undefined;
  /** Of who dialled, while its proof is waited for. */
  #greeting: Greeting | null = null;

  constructor(options: HandshakeOptions) {
    this.#options = options;
    this.#nonce = options.proof === undefined ? undefined : randomBytes(nonceBytes).toString(encoding);
  }

  /** What the dialler says first. */
  greeting(to: string): Uint8Array {
    return greetingOf({ ...this.#options.own, to, nonce: this.#nonce });
  }

  take(frame: Uint8Array): Step {
    const greeting = this.#greeting;
    if (greeting === null) return this.#takeGreeting(frame);
    if (!this.#proves(greeting, readGreetingProof(frame))) return unproven(greeting, true);
    // Another process of that name may have come to speak meanwhile.
    const refusal = this.#options.recognise(greeting);
    return refusal === null ? { outcome: "greeted", greeting, answer: null } : refused(refusal);
  }

  #takeGreeting(frame: Uint8Array): Step {
    const { proof, dialled } = this.#options;
    const greeting = readGreeting(frame);
    if (typeof greeting === "string") return refused({ kind: greeting.replaceAll(/\d+/g, ""), says: greeting });
    const refusal = this.#options.recognise(greeting);
    if (refusal !== null) return refused(refusal);
    // Without a nonce it has no key, or is of an older program.
    const isProving = proof !== undefined && greeting.nonce !== undefined;
    if (!isProving && proof?.isRequired === true) return unproven(greeting, false);
    if (dialled === null) return this.#answer(greeting, isProving);
    if (!isProving) return { outcome: "greeted", greeting, answer: null };
    if (!this.#proves(greeting, greeting.proof ?? null)) return unproven(greeting, true);
    return { outcome: "greeted", greeting, answer: greetingProofOf(this.#proofFor(greeting)) };
  }

  /** To who dialled. */
  #answer(greeting: Greeting, isProving: boolean): Step {
    const own = { ...this.#options.own, to: greeting.server };
    if (!isProving) return { outcome: "greeted", greeting, answer: greetingOf(own) };
    this.#greeting = greeting;
    return {
      outcome: "waits",
      answer: greetingOf({ ...own, nonce: this.#nonce, proof: this.#proofFor(greeting) }),
    };
  }

  #proofFor(greeting: Greeting): string {
    const { own, proof } = this.#options;
    const context = contextOf({ ...own, to: greeting.server }, [this.#nonce, greeting.nonce]);
    return proof?.keys.sign([context]).toString(encoding) ?? "";
  }

  #proves(greeting: Greeting, given: string | null): boolean {
    const { proof } = this.#options;
    const context = contextOf(greeting, [greeting.nonce, this.#nonce]);
    return given !== null && proof?.keys.proves(Buffer.from(given, encoding), [context]) === true;
  }
}

/** Of who gives it, and of its own nonce before the other's. */
function contextOf(
  { service, server, to, processId = "" }: Greeting,
  nonces: readonly (string | undefined)[],
): Uint8Array {
  return Buffer.from(JSON.stringify(["twinlog greeting", service, server, to, processId, ...nonces]));
}

const refused = (refusal: Refusal): Step => ({ outcome: "refused", refusal });

function unproven({ server: peer }: Greeting, hasProof: boolean): Step {
  const why = whyUnproven(hasProof);
  return refused({ kind: "unproven", says: `${peer}: ${why}`, unproven: { peer, why } });
}
