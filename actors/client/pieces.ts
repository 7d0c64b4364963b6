/**
 * Puts together what came in pieces (schemas/pieces.ts). What always holds: nothing comes out but all the bytes of one
 * message, in order; a gap, or a piece of another message, and it begins anew; memory is bounded.
 */
import { maxPiecedBytes, parsePiece } from "../../schemas/pieces.ts";

export class PieceCollector {
  #parts: Uint8Array[] = [];
  #of = "";
  #count = 0;
  #bytes = 0;

  /** `of`: which message, `name`: the header of the piece. The whole message, once this was its last piece; else null. */
  take(of: string, name: string, data: Uint8Array): Uint8Array | null {
    const piece = parsePiece(name);
    if (piece === null) return null;
    const { index, count } = piece;
    const isNext = index === this.#parts.length + 1 && count === this.#count && of === this.#of;
    if (!isNext) {
      this.#drop();
      if (index !== 1) return null;
      this.#count = count;
      this.#of = of;
    }
    this.#bytes += data.length;
    if (this.#bytes > maxPiecedBytes) {
      this.#drop();
      return null;
    }
    this.#parts.push(data);
    if (index < count) return null;
    const whole = new Uint8Array(this.#bytes);
    let at = 0;
    for (const part of this.#parts) {
      whole.set(part, at);
      at += part.length;
    }
    this.#drop();
    return whole;
  }

  #drop(): void {
    this.#parts = [];
    this.#count = 0;
    this.#bytes = 0;
  }
}
