/**
 * The last minutes in figures, one sample a second: requests, latency, memory of each process, and when the role moved. What always
 * holds: at most `maxSamples` are kept, of at most `maxLines` servers; what is not known is null, and no line is drawn through it.
 */
import type { View } from "./view.ts";

/** Ten minutes. */
export const maxSamples = 600;
export const sampleMs = 1_000;
/** More than a service may have servers: names come from whoever speaks. */
const maxLines = 16;
const maxMarks = 64;

export interface Sample {
  /** Wall clock of the console, ms since 1970. */
  readonly atMs: number;
  readonly requestsPerSecond: number | null;
  readonly medianMs: number | null;
  readonly p99Ms: number | null;
  /** By server: resident memory. */
  readonly residentBytes: Readonly<Record<string, number>>;
}

/** Another server is the primary from then on. */
export interface Mark {
  readonly atMs: number;
  readonly what: string;
}

/** As the page gets it when it is opened. */
export interface SeriesTold {
  readonly samples: readonly Sample[];
  readonly marks: readonly Mark[];
}

export class Series {
  readonly #samples: Sample[] = [];
  #marks: Mark[] = [];
  #hot = "";

  get told(): SeriesTold {
    return { samples: this.#samples, marks: this.#marks };
  }

  /** A mark, where the role has moved since the last view. */
  onView({ hot, atMs, epoch, verdict }: View): Mark | null {
    if (hot === "" || verdict === "unknown" || hot === this.#hot) return null;
    const before = this.#hot;
    this.#hot = hot;
    if (before === "") return null;
    const mark = { atMs, what: `${hot} took ${before}'s place, epoch ${epoch}` };
    this.#marks = [...this.#marks.slice(1 - maxMarks), mark];
    return mark;
  }

  /** Of this moment. */
  sample({ atMs, requestsPerSecond, latency, servers }: View): Sample {
    const known = servers.filter(({ residentBytes }) => residentBytes !== null).slice(0, maxLines);
    const sample = {
      atMs,
      requestsPerSecond,
      medianMs: latency?.median ?? null,
      p99Ms: latency?.p99 ?? null,
      residentBytes: Object.fromEntries(known.map(({ name, residentBytes }) => [name, residentBytes ?? 0])),
    };
    // A clock that was set back: time goes on from there.
    while ((this.#samples.at(-1)?.atMs ?? 0) >= atMs) this.#samples.pop();
    this.#samples.push(sample);
    if (this.#samples.length > maxSamples) this.#samples.shift();
    const oldest = this.#samples[0]?.atMs ?? 0;
    this.#marks = this.#marks.filter((mark) => mark.atMs >= oldest);
    return sample;
  }
}
