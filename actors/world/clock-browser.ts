/**
 * The Clock port in a browser. What always holds: what clock-node.ts says; `soon` does not wait for a timer, which browsers put off in pages that
 * nobody looks at.
 */
import type { Clock, Timer } from "./ports.ts";

/** 16 bytes are 22 characters of base64url. */
const idBytes = 16;

/** What we use of a browser's, which Node's types call otherwise. */
declare const MessageChannel: new () => {
  readonly port1: { addEventListener(type: "message", listener: () => void): void; start(): void; close(): void };
  readonly port2: { postMessage(message: null): void };
};

export function openBrowserClock(): Clock {
  const waiting: (() => void)[] = [];
  let channel: InstanceType<typeof MessageChannel> | undefined;
  const opened = () => {
    const made = new MessageChannel();
    made.port1.addEventListener("message", () => {
      const run = waiting.shift();
      if (waiting.length === 0) {
        made.port1.close();
        channel = undefined;
      }
      run?.();
    });
    made.port1.start();
    return made;
  };
  return {
    nowMs: () => performance.now(),
    wallMs: () => Date.now(),
    after(delayMs: number, run: () => void): Timer {
      const timer = setTimeout(run, delayMs);
      return { cancel: () => clearTimeout(timer) };
    },
    soon(run: () => void): void {
      waiting.push(run);
      channel ??= opened();
      channel.port2.postMessage(null);
    },
    randomId: () => {
      const bytes = crypto.getRandomValues(new Uint8Array(idBytes));
      return btoa(String.fromCharCode(...bytes))
        .replaceAll("+", "-")
        .replaceAll("/", "_")
        .replaceAll("=", "");
    },
    random: () => Math.random(),
  };
}
