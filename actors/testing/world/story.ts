/**
 * What happened in a run, for people: one line an event, in the product's words, with the virtual time.
 *
 * What always holds: a line that a fault told carries the number of its occurrence; a shortened story keeps the order,
 * keeps what weighs most, and says how many lines it leaves out.
 */

/** note: what a server says of itself. life: starts and ends. request: what clients sent and were told. */
export type StoryKind = "fault" | "violation" | "request" | "life" | "registry" | "note";

export interface StoryLine {
  readonly atMs: number;
  readonly who: string;
  readonly text: string;
  readonly kind: StoryKind;
  /** The occurrence that did it, as `--only` names it. */
  readonly fault: number | null;
}

const weights: Readonly<Record<StoryKind, number>> = {
  violation: 100,
  fault: 8,
  request: 7,
  registry: 6,
  life: 5,
  note: 3,
};
/** What a line gains when it comes just before what went wrong, and loses when it comes after. */
const nearby = 4;
const nearbyMs = 500;
const maxTextLength = 150;

export class Story {
  readonly lines: StoryLine[] = [];
  #fault: number | null = null;

  tell(atMs: number, who: string, text: string, kind: StoryKind = "note"): void {
    const fault = this.#fault;
    this.lines.push({ atMs, who, text, kind: fault === null ? kind : "fault", fault });
  }

  /** What is told meanwhile is this occurrence's doing. */
  within(fault: number, run: () => void): void {
    const before = this.#fault;
    this.#fault = fault;
    try {
      run();
    } finally {
      this.#fault = before;
    }
  }
}

/** The lines that say most, at most so many; `aroundMs` is when something went wrong. */
export function shortStory(all: readonly StoryLine[], maxLines: number, aroundMs: number): string {
  const lines = withoutRepeats(all.toSorted((a, b) => a.atMs - b.atMs));
  const kept = new Set(
    lines
      .toSorted(
        (a, b) => weightOf(b, aroundMs) - weightOf(a, aroundMs) || distance(a, aroundMs) - distance(b, aroundMs),
      )
      .slice(0, maxLines),
  );
  const out: string[] = [];
  let leftOut = 0;
  for (const line of lines) {
    if (!kept.has(line)) {
      leftOut += 1;
      continue;
    }
    if (leftOut > 0) out.push(gap(leftOut));
    leftOut = 0;
    out.push(format(line));
  }
  if (leftOut > 0) out.push(gap(leftOut));
  return out.join("\n");
}

export function wholeStory(all: readonly StoryLine[]): string {
  return all
    .toSorted((a, b) => a.atMs - b.atMs)
    .map(format)
    .join("\n");
}

function weightOf({ kind, atMs }: StoryLine, aroundMs: number): number {
  const weight = weights[kind];
  if (atMs > aroundMs) return weight - nearby;
  return atMs >= aroundMs - nearbyMs ? weight + nearby : weight;
}

function distance({ atMs }: StoryLine, aroundMs: number): number {
  return Math.abs(atMs - aroundMs);
}

/** The same words of the same server again and again: the first and the last of them say it. */
function withoutRepeats(lines: readonly StoryLine[]): StoryLine[] {
  const count = new Map<string, number>();
  for (const { who, text } of lines) count.set(`${who} ${text}`, (count.get(`${who} ${text}`) ?? 0) + 1);
  const seen = new Map<string, number>();
  return lines.filter(({ who, text }) => {
    const key = `${who} ${text}`;
    const times = (seen.get(key) ?? 0) + 1;
    seen.set(key, times);
    return times === 1 || times === count.get(key);
  });
}

function gap(lines: number): string {
  return `${"".padStart(14)}… ${lines} lines left out`;
}

function format({ atMs, who, text, kind, fault }: StoryLine): string {
  const mark = kind === "violation" ? "!!" : fault === null ? "" : `f${fault}`;
  const short = text.length > maxTextLength ? `${text.slice(0, maxTextLength)}…` : text;
  return `${atMs.toFixed(1).padStart(9)} ms ${mark.padStart(3)} ${who.replace("#", "-").padEnd(10)} ${short}`;
}
