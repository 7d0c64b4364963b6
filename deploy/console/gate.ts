/**
 * Whom the console answers at all. What always holds: only who calls it by a name of its own (`Host`), so that a name that a
 * stranger's page has bound to this address reads nothing; no page of another site or port asks anything, but for a link to the
 * page itself; what changes something is a POST of JSON from the page's own origin, and from nowhere else.
 */
import type { X509Certificate } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import { isIP } from "node:net";

/** With which status it is refused, and why. */
export type Refusal = readonly [status: number, why: string];

export interface Asked {
  readonly method: string | undefined;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
}

export interface GateOptions {
  /** With TLS: it answers to the names in there. */
  readonly certificate: X509Certificate | null;
  /** Names by which it is called besides, as a URL has them: on this machine alone. */
  readonly names: readonly string[];
  /** Paths that a POST may ask. */
  readonly posts: ReadonlySet<string>;
}

export class Gate {
  readonly #options: GateOptions;

  constructor(options: GateOptions) {
    this.#options = options;
  }

  /** Null where it may be answered. `port`: where it came in. */
  refusal(asked: Asked, port: number): Refusal | null {
    const { method, path, headers } = asked;
    const host = headers.host?.toLowerCase() ?? "";
    if (!this.#isOurs(host, port)) return [421, "the console answers to no other name than its own"];
    if (method === "POST" && this.#options.posts.has(path)) return this.#refusedPost(host, headers);
    if (method !== "GET") return [405, "only GET is answered"];
    const site = headers["sec-fetch-site"];
    const isLink = path === "/" && headers["sec-fetch-mode"] === "navigate" && headers["sec-fetch-dest"] === "document";
    if (site !== undefined && site !== "same-origin" && site !== "none" && !isLink)
      return [403, "another site's page may not ask this"];
    return null;
  }

  #isOurs(host: string, port: number): boolean {
    const { certificate, names } = this.#options;
    const normalPort = certificate === null ? 80 : 443;
    const isNamed = (name: string) => host === `${name}:${port}` || (port === normalPort && host === name);
    if (names.some(isNamed)) return true;
    if (certificate === null) return false;
    const name = host.replace(/:\d+$/, "").replace(/^\[(.*)\]$/, "$1");
    return name !== "" && (isIP(name) === 0 ? certificate.checkHost(name) : certificate.checkIP(name)) !== undefined;
  }

  /** Browsers say an origin with every POST, and let no page say another one. */
  #refusedPost(host: string, { origin, ...headers }: IncomingHttpHeaders): Refusal | null {
    const own = `${this.#options.certificate === null ? "http" : "https"}://${host}`;
    const site = headers["sec-fetch-site"];
    if (origin?.toLowerCase() !== own || (site !== undefined && site !== "same-origin"))
      return [403, "only the console's own page may ask this"];
    if (headers["content-type"] !== "application/json") return [415, "give JSON"];
    return null;
  }
}
