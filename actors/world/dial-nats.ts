/**
 * Dials brokers over TCP, or TLS. What always holds: each dial logs in with what the files say then; a broker that does not greet is not dialled, for
 * of such a dial the library leaves the socket open for ever.
 */
import type { Socket } from "node:net";
import { connect, type NatsConnection } from "nats";
import { shownUrl } from "./broker-url.ts";
import { type Dial, dialAny, dialOptions, type Opened, type Wire } from "./dialled-nats.ts";
import { logInFor, type NatsAccess } from "./log-in-nats.ts";
import { progressOf } from "./pings.ts";
import type { Clock } from "./ports.ts";
import { probeBroker } from "./probe.ts";

export interface TcpDial {
  readonly nats: NatsAccess;
  readonly name: string;
  readonly inboxPrefix: string;
  readonly clock: Clock;
  readonly withinMs: number;
}

export function dialNats({ nats, name, inboxPrefix, clock, withinMs }: TcpDial): Dial {
  const open = async (server: string): Promise<Opened> => {
    const logIn = await logInFor(server, nats);
    const connection = await connect({ ...dialOptions(server, { name, inboxPrefix, withinMs }), ...logIn });
    return { connection, wire: wireOf(connection) };
  };
  const probe = (server: string) => probeBroker(shownUrl(server), withinMs, clock);
  return (isWanted) => dialAny({ servers: nats.servers, clock, withinMs, probe, open }, isWanted);
}

/** What we use of the library beyond its types: its ordered output, and the socket. */
interface Internals {
  readonly protocol: {
    sendCommand(bytes: Uint8Array): void;
    readonly transport?: { readonly socket?: Socket };
  };
}

function wireOf(connection: NatsConnection): Wire {
  const { protocol } = connection as unknown as Internals;
  const socket = protocol.transport?.socket;
  return {
    send: (bytes) => protocol.sendCommand(bytes),
    waitingBytes: () => socket?.writableLength ?? 0,
    progress: socket === undefined ? () => 0 : progressOf(socket),
    closed: () => connection.closed(),
    cut: (reason) => void socket?.destroy(reason),
    close: () => connection.close(),
  };
}
