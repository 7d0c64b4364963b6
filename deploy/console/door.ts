/**
 * The console's HTTP server: the page's files, the charts, moments of the past, and one stream of what happens.
 *
 * What always holds:
 * 1. It answers only whom the gate lets through (gate.ts), and beyond loopback, where it has TLS, only who is logged in: before
 *    that there is the page itself and the log-in.
 * 2. GET changes nothing; what changes something is a POST to the desk (desk.ts), where there is one. Exact paths alone, and no path
 *    is ever a path of the disk.
 * 3. Connections, streams, headers, bodies and times are bounded. A stream whose reader does not read, or whose session is over, is
 *    ended, never waited for.
 */
import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createSecureServer } from "node:https";
import { fileURLToPath } from "node:url";
import { isLoopback } from "../../actors/world/tcp-security.ts";
import { readJson } from "../commands/ask.ts";
import type { ActionView } from "./actions.ts";
import { type Desk, type DeskPath, deskPaths, type Told } from "./desk.ts";
import { Gate } from "./gate.ts";
import type { Mark, Sample, SeriesTold } from "./series.ts";
import type { Session } from "./sessions.ts";
import type { Entry } from "./timeline.ts";
import type { View } from "./view.ts";

export interface DoorLimits {
  readonly maxConnections: number;
  readonly maxStreams: number;
  readonly maxHeaderBytes: number;
  readonly maxBodyBytes: number;
  /** For a request's headers, and for the whole of it. */
  readonly requestMs: number;
  /** Of what waits for a stream's reader. */
  readonly maxBacklogBytes: number;
}

export const doorLimits: DoorLimits = {
  maxConnections: 64,
  maxStreams: 16,
  maxHeaderBytes: 8 * 1024,
  maxBodyBytes: 4 * 1024,
  requestMs: 5_000,
  maxBacklogBytes: 1024 * 1024,
};

/** What is served, asked for when it is needed. */
export interface DoorSource {
  view(): View;
  viewAt(entry: number): View | undefined;
  entries(): readonly Entry[];
  series(): SeriesTold;
  charts(): Promise<unknown>;
}

export interface DoorOptions {
  readonly limits?: DoorLimits;
  /** The address that it listens on. Beyond loopback it needs TLS and a desk. */
  readonly host?: string;
  /** Certificate and key, PEM. */
  readonly tls?: { readonly cert: string; readonly key: string } | null;
  /** Where operators log in and act; null: nobody acts. */
  readonly desk?: Desk | null;
  readonly action?: () => ActionView | null;
}

/** The port is taken, or may not be used. */
export class DoorError extends Error {
  override readonly name = "DoorError";
}

export const loopback = "127.0.0.1";
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
  "actions.css",
  "plots.css",
  "page.js",
  "picture.js",
  "figures.js",
  "plots.js",
  "timeline.js",
  "actions.js",
  "elements.js",
  "icon.svg",
] as const;

/** What the page takes from a library, by the names under which it is served. */
export const libraryFiles = {
  "uPlot.js": "uplot/dist/uPlot.esm.js",
  "uPlot.css": "uplot/dist/uPlot.min.css",
} as const;

/** What anybody may see before he logs in, beyond the page's own files. */
const openPaths = new Set<string>(["/session", ...deskPaths]);

export class Door {
  readonly #source: DoorSource;
  readonly #options: Required<DoorOptions>;
  readonly #gate: Gate;
  readonly #files = new Map<string, { readonly type: string; readonly bytes: Buffer }>();
  readonly #server: Server;
  readonly #streams = new Map<ServerResponse, Session | null>();
  #charts: Promise<Buffer> | null = null;
  /** By which it is called, as a URL has it. */
  readonly #name: string;
  #port = 0;

