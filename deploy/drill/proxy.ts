/**
 * A TCP proxy that tests put between two programs, to take their connection away: cut (both kernels say so), frozen
 * (nobody says anything), or with bytes changed on the way.
 */
import { connect, createServer, type Server, type Socket } from "node:net";

export class TcpProxy {
  readonly #server: Server;
  readonly #target: () => number;
  readonly #pairs = new Set<readonly [Socket, Socket]>();
  #port = 0;
  #frozen = false;
  /** Changes what the dialler sends, on its way. */
  tamper: (chunk: Buffer) => Buffer = (chunk) => chunk;

  /** `target`: the port on loopback to forward to, asked for at each connection. */
  constructor(target: () => number) {
    this.#target = target;
    this.#server = createServer((near) => this.#accept(near));
  }

  get port(): number {
    return this.#port;
  }

  /** Connections that are open now. */
  get open(): number {
    return this.#pairs.size;
  }

  #accept(near: Socket): void {
    const far = connect({ host: "127.0.0.1", port: this.#target(), noDelay: true });
    near.setNoDelay(true);
    const pair = [near, far] as const;
    this.#pairs.add(pair);
    const end = () => {
      this.#pairs.delete(pair);
      near.destroy();
      far.destroy();
    };
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      if (this.#frozen) from.pause();
      from.on("data", (chunk) => {
        if (!to.write(from === near ? this.tamper(chunk) : chunk)) from.pause();
      });
      to.on("drain", () => {
        if (!this.#frozen) from.resume();
      });
      from.on("error", end);
      from.on("close", end);
    }
  }

  /** Connections from now on are accepted; on the same port each time. */
  listen(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen(this.#port, "127.0.0.1", () => {
        const address = this.#server.address();
        if (typeof address === "object" && address !== null) this.#port = address.port;
        resolve();
      });
    });
  }

  /** Ends all connections; new ones are refused until `listen`. */
  async cut(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const [near, far] of this.#pairs) {
      near.destroy();
      far.destroy();
    }
    await closed;
  }

  /** Silence: connections stay and carry nothing, new ones too. */
  freeze(): void {
    this.#frozen = true;
    for (const [near, far] of this.#pairs) {
      near.pause();
      far.pause();
    }
  }

  thaw(): void {
    this.#frozen = false;
    for (const [near, far] of this.#pairs) {
      near.resume();
      far.resume();
    }
  }

  async close(): Promise<void> {
    if (this.#server.listening) await this.cut();
  }
}
