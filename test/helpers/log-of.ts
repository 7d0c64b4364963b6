/** A log of results for tests: each a record of its own, made by client `c` for key `k`. */
import { MemoryLog } from "../../machines/log/memory-log.ts";
import { fieldsOf } from "./records.ts";

export interface LoggedResult {
  readonly reply: string;
  readonly client?: string;
  readonly key?: string;
  readonly traceparent?: string;
}

export function logOfReplies(results: readonly LoggedResult[]): MemoryLog {
  const log = new MemoryLog();
  for (const [index, { reply, client = "c", key = "k", traceparent = "" }] of results.entries()) {
    const number = index + 1;
    log.append(fieldsOf({ sequence: number, client, key, name: "", reply, takenMs: 1, traceparent }));
    if (number % 3 === 0) log.close();
  }
  log.close();
  return log;
}

/** As a server stores it, so many bytes long. */
export function replyOf(id: string, bytes = 0, client = "c"): string {
  const text = JSON.stringify({ client, id, ok: true, result: "", sequence: Number(id), epoch: 1 });
  return text.replace('"result":""', `"result":"${"x".repeat(Math.max(0, bytes - text.length))}"`);
}
