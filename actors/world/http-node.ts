/**
 * A server's HTTP on node:http, for load balancers and monitoring: facts alone, by GET, HEAD and OPTIONS.
 *
 * What always holds:
 * 1. Nothing that is asked changes anything, and no body that is sent is read.
 * 2. Connections, headers and times are bounded: who is slow, or many, holds no more than `httpLimits` says.
 * 3. It answers on the main thread: where that does not return, there is no answer. It never keeps a process alive.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { isIPv6, type Socket } from "node:net";
import { HttpError } from "./http-error.ts";
import type { Clock, HttpAnswer, HttpQuestion, Log } from "./ports.ts";

export interface HttpLimits {
  readonly maxConnections: number;
  readonly maxHeaderBytes: number;
  /** For a request's headers, and for the whole of it. */
  readonly requestMs: number;
  /** A connection on which nothing moves, be it between two questions or while an answer is not read. */
  readonly idleMs: number;
  /** Questions on one connection that are asked, and whose answers are not taken. */
  readonly maxUnread: number;
}

export const httpLimits: HttpLimits = {
  maxConnections: 64,
  maxHeaderBytes: 8 * 1024,
  requestMs: 5_000,
  idleMs: 10_000,
  maxUnread: 16,
};

export interface HttpOptions {
  readonly host: string;
  /** 0: any that is free. */
  readonly port: number;
  readonly clock: Clock;
  readonly log: Log;
  readonly answer: (question: HttpQuestion) => HttpAnswer | Promise<HttpAnswer>;
  readonly limits?: HttpLimits;
}

const methods = ["GET", "HEAD", "OPTIONS"] as const;
/** Lines of the log about those who are turned away, and about answers that failed: one of each in so long. */
const quietMs = 60_000;

/** A page of another site may not read it, and nobody keeps it. */
const headers = {
  "Cache-Control": "no-store",
  "X-Content-Type-Options": "nosniff",
  "Cross-Origin-Resource-Policy": "same-origin",
} as const;

export class HttpDoor {
  readonly #options: HttpOptions;
  readonly #limits: HttpLimits;
  readonly #server: Server;
  /** Of each connection. */
  readonly #unread = new WeakMap<Socket, number>();
  #crowdToldMs = Number.NEGATIVE_INFINITY;
  #faultToldMs = Number.NEGATIVE_INFINITY;

  private constructor(options: HttpOptions) {
    const { limits = httpLimits } = options;
    const { requestMs, idleMs, maxHeaderBytes, maxConnections } = limits;
    this.#options = options;
    this.#limits = limits;
    const timeouts = { headersTimeout: requestMs, requestTimeout: requestMs, keepAliveTimeout: idleMs };
    this.#server = createServer(
      { ...timeouts, connectionsCheckingInterval: 1_000, maxHeaderSize: maxHeaderBytes },
      (request, response) => void this.#onRequest(request, response),
    );
    this.#server.timeout = idleMs;
    this.#server.maxConnections = maxConnections;
    this.#server.on("connection", (socket) => socket.unref());
    this.#server.on("drop", () => this.#tellCrowd());
    this.#server.unref();
  }

  /** Throws HttpError. */
  static async open(options: HttpOptions): Promise<HttpDoor> {
    const door = new HttpDoor(options);
    const { host, port } = options;
    await new Promise<void>((resolve, reject) => {
      door.#server.once("error", (cause: NodeJS.ErrnoException) => {
        const where = `${hostInUrl(host)}:${port}`;
        const error =
          cause.code === "EADDRINUSE"
            ? new HttpError("PORT_TAKEN", `${where} is taken: stop the program that listens there, or change http.port`)
            : new HttpError("BAD_ADDRESS", `cannot listen for HTTP on ${where}: ${cause.message}`, { cause });
        reject(error);
      });
      door.#server.listen(port, host, resolve);
    });
    door.#server.removeAllListeners("error");
    door.#server.on("error", (error) => options.log.warn({ error: error.message }, "listening for HTTP failed"));
    return door;
  }

  get url(): string {
    const address = this.#server.address();
    const port = typeof address === "object" && address !== null ? address.port : this.#options.port;
    return `http://${hostInUrl(this.#options.host)}:${port}`;
  }

  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#server.closeAllConnections();
    await closed;
  }

  async #onRequest(request: IncomingMessage, response: ServerResponse): Promise<void> {
    response.on("error", () => undefined);
    if (!this.#admit(request.socket, response)) return;
    const { method = "", url = "" } = request;
    const hasBody =
      request.headers["transfer-encoding"] !== undefined || Number(request.headers["content-length"] ?? 0) !== 0;
    if (hasBody) response.setHeader("Connection", "close");
    if (!methods.some((known) => known === method)) {
      response.setHeader("Allow", methods.join(", "));
      response.setHeader("Connection", "close");
      send(response, method, 405, "text/plain; charset=utf-8", `only ${methods.join(", ")} are answered\n`);
      return;
    }
    const at = url.indexOf("?");
    const question = at === -1 ? { path: url, query: "" } : { path: url.slice(0, at), query: url.slice(at + 1) };
    try {
      const { status, type, body } = await this.#options.answer(question);
      if (method === "OPTIONS") response.setHeader("Allow", methods.join(", "));
      send(response, method, status, type, body);
    } catch (error) {
      this.#tellFault(error);
      send(response, method, 500, "text/plain; charset=utf-8", "the answer failed: see the server's log\n");
    }
  }

  /** False: he asks and asks and reads nothing; his connection is ended. */
  #admit(socket: Socket, response: ServerResponse): boolean {
    const unread = (this.#unread.get(socket) ?? 0) + 1;
    this.#unread.set(socket, unread);
    response.on("close", () => this.#unread.set(socket, (this.#unread.get(socket) ?? 1) - 1));
    if (unread <= this.#limits.maxUnread) return true;
    socket.destroy();
    return false;
  }

  #tellCrowd(): void {
    const { clock, log } = this.#options;
    if (clock.nowMs() - this.#crowdToldMs < quietMs) return;
    this.#crowdToldMs = clock.nowMs();
    const { maxConnections } = this.#limits;
    log.warn({ maxConnections }, "HTTP: too many connections at once; who comes more is turned away");
  }

  #tellFault(error: unknown): void {
    const { clock, log } = this.#options;
    if (clock.nowMs() - this.#faultToldMs < quietMs) return;
    this.#faultToldMs = clock.nowMs();
    log.error({ stack: error instanceof Error ? error.stack : String(error) }, "an answer by HTTP failed");
  }
}

function hostInUrl(host: string): string {
  return isIPv6(host) ? `[${host}]` : host;
}

function send(response: ServerResponse, method: string, status: number, type: string, body: string): void {
  const bytes = Buffer.from(method === "OPTIONS" ? "" : body);
  response.writeHead(status, { ...headers, "Content-Type": type, "Content-Length": bytes.length });
  response.end(bytes);
}
