/**
 * Effects as bytes: the changes that one transaction makes to tables and queues, in order. Values are JSON in UTF-8
 * and are copied, never parsed, by whoever only stores them (the checkpoint). `part` is the number of the table or queue
 * in the state's catalog (schemas/catalog.ts).
 *
 *   put    u8 1, u8 part, u16 key length, u32 value length, key, value      delete u8 2, u8 part, u16 key length, key
 *   push   u8 3, u8 part, u32 value length, value                            shift  u8 4, u8 part, u32 count
 */
export const effectKinds = { put: 1, delete: 2, push: 3, shift: 4 } as const;

/** Longest key of a table row, in bytes of UTF-8. */
export const maxRowKeyBytes = 1024;

export class EffectError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "EffectError";
  }
}

/** Collects a transaction's effects in one growing buffer that is used again for the next one. */
export class EffectWriter {
  #bytes = Buffer.allocUnsafe(4096);
  #length = 0;

  #room(bytes: number): void {
    if (this.#length + bytes <= this.#bytes.length) return;
    const grown = Buffer.allocUnsafe(Math.max(2 * this.#bytes.length, this.#length + bytes));
    this.#bytes.copy(grown, 0, 0, this.#length);
    this.#bytes = grown;
  }

  get length(): number {
    return this.#length;
  }

  reset(): void {
    this.#length = 0;
  }

  /** The bytes so far; valid until the next call of any method. */
  view(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  put(part: number, key: string, value: string): void {
    this.#room(8 + 3 * key.length + 3 * value.length);
    const bytes = this.#bytes;
    const at = this.#length;
    const keyLength = bytes.write(key, at + 8);
    if (keyLength > maxRowKeyBytes)
      throw new EffectError(`a row key of ${keyLength} bytes; at most ${maxRowKeyBytes} are allowed`);
    const valueLength = bytes.write(value, at + 8 + keyLength);
    bytes[at] = effectKinds.put;
    bytes[at + 1] = part;
    bytes.writeUInt16LE(keyLength, at + 2);
    bytes.writeUInt32LE(valueLength, at + 4);
    this.#length = at + 8 + keyLength + valueLength;
  }

  delete(part: number, key: string): void {
    this.#room(4 + 3 * key.length);
    const bytes = this.#bytes;
    const at = this.#length;
    const keyLength = bytes.write(key, at + 4);
    if (keyLength > maxRowKeyBytes)
      throw new EffectError(`a row key of ${keyLength} bytes; at most ${maxRowKeyBytes} are allowed`);
    bytes[at] = effectKinds.delete;
    bytes[at + 1] = part;
    bytes.writeUInt16LE(keyLength, at + 2);
    this.#length = at + 4 + keyLength;
  }

  push(part: number, value: string): void {
    this.#room(6 + 3 * value.length);
    const bytes = this.#bytes;
    const at = this.#length;
    const valueLength = bytes.write(value, at + 6);
    bytes[at] = effectKinds.push;
    bytes[at + 1] = part;
    bytes.writeUInt32LE(valueLength, at + 2);
    this.#length = at + 6 + valueLength;
  }

  shift(part: number, count: number): void {
    this.#room(6);
    const at = this.#length;
    this.#bytes[at] = effectKinds.shift;
    this.#bytes[at + 1] = part;
    this.#bytes.writeUInt32LE(count, at + 2);
    this.#length = at + 6;
  }
}

/** Told of each effect in order. Byte views point into the record and must be copied to be kept. */
export interface EffectVisitor {
  put(part: number, key: string, value: Uint8Array): void;
  delete(part: number, key: string): void;
  push(part: number, value: Uint8Array): void;
  shift(part: number, count: number): void;
}

/** Throws EffectError when the bytes are not effects. */
export function readEffects(effects: Uint8Array, visitor: EffectVisitor): void {
  const bytes = Buffer.from(effects.buffer, effects.byteOffset, effects.byteLength);
  const take = (from: number, length: number): number => {
    if (from + length > bytes.length) throw new EffectError("an effect is cut off");
    return from + length;
  };
  let at = 0;
  while (at < bytes.length) {
    take(at, 4);
    const part = bytes[at + 1] ?? 0;
    switch (bytes[at]) {
      case effectKinds.put: {
        const keyAt = take(at, 8);
        const valueAt = take(keyAt, bytes.readUInt16LE(at + 2));
        const end = take(valueAt, bytes.readUInt32LE(at + 4));
        visitor.put(part, bytes.toString("utf8", keyAt, valueAt), bytes.subarray(valueAt, end));
        at = end;
        break;
      }
      case effectKinds.delete: {
        const end = take(at + 4, bytes.readUInt16LE(at + 2));
        visitor.delete(part, bytes.toString("utf8", at + 4, end));
        at = end;
        break;
      }
      case effectKinds.push: {
        const valueAt = take(at, 6);
        const end = take(valueAt, bytes.readUInt32LE(at + 2));
        visitor.push(part, bytes.subarray(valueAt, end));
        at = end;
        break;
      }
      case effectKinds.shift: {
        const end = take(at, 6);
        visitor.shift(part, bytes.readUInt32LE(at + 2));
        at = end;
        break;
      }
      default:
        throw new EffectError(`no effect has the kind ${bytes[at]}`);
    }
  }
}
