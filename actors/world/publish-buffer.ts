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
import assert from "node:assert/strict";
import type { BusHeaders } from "./ports.ts";

const normalBytes = 128 * 1024;
/** Room for the words and numbers around a message. */
const controlBytes = 64;
/** What ends a word of the protocol. Other white space is legal, and comes in reply subjects of others. */
const separator = /[ \t\r\n]/;

export class PublishBuffer {
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
    assert(subject.length > 0 && !separator.test(subject), "a subject has no spaces");
    assert(!separator.test(reply), "a reply subject has no spaces");
    const headerBytes = headers === "" ? 0 : Buffer.byteLength(headers);
    const total = headerBytes + data.length;
    const target = reply === "" ? subject : `${subject} ${reply}`;
    const control = headerBytes === 0 ? `PUB ${target} ${total}\r\n` : `HPUB ${target} ${headerBytes} ${total}\r\n`;
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

/** Headers in the form of the protocol; "" for none. */
export function headerText(headers: BusHeaders | undefined): string {
  if (headers === undefined) return "";
  let text = "";
  for (const name in headers) {
    const value = headers[name] ?? "";
    assert(!/[\r\n]/.test(value), `the header ${name} has more than one line`);
    text += `${name}: ${value}\r\n`;
  }
  return text === "" ? "" : `NATS/1.0\r\n${text}\r\n`;
}
