/**
 * The console's HTTP server: the page's files, the charts, moments of the past, and one stream of what happens.
 *
 * What always holds:
 * 1. It listens on loopback alone and answers only who names it so (`Host`): a name that a stranger's page has bound to
 *    127.0.0.1 reads nothing. Another site's page gets nothing either, and may not frame this one.
 * 2. GET alone, exact paths alone; nothing that is asked changes anything, and no path is ever a path of the disk.
 * 3. Connections, streams, headers and times are bounded. A stream whose reader does not read is ended, never waited for.
 */
import { readFileSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { fileURLToPath } from "node:url";
import type { Entry } from "./timeline.ts";
import type { View } from "./view.ts";

export interface DoorLimits {
  readonly maxConnections: number;
  readonly maxStreams: number;
  readonly maxHeaderBytes: number;
  /** For a request's headers, and for the whole of it. */
  readonly requestMs: number;
  /** Of what waits for a stream's reader. */
  readonly maxBacklogBytes: number;
}

export const doorLimits: DoorLimits = {
  maxConnections: 64,
  maxStreams: 16,
  maxHeaderBytes: 8 * 1024,
  requestMs: 5_000,
  maxBacklogBytes: 1024 * 1024,
};

/** What is served, asked for when it is needed. */
export interface DoorSource {
  view(): View;
  viewAt(entry: number): View | undefined;
  entries(): readonly Entry[];
  charts(): Promise<unknown>;
}

/** The port is taken, or may not be used. */
export class DoorError extends Error {
  override readonly name = "DoorError";
}

const loopback = "127.0.0.1";
const contentPolicy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
].join("; ");
const headers = {
  "Content-Security-Policy": contentPolicy,
  "X-Content-Type-Options": "nosniff",
  "X-Frame-Options": "DENY",
  "Referrer-Policy": "no-referrer",
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Resource-Policy": "same-origin",
  "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
  "Cache-Control": "no-store",
} as const;

const types = { html: "text/html", css: "text/css", js: "text/javascript", svg: "image/svg+xml" } as const;
/** Every file of the page, in `deploy/console/page/`; "/" is the first. */
export const pageFiles = [
  "index.html",
  "page.css",
  "page.js",
  "picture.js",
  "figures.js",
  "timeline.js",
  "elements.js",
  "icon.svg",
] as const;

export class Door {
  readonly #source: DoorSource;
  readonly #limits: DoorLimits;
  readonly #files = new Map<string, { readonly type: string; readonly bytes: Buffer }>();
  readonly #server: Server;
  readonly #streams = new Set<ServerResponse>();
  #charts: Promise<Buffer> | null = null;
  #port = 0;

