/**
 * A server that `twinlog up` started ends with it: the channel between the two closes when `up` is gone, however it went,
 * `kill -9` included. A server that was started in another way has no such channel, and nothing happens here.
 */
import process from "node:process";

/** How long a server may take to stop cleanly once nobody watches over it. */
export const orphanStopMs = 10_000;

/** Calls `stop` once when the parent is gone; ends the process by force when it has not ended within `orphanStopMs`. */
export function endWithParent(stop: () => void): void {
  if (process.channel === undefined) return;
  process.once("disconnect", () => {
    stop();
    setTimeout(() => process.exit(1), orphanStopMs).unref();
  });
  // The channel alone is no reason to stay.
  process.channel?.unref();
}
