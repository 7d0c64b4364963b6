/**
 * Walks effects in place, by offsets only: for the fold, which copies keys and values and reads neither. The format and
 * its owner is machines/codec/effects.ts; a test holds the two together.
 */
import { EffectError, effectKinds } from "../codec/effects.ts";

/** Offsets into the bytes that are walked. A put's value lies right behind its key. */
export interface EffectOffsets {
  put(part: number, keyAt: number, valueAt: number, end: number): void;
  delete(part: number, keyAt: number, end: number): void;
  push(part: number, valueAt: number, end: number): void;
  shift(part: number, count: number): void;
}

/** Throws EffectError when the bytes from `from` to `to` are not effects. */
export function walkEffects(bytes: Buffer, from: number, to: number, visitor: EffectOffsets): void {
  let at = from;
  while (at < to) {
    if (at + 4 > to) throw new EffectError("an effect is cut off");
    const part = bytes[at + 1] as number;
    switch (bytes[at]) {
      case effectKinds.put: {
        if (at + 8 > to) throw new EffectError("an effect is cut off");
        const valueAt = at + 8 + bytes.readUInt16LE(at + 2);
        const end = valueAt + bytes.readUInt32LE(at + 4);
        if (end > to) throw new EffectError("an effect is cut off");
        visitor.put(part, at + 8, valueAt, end);
        at = end;
        break;
      }
      case effectKinds.delete: {
        const end = at + 4 + bytes.readUInt16LE(at + 2);
        if (end > to) throw new EffectError("an effect is cut off");
        visitor.delete(part, at + 4, end);
        at = end;
        break;
      }
      case effectKinds.push: {
        if (at + 6 > to) throw new EffectError("an effect is cut off");
        const end = at + 6 + bytes.readUInt32LE(at + 2);
        if (end > to) throw new EffectError("an effect is cut off");
        visitor.push(part, at + 6, end);
        at = end;
        break;
      }
      case effectKinds.shift: {
        if (at + 6 > to) throw new EffectError("an effect is cut off");
        visitor.shift(part, bytes.readUInt32LE(at + 2));
        at += 6;
        break;
      }
      default:
        throw new EffectError(`no effect has the kind ${bytes[at]}`);
    }
  }
}