  constructor(source: DoorSource, limits: DoorLimits = doorLimits) {
    this.#source = source;
    this.#limits = limits;
    for (const name of pageFiles) {
      // Served as they are written; in the package they lie beside dist/.
      const bytes = readFileSync(fileURLToPath(new URL(`../../../deploy/console/page/${name}`, import.meta.url)));
      const type = types[name.split(".").at(-1) as keyof typeof types];
      this.#files.set(name === "index.html" ? "/" : `/${name}`, { type: `${type}; charset=utf-8`, bytes });
    }
    const { requestMs, maxHeaderBytes } = limits;
    const timeouts = { headersTimeout: requestMs, requestTimeout: requestMs, keepAliveTimeout: requestMs };
    this.#server = createServer(
      { ...timeouts, connectionsCheckingInterval: 1_000, maxHeaderSize: maxHeaderBytes },
      (request, response) => this.#onRequest(request, response),
    );
    this.#server.maxConnections = limits.maxConnections;
  }

  /** Port 0: any that is free. Throws DoorError. */
  async listen(port: number): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once("error", (error: NodeJS.ErrnoException) =>
        reject(new DoorError(error.code === "EADDRINUSE" ? `port ${port} is taken` : error.message)),
      );
      this.#server.listen(port, loopback, resolve);
    });
    const address = this.#server.address();
    if (typeof address === "object" && address !== null) this.#port = address.port;
  }

  get url(): string {
    return `http://${loopback}:${this.#port}/`;
  }
  get streams(): number {
    return this.#streams.size;
  }

  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#server.closeAllConnections();
    await closed;
  }

  onView(view: View): void {
    this.#send("view", view);
  }
  onEntry(entry: Entry): void {
    this.#send("entry", entry);
  }

  #send(event: string, data: unknown): void {
    if (this.#streams.size === 0) return;
    const bytes = framed(event, data);
    for (const stream of this.#streams) {
      // Its page comes again and gets everything.
      if (stream.writableLength > this.#limits.maxBacklogBytes) stream.destroy();
      else stream.write(bytes);
    }
  }

  #onRequest(request: IncomingMessage, response: ServerResponse): void {
    response.on("error", () => undefined);
    for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
    const [path = ""] = (request.url ?? "").split("?", 1);
    const refused = this.#refusal(request, path);
    if (refused !== null) {
      refuse(response, ...refused);
      return;
    }
    const file = this.#files.get(path);
    const [, entry] = /^\/then\/(\d{1,15})$/.exec(path) ?? [];
    if (file !== undefined) answer(response, file.type, file.bytes);
    else if (path === "/live") this.#openStream(response);
    else if (path === "/charts") this.#answerCharts(response);
    else if (entry !== undefined) this.#answerThen(response, Number(entry));
    else refuse(response, 404, "there is no such page");
  }

  /** Who asks, and how: null where it may be answered. */
  #refusal({ method, headers: asked }: IncomingMessage, path: string): [number, string] | null {
    const host = asked.host?.toLowerCase() ?? "";
    const names = [loopback, "localhost"];
    if (!names.some((name) => host === `${name}:${this.#port}` || (this.#port === 80 && host === name)))
      return [421, `this is ${this.url}: it answers to no other name`];
    if (method !== "GET") return [405, "only GET is answered"];
    const site = asked["sec-fetch-site"];
    const isLink = path === "/" && asked["sec-fetch-mode"] === "navigate" && asked["sec-fetch-dest"] === "document";
    if (site !== undefined && site !== "same-origin" && site !== "none" && !isLink)
      return [403, "another site's page may not ask this"];
    return null;
  }

  #openStream(response: ServerResponse): void {
    if (this.#streams.size >= this.#limits.maxStreams) {
      response.setHeader("Retry-After", "5");
      refuse(response, 503, `the console is open in ${this.#limits.maxStreams} places: close one`);
      return;
    }
    response.writeHead(200, { "Content-Type": "text/event-stream; charset=utf-8" });
    response.on("close", () => this.#streams.delete(response));
    response.write("retry: 1000\n\n");
    response.write(framed("timeline", this.#source.entries()));
    response.write(framed("view", this.#source.view()));
    this.#streams.add(response);
  }

  #answerThen(response: ServerResponse, entry: number): void {
    const view = this.#source.viewAt(entry);
    if (view === undefined) refuse(response, 404, "this moment is not kept any more");
    else answer(response, "application/json", Buffer.from(JSON.stringify(view)));
  }

  /** Worked out once, when somebody looks. */
  #answerCharts(response: ServerResponse): void {
    this.#charts ??= this.#source.charts().then((charts) => Buffer.from(JSON.stringify(charts)));
    this.#charts.then(
      (bytes) => answer(response, "application/json", bytes),
      (error: Error) => refuse(response, 500, `the charts could not be drawn: ${error.message}`),
    );
  }
}

/** JSON has no line breaks, which would end a frame. */
function framed(event: string, data: unknown): string {
  return `event: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
}

function answer(response: ServerResponse, type: string, bytes: Buffer): void {
  response.writeHead(200, { "Content-Type": type, "Content-Length": bytes.length });
  response.end(bytes);
}

function refuse(response: ServerResponse, status: number, why: string): void {
  if (status === 405) response.setHeader("Allow", "GET");
  const bytes = Buffer.from(`${why}\n`);
  // What else was sent is not read.
  response.writeHead(status, {
    "Content-Type": "text/plain; charset=utf-8",
    "Content-Length": bytes.length,
    Connection: "close",
  });
  response.end(bytes);
}
