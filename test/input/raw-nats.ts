/** A client of a few lines that speaks NATS's text protocol: it sends what a library would refuse to. */
import { connect, type Socket } from "node:net";
import { until } from "../helpers/until.ts";

export class RawNats {
  readonly #socket: Socket;
  #text = "";
  isClosed = false;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setEncoding("latin1");
    socket.on("data", (chunk: string) => {
      this.#text += chunk;
      if (chunk.includes("PING\r\n")) socket.write("PONG\r\n");
    });
    socket.on("error", () => {});
    socket.on("close", () => {
      this.isClosed = true;
    });
  }

  static async open(port: number): Promise<RawNats> {
    const client = new RawNats(connect(port, "127.0.0.1"));
    client.#socket.write('CONNECT {"verbose":false,"pedantic":false,"headers":true}\r\n');
    await client.#pong();
    return client;
  }

  publish(subject: string, data: string | Uint8Array, reply = ""): void {
    const bytes = Buffer.from(data as Uint8Array);
    this.#socket.write(`PUB ${reply === "" ? subject : `${subject} ${reply}`} ${bytes.length}\r\n`);
    this.#socket.write(bytes);
    this.#socket.write("\r\n");
  }

  /** With a reply subject of any bytes. */
  publishBytes(subject: string, data: string, reply: Uint8Array): void {
    this.#socket.write(Buffer.concat([Buffer.from(`PUB ${subject} `), reply]));
    this.#socket.write(` ${Buffer.byteLength(data)}\r\n${data}\r\n`);
  }

  /** Resolves when the broker has taken what was sent, or has ended the connection over it. */
  async #pong(): Promise<void> {
    const seen = this.#text.split("PONG\r\n").length;
    this.#socket.write("PING\r\n");
    await until(() => this.isClosed || this.#text.split("PONG\r\n").length > seen, {
      withinMs: 10_000,
      waitedFor: "the broker's PONG",
    });
  }

  async close(): Promise<void> {
    await this.#pong();
    this.#socket.destroy();
  }
}
