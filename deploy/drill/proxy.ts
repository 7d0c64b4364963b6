/**
 * A TCP proxy between two programs, for tests and drills, to take their connection away: cut (both kernels say so), frozen
 * (nobody says anything, or one side alone), slow, or with bytes changed on the way.
 */
import { connect, createServer, type Server, type Socket } from "node:net";

export class TcpProxy {
  readonly #server: Server;
  readonly #target: () => number;
  readonly #pairs = new Set<readonly [Socket, Socket]>();
  #port = 0;
  readonly #frozen = { forth: false, back: false };
  /** Each chunk takes so long on its way, as on a longer line. Set it before a connection is made. */
  delayMs = 0;
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
    for (const way of ["forth", "back"] as const) {
      const [from, to] = way === "forth" ? [near, far] : [far, near];
      if (this.#frozen[way]) from.pause();
      from.on("data", (chunk) => {
        const given = way === "forth" ? this.tamper(chunk) : chunk;
        if (this.delayMs === 0) {
          if (!to.write(given)) from.pause();
        } else setTimeout(() => to.write(given), this.delayMs);
      });
      to.on("drain", () => {
        if (!this.#frozen[way]) from.resume();
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
        this.#server.off("error", reject);
        const address = this.#server.address();
        if (typeof address === "object" && address !== null) this.#port = address.port;
        resolve();
      });
    });
  }

  /** Bytes that nobody sent, as if the dialler (forth) or the other side (back) had, over each connection. */
  inject(way: "forth" | "back", bytes: Uint8Array): void {
    for (const [near, far] of this.#pairs) (way === "forth" ? far : near).write(bytes);
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

  /** Silence: connections stay and carry nothing, new ones too. forth: what the dialler sends; back: what it is sent. */
  freeze(way: "both" | "forth" | "back" = "both"): void {
    if (way !== "back") this.#frozen.forth = true;
    if (way !== "forth") this.#frozen.back = true;
    for (const [near, far] of this.#pairs) {
      if (this.#frozen.forth) near.pause();
      if (this.#frozen.back) far.pause();
    }
  }

  thaw(): void {
    this.#frozen.forth = false;
    this.#frozen.back = false;
    for (const [near, far] of this.#pairs) {
      near.resume();
      far.resume();
    }
  }

  async close(): Promise<void> {
    if (this.#server.listening) await this.cut();
  }
}
