/**
 * JSON as people write it: a byte order mark is no fault, and any other fault is one line that says what and where.
 */

export class JsonFault extends Error {
  override readonly name = "JsonFault";
}

/** Throws JsonFault. */
export function parseJson(bytes: Uint8Array): unknown {
  const [first, second] = bytes;
  if ((first === 0xff && second === 0xfe) || (first === 0xfe && second === 0xff))
    throw new JsonFault("it is UTF-16: save it as UTF-8");
  const text = withoutMark(Buffer.from(bytes).toString("utf8"));
  if (text.trim() === "") throw new JsonFault("it is empty");
  try {
    return JSON.parse(text);
  } catch (error) {
    const slip = commonSlip(text);
    throw new JsonFault(slip === null ? (error as Error).message : `line ${lineAt(text, slip.at)}: ${slip.says}`);
  }
}

/** Some editors begin a file with it. */
export function withoutMark(text: string): string {
  return text.startsWith("\ufeff") ? text.slice(1) : text;
}

/** Strings are passed over; then what JavaScript allows and JSON does not. */
const slips = /"(?:[^"\\\n]|\\.)*"|(,)(?=\s*[}\]])|(\/[/*])|(')/g;

function commonSlip(text: string): { at: number; says: string } | null {
  for (const { index, 1: comma, 2: comment, 3: quote } of text.matchAll(slips)) {
    if (comma !== undefined) return { at: index, says: "a comma before a closing bracket, where JSON has none" };
    if (comment !== undefined) return { at: index, says: "a comment, which JSON does not have" };
    if (quote !== undefined) return { at: index, says: `a single quote, where JSON has double ones` };
  }
  return null;
}

function lineAt(text: string, at: number): number {
  return text.slice(0, at).split("\n").length;
}
