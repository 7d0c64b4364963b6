/**
 * What a server answers by HTTP: which path asks what, as deploy/OPERATING.md promises it. What always holds: 200 is a yes, 503 a no,
 * and the body, one JSON document for all paths, says why; what cannot be understood is never a yes.
 */
import type { HttpAnswer, HttpQuestion } from "../world/ports.ts";
import { type Health, healthOf, type LifeFacts, whyBehind } from "./health.ts";

export interface HttpAnswersOptions {
  readonly service: string;
  readonly server: string;
  readonly version: string;
  /** Of the life that runs; null before the first, and between two. */
  readonly facts: () => LifeFacts | null;
  readonly nowMs: () => number;
  /** For Prometheus. */
  readonly metrics: { readonly contentType: string; text(): Promise<string> };
}

const metricsPath = "/metrics";
/** Who asks for metrics within so long of another gets the same: asking without a pause costs the server nothing more. */
export const scrapeMs = 100;
/** What each path asks; `/backup` besides how far it is behind. */
const paths: Readonly<Record<string, keyof Health>> = {
  "/livez": "live",
  "/health": "up",
  "/readyz": "ready",
  "/primary": "primary",
  "/backup": "backup",
};

export class HttpAnswers {
  readonly #options: HttpAnswersOptions;
  #scrape: { readonly atMs: number; readonly text: Promise<string> } | null = null;

  constructor(options: HttpAnswersOptions) {
    this.#options = options;
  }

  answer({ path, query }: HttpQuestion): HttpAnswer | Promise<HttpAnswer> {
    return path === metricsPath ? this.#metrics() : this.#judge(path, query);
  }

  async #metrics(): Promise<HttpAnswer> {
    const { metrics, nowMs } = this.#options;
    const atMs = nowMs();
    if (this.#scrape === null || atMs - this.#scrape.atMs >= scrapeMs) this.#scrape = { atMs, text: metrics.text() };
    return { status: 200, type: metrics.contentType, body: await this.#scrape.text };
  }

  #judge(path: string, query: string): HttpAnswer {
    const asked = Object.hasOwn(paths, path) ? paths[path] : undefined;
    if (asked === undefined)
      return plain(404, `there is no such path: ${[...Object.keys(paths), metricsPath].join(", ")}`);
    const facts = this.#options.facts();
    let why = healthOf(facts)[asked];
    if (path === "/backup" && query !== "") {
      const most = readLag(query);
      if (most === null) return plain(400, "/backup takes one parameter, lag=N: so many records it may be behind");
      why ||= whyBehind(facts?.lag ?? null, most);
    }
    const body = JSON.stringify({ ok: why === "", why, ...this.#document(facts) });
    return { status: why === "" ? 200 : 503, type: "application/json", body: `${body}\n` };
  }

  #document(facts: LifeFacts | null): Readonly<Record<string, unknown>> {
    const { service, server, version } = this.#options;
    const who = { service, server, version };
    if (facts === null) return { ...who, role: "none", state: "starting" };
    const { role, state, application, mode, epoch, sequence, committed, flushed, synced, troubles } = facts.status;
    const positions = { sequence, committed, flushed, synced, lag: facts.lag };
    const codes = troubles.map(({ code }) => code);
    return { ...who, role, state, application, mode, epoch, ...positions, troubles: codes };
  }
}

function plain(status: 400 | 404, line: string): HttpAnswer {
  return { status, type: "text/plain; charset=utf-8", body: `${line}\n` };
}

/** Of `lag=N`; null where it says anything else. */
function readLag(query: string): number | null {
  const [, digits] = /^lag=(\d{1,15})$/.exec(query) ?? [];
  return digits === undefined ? null : Number(digits);
}
