/**
 * Messages on their way to the broker, in the broker's own text protocol: the publishes of one turn in one buffer and one
 * write. The client library's publish costs about three times as much for a message, and this is on the hot path twice for each
 * request (its reply, its result).
 *
 *   PUB <subject> [reply] <bytes>␍␊<data>␍␊      HPUB <subject> [reply] <header bytes> <bytes>␍␊<headers><data>␍␊
 *
 * What always holds: what is put in leaves in that order; nothing is kept of the caller's bytes; what was not taken when
 * the connection went is dropped with it (situation 15).
 */
import type { Outgoing } from "./line-nats.ts";
import { publishLine } from "./message-nats.ts";

const normalBytes = 128 * 1024;
/** Room for the words and numbers around a message. */
const controlBytes = 64;

export class PublishBuffer implements Outgoing {
  #bytes = Buffer.allocUnsafe(normalBytes);
  #length = 0;

  /** Bytes that wait to be taken. */
  get length(): number {
    return this.#length;
  }

  /** True if the buffer must be taken before this message can be put in. */
  isFullFor(bytes: number): boolean {
    return this.#length > 0 && this.#length + bytes + controlBytes > normalBytes;
  }

  put(subject: string, reply: string, headers: string, data: Uint8Array): void {
    const headerBytes = headers === "" ? 0 : Buffer.byteLength(headers);
    const total = headerBytes + data.length;
    const control = publishLine(subject, reply, headerBytes, total);
    this.#room(3 * control.length + total + 2);
    const bytes = this.#bytes;
    let at = this.#length;
    at += bytes.write(control, at);
    if (headerBytes > 0) at += bytes.write(headers, at);
    bytes.set(data, at);
    at += data.length;
    bytes[at] = 13;
    bytes[at + 1] = 10;
    this.#length = at + 2;
  }

  /** All that waits; the buffer is empty and new afterwards. */
  take(): Buffer {
    const taken = this.#bytes.subarray(0, this.#length);
    this.#bytes = Buffer.allocUnsafe(normalBytes);
    this.#length = 0;
    return taken;
  }

  drop(): void {
    this.#length = 0;
  }

  #room(bytes: number): void {
    if (this.#length + bytes <= this.#bytes.length) return;
    const grown = Buffer.allocUnsafe(Math.max(2 * this.#bytes.length, this.#length + bytes));
    this.#bytes.copy(grown, 0, 0, this.#length);
    this.#bytes = grown;
  }
}
