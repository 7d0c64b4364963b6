/**
 * A client for the smallest of devices: NATS's text protocol over a TCP socket, and nothing else. All that it knows of Twinlog is a
 * subject and an envelope.
 */
import { connect } from "node:net";

/** Sends one request and resolves with the reply's text. */
export function askOverTcp(port: number, subject: string, envelope: object): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1");
    const body = JSON.stringify(envelope);
    const inbox = `_INBOX.${process.pid}.${Date.now()}`;
    let received = "";
    socket.on("error", reject);
    socket.on("connect", () => {
      socket.write('CONNECT {"verbose":false}\r\n');
      socket.write(`SUB ${inbox} 1\r\nPUB ${subject} ${inbox} ${Buffer.byteLength(body)}\r\n${body}\r\n`);
    });
    socket.on("data", (chunk) => {
      received += chunk.toString();
      if (received.endsWith("PING\r\n")) socket.write("PONG\r\n");
      const reply = /MSG \S+ 1 \d+\r\n(.*)\r\n/.exec(received)?.[1];
      if (reply === undefined) return;
      socket.end();
      resolve(reply);
    });
  });
}
