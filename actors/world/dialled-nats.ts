/**
 * One attempt to get a connection to any of the configured brokers, starting anywhere in the list, over whatever carries it. What always holds: it
 * ends in good time, whatever the brokers do, and leaves no socket behind; a connection has proved how long a line of the protocol may be on it
 * before anything else is sent.
 */
import type { ConnectionOptions, NatsConnection } from "nats";
import { utf8Bytes } from "../../schemas/utf8.ts";
import { shownUrl } from "./broker-url.ts";
import type { Clock, Timer } from "./ports.ts";

/** The library's own pings stay out of the way: when they give up they wait for a full socket to empty. */
const libraryPingMs = 3_600_000;
/**
 * The lengths of a line (`max_control_line`) that are tried, longest first: no broker tells its limit, and one that gets a
 * longer line ends the connection. nats-server's default is the first, and we never send more; what lies between two of
 * these counts as the lower one.
 */
export const lineBytesTried = [4096, 2048, 1024, 512, 256] as const;

/** What is under a connection of the library's. */
export interface Wire {
  /** In order behind all that was sent before. The bytes are not kept. */
  send(bytes: Uint8Array): void;
  /** Bytes that wait in this process. */
  waitingBytes(): number;
  /** A number that changes while the broker shows life. */
  progress(): number;
  /** Fulfilled when the connection is over; with the error that ended it, where there is one. */
  closed(): Promise<unknown>;
  /** Ends the connection at once: whatever waits is dropped, and nobody is waited for. */
  cut(reason: Error): void;
  /** Lets go of the connection, whatever it is in; resolves when its socket is no longer ours. */
  close(): Promise<void>;
}

export interface Opened {
  readonly connection: NatsConnection;
  readonly wire: Wire;
}

/** A connection, and how long a line may be on it. */
export interface Dialled extends Opened {
  readonly lineBytes: number;
}

/** The connection, or why there is none. `isWanted`: asked before each broker. */
export type Dial = (isWanted: () => boolean) => Promise<Dialled | string>;

export interface Brokers {
  readonly servers: readonly string[];
  readonly clock: Clock;
  /** How long each step may take. */
  readonly withinMs: number;
  /** Asked first, where there is one: why nobody answers there; null where somebody does. */
  readonly probe?: (server: string) => Promise<string | null>;
  /** Logs in there. Rejects, and leaves no socket, where that does not work. */
  readonly open: (server: string) => Promise<Opened>;
}

export async function dialAny(brokers: Brokers, isWanted: () => boolean): Promise<Dialled | string> {
  const { servers, clock, withinMs, probe, open } = brokers;
  const first = Math.floor(clock.random() * servers.length);
  let reason = "not wanted any more";
  for (let at = 0; at < servers.length && isWanted(); at += 1) {
    const server = servers[(first + at) % servers.length] ?? "";
    const shown = shownUrl(server);
    const silent = (await probe?.(server)) ?? null;
    if (silent !== null) {
      reason = silent;
      continue;
    }
    try {
      for (const lineBytes of lineBytesTried) {
        const opened = await open(server);
        const cut = await tryLine(opened, lineBytes, clock, withinMs);
        if (cut === "") return { ...opened, lineBytes };
        reason = `${shown}: ${cut}`;
      }
    } catch (error) {
      reason = `${shown}: ${(error as Error).message}`;
    }
  }
  return reason;
}

/** Each connection is dialled once: the library's own way of dialling again may send what was queued before. */
export function dialOptions(
  server: string,
  { name, inboxPrefix, withinMs }: { readonly name: string; readonly inboxPrefix: string; readonly withinMs: number },
): ConnectionOptions {
  return {
    servers: [shownUrl(server)],
    name,
    inboxPrefix,
    timeout: withinMs,
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
async function tryLine({ connection, wire }: Opened, lineBytes: number, clock: Clock, withinMs: number) {
  wire.send(utf8Bytes(`UNSUB ${"0".repeat(lineBytes)}\r\n`));
  let timer: Timer | undefined;
  const late = new Promise<null>((resolve) => {
    timer = clock.after(withinMs, () => resolve(null));
  });
  const closed = wire
    .closed()
    .then((why) => (why instanceof Error ? why.message : `a line of ${lineBytes} bytes is not taken`));
  const taken = connection.flush().then(
    () => "",
    () => closed,
  );
  // The library waits for an answer that a lost connection never gives.
  const cut = await Promise.race([taken, closed, late]);
  timer?.cancel();
  if (cut !== "") await wire.close();
  if (cut === null) throw new Error("it does not answer");
  return cut;
}
