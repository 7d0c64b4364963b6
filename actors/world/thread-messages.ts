/**
 * What a thread of its own says, message by message. What always holds: it hears of each message that was taken, so that it goes no
 * further ahead than it wants; who takes them has a turn of the event loop in between; however it ends, that is told, and it is gone.
 */
import { Worker } from "node:worker_threads";
import { StoreError } from "./ports.ts";

/** Throws StoreError `failed` where the thread ends with an error; what it knows of itself it says in messages. */
export async function* threadMessages(program: URL, data: unknown): AsyncGenerator<unknown> {
  const thread = new Worker(program, { workerData: data });
  const messages: unknown[] = [];
  let failure: StoreError | null = null;
  let hasEnded = false;
  let wake = () => {};
  thread.on("message", (message) => {
    messages.push(message);
    wake();
  });
  thread.on("error", (error) => {
    failure = new StoreError("failed", `the thread that reads the store has ended: ${error.message}`, { cause: error });
  });
  const end = new Promise<void>((resolve) => {
    thread.once("exit", () => {
      hasEnded = true;
      wake();
      resolve();
    });
  });
  try {
    for (;;) {
      if (messages.length > 0) {
        yield messages.shift();
        thread.postMessage("taken", []);
        await new Promise<void>((resolve) => setImmediate(resolve));
      } else if (hasEnded) break;
      else
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
    }
    if (failure !== null) throw failure;
  } finally {
    await thread.terminate();
    await end;
  }
}