  /** Throws DoorError where it would listen beyond loopback without TLS or log-in, or where the certificate is none. */
  constructor(source: DoorSource, options: DoorOptions = {}) {
    const { limits = doorLimits, host = loopback, tls = null, desk = null, action = () => null } = options;
    this.#source = source;
    this.#options = { limits, host, tls, desk, action };
    if (this.#isOpenToOthers && (tls === null || desk === null))
      throw new DoorError(`beyond this machine (${host}) the console needs a certificate and a log-in`);
    const posts = new Set<string>(desk === null ? [] : deskPaths);
    const names = this.#isOpenToOthers ? [] : [shownHost(host), loopback, "localhost"];
    const certificate = certificateOf(tls);
    this.#gate = new Gate({ certificate, names, posts });
    this.#name = this.#isOpenToOthers ? nameIn(certificate) : shownHost(host);
    // Served as they are written; in the package they lie beside dist/.
    for (const name of pageFiles) this.#hold(name, new URL(`../../../deploy/console/page/${name}`, import.meta.url));
    for (const [name, module] of Object.entries(libraryFiles)) this.#hold(name, new URL(import.meta.resolve(module)));
    const { requestMs, maxHeaderBytes } = limits;
    const timeouts = { headersTimeout: requestMs, requestTimeout: requestMs, keepAliveTimeout: requestMs };
    const bounds = { ...timeouts, connectionsCheckingInterval: 1_000, maxHeaderSize: maxHeaderBytes };
    const onRequest = (request: IncomingMessage, response: ServerResponse) => this.#onRequest(request, response);
    try {
      this.#server =
        tls === null
          ? createServer(bounds, onRequest)
          : createSecureServer({ ...bounds, ...tls, minVersion: "TLSv1.2", handshakeTimeout: requestMs }, onRequest);
    } catch (error) {
      throw new DoorError(`the console's certificate and key cannot be used: ${(error as Error).message}`);
    }
    this.#server.maxConnections = limits.maxConnections;
  }

  #hold(name: string, file: URL): void {
    const type = types[name.split(".").at(-1) as keyof typeof types];
    const held = { type: `${type}; charset=utf-8`, bytes: readFileSync(fileURLToPath(file)) };
    this.#files.set(name === "index.html" ? "/" : `/${name}`, held);
  }

