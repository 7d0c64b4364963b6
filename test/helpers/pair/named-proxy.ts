/**
 * A proxy before nats-server that knows each connection by the name that it gives (`CONNECT {…"name":"…"}`), so that one of a
 * program's connections can be taken away from it and the others not.
 */
import { connect, createServer, type Server, type Socket } from "node:net";

/** refused: the broker says this, and ends the connection. frozen: it carries nothing any more. */
export type Fate = { readonly refused: string } | "frozen" | "free";

interface Carried {
  name: string;
  readonly near: Socket;
  readonly far: Socket;
}

export class NamedProxy {
  readonly #server: Server;
  readonly #carried = new Set<Carried>();
  #fate: (name: string) => Fate = () => "free";
  #port = 0;

  constructor(targetPort: number) {
    this.#server = createServer((near) => this.#carry(near, connect({ host: "127.0.0.1", port: targetPort })));
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

  /** Names of the connections that are open now. */
  get names(): string[] {
    return [...this.#carried].map(({ name }) => name).filter((name) => name !== "");
  }

  /** What becomes of connections, by their names, from now on. */
  set fate(fate: (name: string) => Fate) {
    this.#fate = fate;
    for (const carried of this.#carried) this.#judge(carried);
  }

  #judge({ name, near, far }: Carried): void {
    const fate = name === "" ? "free" : this.#fate(name);
    if (fate === "free") {
      near.resume();
      far.resume();
    } else if (fate === "frozen") {
      near.pause();
      far.pause();
    } else near.end(`-ERR '${fate.refused}'\r\n`);
  }

  #carry(near: Socket, far: Socket): void {
    const carried: Carried = { name: "", near, far };
    this.#carried.add(carried);
    const end = () => {
      this.#carried.delete(carried);
      near.destroy();
      far.destroy();
    };
    near.on("data", (chunk) => {
      far.write(chunk);
      if (carried.name !== "") return;
      carried.name = /^CONNECT \{.*"name":"([^"]*)"/m.exec(chunk.toString())?.[1] ?? "";
      this.#judge(carried);
    });
    far.on("data", (chunk) => near.write(chunk));
    for (const socket of [near, far]) socket.on("error", end).on("close", end);
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const { near, far } of this.#carried) {
      near.destroy();
      far.destroy();
    }
    await closed;
  }
}
