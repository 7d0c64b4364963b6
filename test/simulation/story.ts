/**
 * What happened in a run, for people: one line an event, in the words of DESIGN.md, with the virtual time. Kept short:
 * the beginning and the end stay, the middle is dropped when it grows too long.
 */
const maxHead = 60;
const maxTail = 140;

export interface StoryLine {
  readonly atMs: number;
  readonly who: string;
  readonly text: string;
}

export class Story {
  readonly #head: StoryLine[] = [];
  readonly #tail: StoryLine[] = [];
  #dropped = 0;

  tell(atMs: number, who: string, text: string): void {
    const line = { atMs, who, text };
    if (this.#head.length < maxHead) {
      this.#head.push(line);
      return;
    }
    this.#tail.push(line);
    if (this.#tail.length > maxTail) {
      this.#tail.shift();
      this.#dropped += 1;
    }
  }

  text(): string {
    const format = ({ atMs, who, text }: StoryLine) => `${atMs.toFixed(1).padStart(10)} ms  ${who.padEnd(10)} ${text}`;
    const lines = this.#head.map(format);
    if (this.#dropped > 0) lines.push(`${"".padStart(14)}… ${this.#dropped} lines left out …`);
    return [...lines, ...this.#tail.map(format)].join("\n");
  }
}
