/**
 * Messages on their way to the broker, in the broker's own text protocol: the publishes of one turn in one buffer and one
 * write. The client library's publish costs about three times as much for a message, and this is on the hot path twice for each
 * request (its reply, its result).
 *
 *   PUB <subject> [reply] <bytes>␍␊<data>␍␊      HPUB <subject> [reply] <header bytes> <bytes>␍␊<headers><data>␍␊
 *
 * What always holds: what is put in leaves in that order; nothing is kept of the caller's bytes; what was taken is not written over;
 * what was not taken when the connection went is dropped with it (situation 15). One block serves many turns: a new one for each
 * would be some 100 MB a second, for which V8 would mark the whole heap once or more a second.
 */
import type { Outgoing } from "./line-nats.ts";
import { publishLine } from "./message-nats.ts";

const normalBytes = 128 * 1024;
/** Room for the words and numbers around a message. */
const controlBytes = 64;

export class PublishBuffer implements Outgoing {
  #block = Buffer.allocUnsafeSlow(normalBytes);
  /** What waits to be taken lies from here */
  #start = 0;
  /** to here. */
  #end = 0;

  /** Bytes that wait to be taken. */
  get length(): number {
    return this.#end - this.#start;
  }

  /** True if the buffer must be taken before this message can be put in. */
  isFullFor(bytes: number): boolean {
    return this.length > 0 && this.length + bytes + controlBytes > normalBytes;
  }

  put(subject: string, reply: string, headers: string, data: Uint8Array): void {
    const headerBytes = headers === "" ? 0 : Buffer.byteLength(headers);
    const total = headerBytes + data.length;
    const control = publishLine(subject, reply, headerBytes, total);
    this.#room(3 * control.length + total + 2);
    const bytes = this.#block;
    let at = this.#end;
    at += bytes.write(control, at);
    if (headerBytes > 0) at += bytes.write(headers, at);
    bytes.set(data, at);
    at += data.length;
    bytes[at] = 13;
    bytes[at + 1] = 10;
    this.#end = at + 2;
  }

  /** All that waits; it is the receiver's. */
  take(): Buffer {
    const taken = this.#block.subarray(this.#start, this.#end);
    this.#start = this.#end;
    return taken;
  }

  drop(): void {
    this.#end = this.#start;
  }

  #room(bytes: number): void {
    if (this.#end + bytes <= this.#block.length) return;
    const { length } = this;
    const next = Buffer.allocUnsafeSlow(Math.max(normalBytes, 2 * length, length + bytes));
    this.#block.copy(next, 0, this.#start, this.#end);
    this.#block = next;
    this.#start = 0;
    this.#end = length;
  }
}
