/**
 * Dials brokers over WebSockets, as a page in a browser does. What always holds: the socket is ours: whatever the library waits for, a dial that
 * fails and a connection that is cut end at once, and leave none behind.
 */
import { type ConnectionOptions, connect, jwtAuthenticator, type NatsConnection, nkeyAuthenticator } from "nats.ws";
import { utf8Bytes } from "../../schemas/utf8.ts";
import { credentialsIn } from "./broker-url.ts";
import { jwtIn, seedLineIn } from "./creds-text.ts";
import { type Dial, dialAny, dialOptions, type Opened, type Wire } from "./dialled-nats.ts";
import { progressOf } from "./pings.ts";
import type { Clock } from "./ports.ts";

/** Where the brokers listen for WebSockets, and how to log in: in one way, or not at all. */
export interface WebSocketAccess {
  /** `wss://…`, or `ws://…` of this machine. Each may log in by itself: `wss://user:password@…`, `wss://token@…`. */
  readonly servers: readonly string[];
  readonly user?: string;
  readonly password?: string;
  readonly token?: string;
  /** An nkey's seed: what an nkey file holds. It is never sent. */
  readonly nkey?: string;
  /** What a `.creds` file holds. Its seed is never sent. */
  readonly creds?: string;
}

export interface WebSocketDial {
  readonly nats: WebSocketAccess;
  readonly name: string;
  readonly inboxPrefix: string;
  readonly clock: Clock;
  readonly withinMs: number;
}

/** What we use of a browser's WebSocket, which Node's types do not know. */
interface Socket {
  readonly bufferedAmount: number;
  addEventListener(type: "message", listener: (event: { readonly data: ArrayBuffer }) => void): void;
  close(): void;
}
declare const WebSocket: new (url: string) => Socket;

/** Why nobody can tell how to log in; "" where it is clear. */
export function whyNoWebSocketLogIn({ servers, user, password, token, nkey, creds }: WebSocketAccess): string {
  const ways = Object.entries({ user, token, nkey, creds }).filter(([, given]) => given !== undefined);
  if (servers.length === 0) return "give at least one server";
  if (ways.length > 1) return `give one way to log in, not ${ways.map(([name]) => name).join(" and ")}`;
  if ((user === undefined) !== (password === undefined)) return "a user and a password belong together";
  if (nkey !== undefined && seedLineIn(nkey) === undefined)
    return "nkey is no user's seed (a line that begins with SU)";
  if (creds !== undefined && !(jwtIn(creds) && seedLineIn(creds))) return "creds is no .creds file's text";
  return "";
}

export function dialWebSockets({ nats, name, inboxPrefix, clock, withinMs }: WebSocketDial): Dial {
  const open = async (server: string): Promise<Opened> => {
    let socket: Socket | undefined;
    const wsFactory = (url: string) => {
      socket = new WebSocket(url);
      return Promise.resolve({ socket, encrypted: /^wss:/i.test(url) });
    };
    const options = { ...dialOptions(server, { name, inboxPrefix, withinMs }), wsFactory, ...logInFor(server, nats) };
    try {
      const connection = await connect(options as ConnectionOptions);
      if (socket === undefined) throw new Error("the library opened a socket of its own");
      return { connection: connection as unknown as Opened["connection"], wire: wireOf(connection, socket) };
    } catch (error) {
      socket?.close();
      // Pages are not told why they cannot reach somebody.
      const why = error instanceof Error ? error.message : "";
      throw new Error(why === "" || why === "undefined" ? "no answer, or no WebSocket there" : why, { cause: error });
    }
  };
  return (isWanted) => dialAny({ servers: nats.servers, clock, withinMs, open }, isWanted);
}

function logInFor(server: string, { user, password, token, nkey, creds }: WebSocketAccess): ConnectionOptions {
  const said = credentialsIn(server);
  if (Object.keys(said).length > 0) return said;
  if (creds !== undefined) return { authenticator: jwtAuthenticator(jwtIn(creds) ?? "", seedIn(creds)) };
  if (nkey !== undefined) return { authenticator: nkeyAuthenticator(seedIn(nkey)) };
  if (token !== undefined) return { token };
  return user === undefined ? {} : { user, pass: password ?? "" };
}

const seedIn = (text: string): Uint8Array => utf8Bytes(seedLineIn(text) ?? "");

/** What we use of the library beyond its types: its ordered output. */
interface Internals {
  readonly protocol: { sendCommand(bytes: Uint8Array): void };
}

function wireOf(connection: NatsConnection, socket: Socket): Wire {
  const { protocol } = connection as unknown as Internals;
  const bytes = { read: 0, sent: 0 };
  socket.addEventListener("message", ({ data }) => {
    bytes.read += data.byteLength;
  });
  let onCut: (reason: Error) => void;
  const cut = new Promise<Error>((resolve) => {
    onCut = resolve;
  });
  // The library's own end waits for bytes that a dead broker never takes.
  const letGo = () => {
    socket.close();
    void connection.close().catch(() => undefined);
  };
  return {
    send(sent) {
      bytes.sent += sent.length;
      protocol.sendCommand(sent);
    },
    waitingBytes: () => socket.bufferedAmount,
    progress: progressOf({
      get bytesRead() {
        return bytes.read;
      },
      get bytesWritten() {
        return bytes.sent;
      },
      get writableLength() {
        return socket.bufferedAmount;
      },
    }),
    closed: () => Promise.race([connection.closed(), cut]),
    cut(reason) {
      onCut(reason);
      letGo();
    },
    close() {
      letGo();
      return Promise.resolve();
    },
  };
}
