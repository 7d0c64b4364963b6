/**
 * A number below 2^53 for a JSON value, worked out without writing the JSON. What always holds: equal values have equal
 * numbers, whatever the order of their fields (a field's number is added to its object's). It finds accidents, not
 * forgeries, and must never change: the numbers are in the log.
 */
/** The two halves of the number being worked out. */
let high = 0;
let low = 0;
const number = new Float64Array(1);
const halves = new Uint32Array(number.buffer);

/** Of plain JSON, not nested deeper than the stack. */
export function hashOf(value: unknown): number {
  high = 0x1e3779b9;
  low = 0x7f4a7c15;
  mix(value);
  return (finish(high ^ (low >>> 13)) & 0x1fffff) * 2 ** 32 + finish(low ^ (high >>> 11));
}

/** Of any JSON; 0 where it is nested deeper than the stack. */
export function hashOfAny(value: unknown): number {
  try {
    return hashOf(value);
  } catch {
    return 0;
  }
}

/** Goes on from `high` and `low` with one value. */
function mix(value: unknown): void {
  switch (typeof value) {
    case "string":
      mixText(value);
      return;
    case "number":
      number[0] = value;
      mixWord(2);
      mixWord(halves[0] ?? 0);
      mixWord(halves[1] ?? 0);
      return;
    case "boolean":
      mixWord(value ? 3 : 4);
      return;
    default:
      if (typeof value !== "object" || value === null) mixWord(5);
      else if (Array.isArray(value)) {
        mixWord(6 + 16 * value.length);
        for (const item of value) mix(item);
      } else mixFields(value as Readonly<Record<string, unknown>>);
  }
}

function mixFields(fields: Readonly<Record<string, unknown>>): void {
  mixWord(7);
  const highBefore = high;
  const lowBefore = low;
  let highSum = 0;
  let lowSum = 0;
  for (const name in fields) {
    const value = fields[name];
    if (value === undefined) continue;
    // Each field starts from the same state, so that their order does not matter.
    high = highBefore;
    low = lowBefore;
    mixText(name);
    mix(value);
    highSum = (highSum + finish(high)) | 0;
    lowSum = (lowSum + finish(low)) | 0;
  }
  high = highBefore;
  low = lowBefore;
  mixWord(highSum);
  mixWord(lowSum);
}

function mixText(text: string): void {
  let first = Math.imul(high ^ (1 + 16 * text.length), 0x85ebca6b);
  let second = low;
  for (let at = 0; at < text.length; at += 1) {
    const unit = text.charCodeAt(at);
    first = Math.imul(first ^ unit, 0x9e3779b1);
    second = Math.imul(second ^ unit, 0x5f356495);
    second = (second << 7) | (second >>> 25);
  }
  high = first;
  low = second;
}

function mixWord(word: number): void {
  high = Math.imul(high ^ word, 0x9e3779b1) ^ (high >>> 15);
  low = Math.imul(((low << 7) | (low >>> 25)) ^ word, 0x5f356495);
}

function finish(word: number): number {
  let mixed = Math.imul(word ^ (word >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}
