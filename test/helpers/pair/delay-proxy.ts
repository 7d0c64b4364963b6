/**
 * A TCP proxy that lets everything through later, as a wide-area network does: each way a fixed delay and some jitter, bytes in order.
 */
import { connect, createServer, type Server, type Socket } from "node:net";
import { Random } from "../random.ts";

export interface Delay {
  readonly oneWayMs: number;
  readonly jitterMs: number;
}

export class DelayProxy {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #timers = new Set<NodeJS.Timeout>();
  readonly #random = new Random(1);
  readonly #delay: Delay;
  #port = 0;

  constructor(targetPort: number, delay: Delay) {
    this.#delay = delay;
    this.#server = createServer((near) => {
      const far = connect({ host: "127.0.0.1", port: targetPort, noDelay: true });
      this.#carry(near, far);
      this.#carry(far, near);
    });
  }

  get port(): number {
    return this.#port;
  }

  listen(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.listen(0, "127.0.0.1", () => {
        const address = this.#server.address();
        if (typeof address === "object" && address !== null) this.#port = address.port;
        resolve();
      });
    });
  }

  async close(): Promise<void> {
    for (const timer of this.#timers) clearTimeout(timer);
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #carry(from: Socket, to: Socket): void {
    this.#sockets.add(from);
    from.setNoDelay(true);
    let lastAt = 0;
    const later = (act: () => void) => {
      const { oneWayMs, jitterMs } = this.#delay;
      // Never before what was sent earlier.
      lastAt = Math.max(lastAt, performance.now() + oneWayMs + this.#random.next() * jitterMs);
      const timer = setTimeout(() => {
        this.#timers.delete(timer);
        act();
      }, lastAt - performance.now());
      this.#timers.add(timer);
    };
    const queue: Buffer[] = [];
    from.on("data", (chunk) => {
      queue.push(chunk);
      // Timers of one moment may run in another order; the bytes may not.
      later(() => {
        const next = queue.shift();
        if (next !== undefined && !to.destroyed) to.write(next);
      });
    });
    from.on("error", () => from.destroy());
    from.on("close", () => {
      this.#sockets.delete(from);
      later(() => to.destroy());
    });
  }
}
