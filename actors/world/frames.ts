/**
 * Frames on a stream of bytes: `u32 length, u32 crc32, bytes`, little-endian; the checksum is of the bytes.
 * What always holds: a frame is delivered whole and unmodified or not at all; no more memory is set aside for a frame
 * than the limit allows, whatever its header claims; after a FrameError the stream is of no more use.
 */
import { crc32 } from "node:zlib";

export const frameHeaderBytes = 8;

/** The stream is not what a peer sends: too long a frame, or damaged bytes. */
export class FrameError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "FrameError";
  }
}

export function byteLengthOf(parts: readonly Uint8Array[]): number {
  let bytes = 0;
  for (const part of parts) bytes += part.length;
  return bytes;
}

export function copyParts(parts: readonly Uint8Array[], to: Uint8Array, from: number): void {
  let at = from;
  for (const part of parts) {
    to.set(part, at);
    at += part.length;
  }
}

/** One buffer with header and parts: the parts are copied, so that the caller may use them again at once. */
export function encodeFrame(parts: readonly Uint8Array[], byteLength = byteLengthOf(parts)): Buffer {
  const frame = Buffer.allocUnsafe(frameHeaderBytes + byteLength);
  copyParts(parts, frame, frameHeaderBytes);
  frame.writeUInt32LE(byteLength, 0);
  frame.writeUInt32LE(crc32(frame.subarray(frameHeaderBytes)), 4);
  return frame;
}

/** Takes a stream apart into frames. A frame that lies in one chunk is a view of it; else it is put together once. */
export class FrameReader {
  readonly #onFrame: (frame: Uint8Array) => void;
  readonly #header = Buffer.alloc(frameHeaderBytes);
  #maxBytes: number;
  #headerFilled = 0;
  #body: Buffer | null = null;
  #bodyFilled = 0;
  #checksum = 0;
  #stopped = false;

  constructor(maxBytes: number, onFrame: (frame: Uint8Array) => void) {
    this.#maxBytes = maxBytes;
    this.#onFrame = onFrame;
  }

  /** From the next frame on: a greeting is short, what follows may be longer. */
  allow(maxBytes: number): void {
    this.#maxBytes = maxBytes;
  }

  /** No frame is delivered after this, not even one whose bytes are here. */
  stop(): void {
    this.#stopped = true;
    this.#body = null;
  }

  /** Throws FrameError. */
  push(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length && !this.#stopped) {
      at = this.#body === null ? this.#readHeader(chunk, at) : this.#readBody(this.#body, chunk, at);
    }
  }

  #readHeader(chunk: Buffer, at: number): number {
    const taken = Math.min(frameHeaderBytes - this.#headerFilled, chunk.length - at);
    chunk.copy(this.#header, this.#headerFilled, at, at + taken);
    this.#headerFilled += taken;
    if (this.#headerFilled < frameHeaderBytes) return at + taken;
    this.#headerFilled = 0;
    const length = this.#header.readUInt32LE(0);
    this.#checksum = this.#header.readUInt32LE(4);
    if (length > this.#maxBytes)
      throw new FrameError(`a frame of ${length} bytes; at most ${this.#maxBytes} are allowed`);
    const from = at + taken;
    if (chunk.length - from >= length) {
      this.#deliver(chunk.subarray(from, from + length));
      return from + length;
    }
    this.#body = Buffer.allocUnsafeSlow(length);
    this.#bodyFilled = 0;
    return from;
  }

  #readBody(body: Buffer, chunk: Buffer, at: number): number {
    const taken = Math.min(body.length - this.#bodyFilled, chunk.length - at);
    chunk.copy(body, this.#bodyFilled, at, at + taken);
    this.#bodyFilled += taken;
    if (this.#bodyFilled === body.length) {
      this.#body = null;
      this.#deliver(body);
    }
    return at + taken;
  }

  #deliver(frame: Buffer): void {
    if (crc32(frame) !== this.#checksum) throw new FrameError(`a frame of ${frame.length} bytes is damaged`);
    this.#onFrame(frame);
  }
}
