/** What Node knows of this process: time on a core, memory, and how late its event loop is (`perf_hooks`). */
import { monitorEventLoopDelay } from "node:perf_hooks";
import process from "node:process";
import type { Clock, ProcessFacts } from "./ports.ts";

/** How often the event loop is looked at: it costs a timer, in Node's own code. */
const resolutionMs = 20;
/** What was seen is told for at least so long, and for twice as long at most: whoever asks more rarely misses something. */
const periodMs = 30_000;

export class NodeProcess {
  readonly #clock: Clock;
  readonly #startedAtSeconds: number;
  readonly #delays = monitorEventLoopDelay({ resolution: resolutionMs });
  #sinceMs: number;
  #before = { p99: 0, max: 0 };

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#sinceMs = clock.nowMs();
    this.#startedAtSeconds = clock.wallMs() / 1_000 - process.uptime();
    this.#delays.enable();
  }

  get facts(): ProcessFacts {
    const { user, system } = process.cpuUsage();
    const { rss, heapUsed } = process.memoryUsage();
    const now = this.#now;
    const delaySeconds = { p99: Math.max(now.p99, this.#before.p99), max: Math.max(now.max, this.#before.max) };
    if (this.#clock.nowMs() - this.#sinceMs >= periodMs) {
      this.#before = now;
      this.#sinceMs = this.#clock.nowMs();
      this.#delays.reset();
    }
    const startedAtSeconds = this.#startedAtSeconds;
    return {
      cpuSeconds: (user + system) / 1e6,
      residentBytes: rss,
      heapBytes: heapUsed,
      startedAtSeconds,
      delaySeconds,
    };
  }

  /** Node counts the time from one look to the next: what is more than was meant is the delay. */
  get #now(): ProcessFacts["delaySeconds"] {
    const late = (nanoseconds: number) => Math.max(0, nanoseconds / 1e9 - resolutionMs / 1_000);
    return this.#delays.count === 0
      ? { p99: 0, max: 0 }
      : { p99: late(this.#delays.percentile(99)), max: late(this.#delays.max) };
  }

  stop(): void {
    this.#delays.disable();
  }
}