  /** Port 0: any that is free. Throws DoorError. */
  async listen(port: number): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once("error", (error: NodeJS.ErrnoException) =>
        reject(new DoorError(error.code === "EADDRINUSE" ? `port ${port} is taken` : error.message)),
      );
      this.#server.listen(port, this.#options.host, resolve);
    });
    const address = this.#server.address();
    if (typeof address === "object" && address !== null) this.#port = address.port;
  }

  get url(): string {
    return `${this.#options.tls === null ? "http" : "https"}://${this.#name}:${this.#port}/`;
  }
  get streams(): number {
    return this.#streams.size;
  }

  get #isOpenToOthers(): boolean {
    return !isLoopback(this.#options.host);
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
  onAction(action: ActionView): void {
    this.#send("action", action);
  }
  onSample(sample: Sample): void {
    this.#send("sample", sample);
  }
  onMark(mark: Mark): void {
    this.#send("mark", mark);
  }

  #send(event: string, data: unknown): void {
    if (this.#streams.size === 0) return;
    const bytes = framed(event, data);
    for (const [stream, session] of this.#streams) {
      const isOver = session !== null && this.#options.desk?.isOpen(session) !== true;
      // Its page comes again and gets everything, or is asked who it is.
      if (isOver || stream.writableLength > this.#options.limits.maxBacklogBytes) stream.destroy();
      else stream.write(bytes);
    }
  }

  #onRequest(request: IncomingMessage, response: ServerResponse): void {
    response.on("error", () => undefined);
    for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
    const [path = ""] = (request.url ?? "").split("?", 1);
    const refused = this.#gate.refusal({ method: request.method, path, headers: request.headers }, this.#port);
    if (refused !== null) {
      refuse(response, ...refused);
      return;
    }
    const { desk } = this.#options;
    if (request.method === "POST" && desk !== null) {
      void this.#answerPost(desk, path as DeskPath, request, response);
      return;
    }
    const file = this.#files.get(path);
    const session = desk?.sessionOf(this.#cookieOf(request)) ?? null;
    const [, entry] = /^\/then\/(\d{1,15})$/.exec(path) ?? [];
    if (file !== undefined) answer(response, file.type, file.bytes);
    else if (this.#isOpenToOthers && session === null && !openPaths.has(path)) refuse(response, 401, "log in first");
    else if (path === "/session") answerJson(response, 200, this.#sessionTold(request));
    else if (path === "/live") this.#openStream(response, this.#isOpenToOthers ? session : null);
    else if (path === "/charts") this.#answerCharts(response);
    else if (entry !== undefined) this.#answerThen(response, Number(entry));
    else refuse(response, 404, "there is no such page");
  }

  /** `acts`: operators can log in here. `opens`: whoever shows this may look. */
  #sessionTold(request: IncomingMessage): unknown {
    const { desk } = this.#options;
    const cookie = this.#cookieOf(request);
    const who = desk?.who({ cookie, token: tokenOf(request) }) ?? { name: null, endsAtMs: null };
    return { acts: desk !== null, opens: !this.#isOpenToOthers || desk?.sessionOf(cookie) !== undefined, ...who };
  }

  async #answerPost(desk: Desk, path: DeskPath, request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      const body = await bodyOf(request, this.#options.limits.maxBodyBytes);
      if (body === null) {
        refuse(response, 413, "that is too much");
        return;
      }
      const address = request.socket.remoteAddress ?? "";
      const asking = { address, cookie: this.#cookieOf(request), token: tokenOf(request), body: readJson(body) };
      this.#answerTold(response, desk, await desk.answer(path, asking));
    } catch {
      // Whoever asked is gone, or was too slow.
      response.destroy();
    }
  }

  #answerTold(response: ServerResponse, desk: Desk, { status, body, cookie, retryAfterS }: Told): void {
    if (cookie !== undefined) {
      const isSecure = this.#options.tls !== null ? "; Secure" : "";
      const kept = cookie === null ? "; Max-Age=0" : `; Max-Age=${desk.sessionS}`;
      const attributes = `; Path=/; HttpOnly; SameSite=Strict${isSecure}${kept}`;
      response.setHeader("Set-Cookie", `${this.#cookieName}=${cookie ?? ""}${attributes}`);
    }
    if (retryAfterS !== undefined) response.setHeader("Retry-After", retryAfterS);
    answerJson(response, status, body);
  }

  /** Browsers send a cookie to every port of a host: each console has its own. */
  get #cookieName(): string {
    return `${this.#options.tls === null ? "" : "__Host-"}twinlog-${this.#port}`;
  }

  #cookieOf({ headers: { cookie = "" } }: IncomingMessage): string | undefined {
    const name = `${this.#cookieName}=`;
    return cookie
      .split(/; */)
      .find((each) => each.startsWith(name))
      ?.slice(name.length);
  }

  #openStream(response: ServerResponse, session: Session | null): void {
    const { maxStreams } = this.#options.limits;
    if (this.#streams.size >= maxStreams) {
      response.setHeader("Retry-After", "5");
      refuse(response, 503, `the console is open in ${maxStreams} places: close one`);
      return;
    }
    response.writeHead(200, { "Content-Type": "text/event-stream; charset=utf-8" });
    response.on("close", () => this.#streams.delete(response));
    response.write("retry: 1000\n\n");
    response.write(framed("timeline", this.#source.entries()));
    response.write(framed("series", this.#source.series()));
    response.write(framed("view", this.#source.view()));
    const action = this.#options.action();
    if (action !== null) response.write(framed("action", action));
    this.#streams.set(response, session);
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

/** As a URL has it. */
const shownHost = (host: string): string => (host.includes(":") ? `[${host}]` : host);

/** The first that is whole: beyond this machine it answers to these alone. */
const nameIn = (certificate: X509Certificate | null): string =>
  /(?:DNS|IP Address):([^*,\s]+)/.exec(certificate?.subjectAltName ?? "")?.[1] ?? "localhost";

/** Null: there is no TLS. Throws DoorError. */
function certificateOf(tls: DoorOptions["tls"] | null): X509Certificate | null {
  if (tls === null || tls === undefined) return null;
  try {
    return new X509Certificate(tls.cert);
  } catch {
    throw new DoorError("the console's certificate is no certificate in PEM");
  }
}

/** What a page's script alone sends: a cookie goes where the browser likes. */
function tokenOf({ headers: asked }: IncomingMessage): string | undefined {
  const token = asked["twinlog-token"];
  return typeof token === "string" ? token : undefined;
}

/** Null: it is longer than that. */
async function bodyOf(request: IncomingMessage, maxBytes: number): Promise<Buffer | null> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of request) {
    bytes += (part as Buffer).length;
    if (bytes > maxBytes) return null;
    parts.push(part as Buffer);
  }
  return Buffer.concat(parts);
}

/** JSON has no line breaks, which would end a frame. */
function framed(event: string, data: unknown): string {
  return `event: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
}

function answer(response: ServerResponse, type: string, bytes: Buffer): void {
  response.writeHead(200, { "Content-Type": type, "Content-Length": bytes.length });
  response.end(bytes);
}

function answerJson(response: ServerResponse, status: number, body: unknown): void {
  const bytes = Buffer.from(JSON.stringify(body));
  response.writeHead(status, { "Content-Type": "application/json", "Content-Length": bytes.length });
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
