/**
 * Messages on their way to the broker from a browser, which sends few. What always holds: what is put in leaves in that order; nothing is kept of
 * the caller's bytes; what is taken has a buffer of its own, for the library hands a WebSocket all that is behind the bytes.
 */
import { utf8Bytes, utf8Length } from "../../schemas/utf8.ts";
import type { Outgoing } from "./line-nats.ts";
import { publishLine } from "./message-nats.ts";

const normalBytes = 64 * 1024;
const lineEnd = utf8Bytes("\r\n");

export class PublishParts implements Outgoing {
  #parts: Uint8Array[] = [];
  #length = 0;

  get length(): number {
    return this.#length;
  }

  isFullFor(bytes: number): boolean {
    return this.#length > 0 && this.#length + bytes > normalBytes;
  }

  put(subject: string, reply: string, headers: string, data: Uint8Array): void {
    const headerBytes = utf8Length(headers);
    const line = publishLine(subject, reply, headerBytes, headerBytes + data.length);
    for (const part of [utf8Bytes(line + headers), data.slice(), lineEnd]) {
      this.#parts.push(part);
      this.#length += part.length;
    }
  }

  take(): Uint8Array {
    const taken = new Uint8Array(this.#length);
    let at = 0;
    for (const part of this.#parts) {
      taken.set(part, at);
      at += part.length;
    }
    this.drop();
    return taken;
  }

  drop(): void {
    this.#parts = [];
    this.#length = 0;
  }
}
