/**
 * Asks a nats-server, in its own text protocol over a bare TCP socket, who it is and whether JetStream answers. Of one that lets
 * no stranger in, or wants TLS, only the first is found out: it has JetStream before it listens.
 *
 * It is used while a server starts, many times a second and before any client would connect, so it needs no client library
 * and every attempt is bounded in time.
 */
import { connect, type Socket } from "node:net";
import { inboxes } from "../../schemas/subjects.ts";

export type NatsProbe =
  | { state: "silent" }
  | { state: "other"; serverName: string }
  | { state: "starting" }
  | { state: "ready"; port: number };

const inbox = `${inboxes.operator("up")}.probe`;
const questions = `CONNECT {"verbose":false,"pedantic":false,"headers":true,"no_responders":true}\r\nSUB ${inbox} 1\r\nPUB $JS.API.INFO ${inbox} 0\r\n\r\nPING\r\n`;

/** One attempt: `silent` nobody listens, `other` another server does, `starting` ours without JetStream yet, `ready` ours with it. */
export function probeNats(port: number, serverName: string, timeoutMs: number): Promise<NatsProbe> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: "127.0.0.1" });
    let heard = "";
    let answer: NatsProbe = { state: "silent" };
    const settle = (probe: NatsProbe): void => {
      socket.destroy();
      resolve(probe);
    };
    socket.setTimeout(timeoutMs, () => settle(answer));
    socket.on("error", () => settle(answer));
    socket.on("close", () => settle(answer));
    socket.setEncoding("utf8").on("data", (text: string) => {
      heard += text;
      if (answer.state === "silent") {
        answer = greet(socket, heard, serverName);
      }
      if (answer.state === "other") {
        settle(answer);
      } else if (heard.includes('"type":"io.nats.jetstream.api.v1.account_info_response"')) {
        settle(heard.includes('"error":') ? answer : { state: "ready", port });
      } else if (isClosedToStrangers(heard)) {
        settle({ state: "ready", port });
      } else if (heard.includes("NATS/1.0 503")) {
        settle(answer);
      }
    });
  });
}

const isClosedToStrangers = (heard: string): boolean =>
  heard.includes('"tls_required":true') || /^-ERR 'Authorization Violation'/m.test(heard);

/** Reads the server's INFO line and, if it is the expected server, asks it for JetStream. */
function greet(socket: Socket, heard: string, serverName: string): NatsProbe {
  const info = /^INFO (\{.*\})/.exec(heard)?.[1];
  if (info === undefined) {
    return { state: "silent" };
  }
  const name = /"server_name":"([^"]*)"/.exec(info)?.[1] ?? "";
  if (name !== serverName) {
    return { state: "other", serverName: name };
  }
  socket.write(questions);
  return { state: "starting" };
}
