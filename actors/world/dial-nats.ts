/**
 * One attempt to get a connection to any of the configured brokers, starting anywhere in the list. What always holds: it
 * ends in good time, whatever the brokers do, and leaves no socket behind; it logs in with what the files say now; a connection has proved how long a line of the
 * protocol may be on it before anything else is sent.
 */
import { type ConnectionOptions, connect, type NatsConnection } from "nats";
import { shownUrl } from "./broker-url.ts";
import { logInFor, type NatsAccess } from "./log-in-nats.ts";
import type { Clock, Timer } from "./ports.ts";
import { probeBroker } from "./probe.ts";

/** How long each step of a dial may take. */
export const dialWithinMs = 1_000;
/** The library's own pings stay out of the way: when they give up they wait for a full socket to empty. */
const libraryPingMs = 3_600_000;
/**
 * The lengths of a line (`max_control_line`) that are tried, longest first: no broker tells its limit, and one that gets a
 * longer line ends the connection. nats-server's default is the first, and we never send more; what lies between two of
 * these counts as the lower one.
 */
export const lineBytesTried = [4096, 2048, 1024, 512, 256] as const;

/** What we use of the library beyond its types: its ordered output. */
export interface Output {
  readonly protocol: { sendCommand(bytes: Uint8Array): void };
}

/** A connection, and how long a line may be on it. */
export interface Dialled {
  readonly connection: NatsConnection;
  readonly lineBytes: number;
}

export interface Dial {
  readonly nats: NatsAccess;
  readonly name: string;
  readonly inboxPrefix: string;
  readonly clock: Clock;
  /** Asked before each broker. */
  readonly isWanted: () => boolean;
}

/** The connection, or why there is none. */
export async function dialNats({ nats, name, inboxPrefix, clock, isWanted }: Dial): Promise<Dialled | string> {
  const first = Math.floor(clock.random() * nats.servers.length);
  let reason = "not wanted any more";
  for (let at = 0; at < nats.servers.length && isWanted(); at += 1) {
    const server = nats.servers[(first + at) % nats.servers.length] ?? "";
    const shown = shownUrl(server);
    const silent = await probeBroker(shown, dialWithinMs, clock);
    if (silent !== null) {
      reason = silent;
      continue;
    }
    try {
      const logIn = await logInFor(server, nats);
      for (const lineBytes of lineBytesTried) {
        const connection = await connect({ ...optionsFor(server, { name, inboxPrefix }), ...logIn });
        const cut = await tryLine(connection, lineBytes, clock);
        if (cut === "") return { connection, lineBytes };
        reason = `${shown}: ${cut}`;
      }
    } catch (error) {
      reason = `${shown}: ${(error as Error).message}`;
    }
  }
  return reason;
}

function optionsFor(server: string, { name, inboxPrefix }: Pick<Dial, "name" | "inboxPrefix">): ConnectionOptions {
  // Each connection is dialled once: the library's own way of dialling again may send what was queued before.
  return {
    servers: [shownUrl(server)],
    name,
    inboxPrefix,
    timeout: dialWithinMs,
    reconnect: false,
    ignoreClusterUpdates: true,
    noAsyncTraces: true,
    pingInterval: libraryPingMs,
  };
}

/**
 * Why the broker ended the connection at a line of so many bytes; "" if it took it. The line ends a subscription that there
 * never was: it means nothing to the broker, and needs no permission.
 */
async function tryLine(connection: NatsConnection, lineBytes: number, clock: Clock): Promise<string> {
  const { protocol } = connection as unknown as Output;
  protocol.sendCommand(Buffer.from(`UNSUB ${"0".repeat(lineBytes)}\r\n`));
  let timer: Timer | undefined;
  const late = new Promise<null>((resolve) => {
    timer = clock.after(dialWithinMs, () => resolve(null));
  });
  const closed = connection
    .closed()
    .then((why) => (why instanceof Error ? why.message : `a line of ${lineBytes} bytes is not taken`));
  const taken = connection.flush().then(
    () => "",
    () => closed,
  );
  // The library waits for an answer that a lost connection never gives.
  const cut = await Promise.race([taken, closed, late]);
  timer?.cancel();
  if (cut !== "") await connection.close();
  if (cut === null) throw new Error("it does not answer");
  return cut;
}
