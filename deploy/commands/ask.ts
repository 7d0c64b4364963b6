/**
 * One question to the service and its answer, for commands that are not the client library's business.
 */
import type { Bus, BusMessage, Clock } from "../../actors/world/ports.ts";
import { noRespondersStatus } from "../../actors/world/ports.ts";

export type Asked = { outcome: "answered"; data: unknown } | { outcome: "nobody" } | { outcome: "silence" };

/** Publishes `data` and waits for the first answer. nobody: nobody listens there. silence: none came in time. */
export function ask(bus: Bus, clock: Clock, subject: string, data: unknown, timeoutMs: number): Promise<Asked> {
  return new Promise((resolve) => {
    const inbox = `_INBOX.${clock.randomId()}`;
    const end = (asked: Asked) => {
      timer.cancel();
      subscription.stop();
      resolve(asked);
    };
    const timer = clock.after(timeoutMs, () => end({ outcome: "silence" }));
    const subscription = bus.subscribe(inbox, (message: BusMessage) => {
      if (message.status === noRespondersStatus) end({ outcome: "nobody" });
      else end({ outcome: "answered", data: readJson(message.data) });
    });
    bus.publish(subject, Buffer.from(JSON.stringify(data)), undefined, inbox);
  });
}

export function readJson(data: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(data).toString());
  } catch {
    return undefined;
  }
}
