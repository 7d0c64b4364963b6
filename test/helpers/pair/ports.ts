/**
 * TCP ports on loopback that stay ours while the program that listens on them is down.
 *
 * They lie below the range from which the kernel takes ports for connections, since a redial to a dead port in that range may
 * meet itself. Test processes keep out of each other's way by holding the UDP port of the same number.
 */
import { createSocket, type Socket } from "node:dgram";
import { createServer } from "node:net";
import process from "node:process";

const lowest = 12_000;
const count = 18_000;

export class Ports {
  readonly #held: Socket[] = [];
  #next = (process.pid * 97) % count;

  async reserve(): Promise<number> {
    for (let tries = 0; tries < count; tries += 1) {
      const port = lowest + this.#next;
      this.#next = (this.#next + 1) % count;
      const socket = await holdUdp(port);
      if (socket === null) continue;
      if (await isFreeTcp(port)) {
        this.#held.push(socket);
        return port;
      }
      socket.close();
    }
    throw new Error("no free port");
  }

  release(): void {
    for (const socket of this.#held.splice(0)) socket.close();
  }
}

function holdUdp(port: number): Promise<Socket | null> {
  return new Promise((resolve) => {
    const socket = createSocket("udp4");
    socket.once("error", () => {
      socket.close();
      resolve(null);
    });
    socket.bind({ port, address: "127.0.0.1", exclusive: true }, () => {
      socket.unref();
      resolve(socket);
    });
  });
}

function isFreeTcp(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}
