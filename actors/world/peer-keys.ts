/**
 * The keys that the servers of a service share: with them each proves to the others who speaks (SECURITY.md). The file has one
 * or two, a line each; the first signs, both are believed, so that a new one goes to all servers as the second before it becomes
 * the first. What always holds: the file is read anew within `readEveryMs`; where that fails the keys that were read last
 * stay, and the log says so; no error and no log shows a key.
 */
import { createHmac, timingSafeEqual } from "node:crypto";
import { LinkError } from "./link-error.ts";
import type { Clock, Log } from "./ports.ts";
import { QuietLog } from "./quiet-log.ts";
import { readSecret, SecretFileError } from "./secret-file.ts";

/** Of an HMAC with SHA-256, cut to its first half. */
export const proofBytes = 16;

const readEveryMs = 5_000;
const maxKeys = 2;
const minKeyLength = 32;
const maxKeyLength = 512;
const printable = /^[\x21-\x7e]+$/;

export class PeerKeys {
  readonly #path: string;
  readonly #clock: Clock;
  readonly #quiet: QuietLog;
  #keys: readonly string[];
  #readMs: number;
  #isReading = false;

  private constructor(path: string, keys: readonly string[], clock: Clock, log: Log) {
    this.#path = path;
    this.#keys = keys;
    this.#clock = clock;
    this.#quiet = new QuietLog(clock, log);
    this.#readMs = clock.nowMs();
  }

  /** Throws LinkError `KEY_FILE`. */
  static async open(path: string, clock: Clock, log: Log): Promise<PeerKeys> {
    try {
      return new PeerKeys(path, keysIn(await readSecret(path), path), clock, log);
    } catch (cause) {
      if (!(cause instanceof SecretFileError)) throw cause;
      throw new LinkError("KEY_FILE", `peers.keyFile: ${cause.message}`, { cause });
    }
  }

  /** Of all the parts together, one behind the other; who makes them sees to it that they can be told apart. */
  sign(parts: readonly Uint8Array[]): Buffer {
    this.refresh();
    return proofOf(this.#keys[0] ?? "", parts);
  }

  proves(proof: Uint8Array, parts: readonly Uint8Array[]): boolean {
    this.refresh();
    if (proof.length !== proofBytes) return false;
    return this.#keys.some((key) => timingSafeEqual(proofOf(key, parts), proof));
  }

  /** Reads the file again, if it is time; nobody waits for it. */
  refresh(): void {
    const nowMs = this.#clock.nowMs();
    if (this.#isReading || nowMs - this.#readMs < readEveryMs) return;
    this.#isReading = true;
    this.#readMs = nowMs;
    readSecret(this.#path)
      .then((text) => {
        this.#keys = keysIn(text, this.#path);
      })
      .catch((error: Error) =>
        this.#quiet.warn("read", { error: error.message }, "peers.keyFile cannot be read: the keys stay as they were"),
      )
      .finally(() => {
        this.#isReading = false;
      });
  }
}

function keysIn(text: string, path: string): string[] {
  const keys = text.split(/\r?\n/).filter((line) => line !== "");
  if (keys.length === 0) throw new SecretFileError(`${path} is empty; make a key with: openssl rand -base64 32`);
  if (keys.length > maxKeys) throw new SecretFileError(`${path} has ${keys.length} lines; at most ${maxKeys} keys`);
  if (!keys.every((key) => key.length >= minKeyLength && key.length <= maxKeyLength && printable.test(key)))
    throw new SecretFileError(
      `${path} has a key that is none: ${minKeyLength} to ${maxKeyLength} printable characters without spaces; make one with: openssl rand -base64 32`,
    );
  return keys;
}

function proofOf(key: string, parts: readonly Uint8Array[]): Buffer {
  const hmac = createHmac("sha256", key);
  for (const part of parts) hmac.update(part);
  return hmac.digest().subarray(0, proofBytes);
}
