/**
 * What is larger than the broker takes, which may take less today than when it was made (rule 13, 15). In full:
 *
 *   reply, answer   On the reply subject comes first a stand-in: a refusal REPLY_OMITTED with the header `Twinlog-Omitted: 1`;
 *                   then the reply's own bytes in pieces, each with the header `Twinlog-Piece: <index>/<count>`, from 1.
 *   result          On its subject comes a stand-in alone, with the result's headers but for `Twinlog-Result`, with another
 *                   `Nats-Msg-Id`, and with `Twinlog-Omitted: <result number>`. Where the subject itself is too long for the
 *                   broker, it comes on that of the empty key and the empty client, which nobody has.
 *   replay          The result comes in pieces, in its place, each with `Twinlog-Piece: <index>/<count>`,
 *                   `Twinlog-Piece-Of: <result number>` and the other headers of a result, but for `Twinlog-Result`.
 *
 * What always holds: pieces come in order, and their bytes after one another are the stored bytes; neither a stand-in nor a
 * piece has the headers by which a result is known, so that nobody who does not know of them takes one for a result; a
 * stored reply is never replaced.
 */

export const pieceHeaders = { piece: "Twinlog-Piece", of: "Twinlog-Piece-Of" } as const;

/** Whoever collects pieces holds so much and no more; what is larger is not sent in pieces. */
export const maxPiecedBytes = 64 * 1024 * 1024;

export interface PieceName {
  /** From 1. */
  readonly index: number;
  readonly count: number;
}

export function pieceText({ index, count }: PieceName): string {
  return `${index}/${count}`;
}

export function parsePiece(text: string): PieceName | null {
  const found = /^([1-9]\d{0,8})\/([1-9]\d{0,8})$/.exec(text);
  if (found === null) return null;
  const [index, count] = [Number(found[1]), Number(found[2])];
  return index <= count ? { index, count } : null;
}
