/**
 * Asks whether a broker answers at an address, before the client library dials it: of a dial that nobody answers (a
 * broker that is stopped, a network that swallows) the library leaves the socket open for ever.
 */
import { connect } from "node:net";
import { addressOf } from "./broker-url.ts";
import type { Clock } from "./ports.ts";

/** Null if a broker greets in time, else why not. `url`: `nats://host:port`, or without scheme or port. */
export function probeBroker(url: string, withinMs: number, clock: Clock): Promise<string | null> {
  const address = addressOf(url);
  if (address === null) return Promise.resolve(`${url} is not an address`);
  return new Promise((resolve) => {
    const socket = connect(address);
    const end = (reason: string | null) => {
      timer.cancel();
      socket.destroy();
      resolve(reason);
    };
    const timer = clock.after(withinMs, () => end(`${url} does not answer`));
    socket.on("error", (error) => end(`${url}: ${error.message}`));
    socket.on("close", () => end(`${url} closed the connection`));
    socket.on("data", (chunk) =>
      end(chunk.subarray(0, 4).toString() === "INFO" ? null : `${url} is not a NATS server`),
    );
  });
}
