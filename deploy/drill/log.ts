/**
 * The committed log as an integrator can have it: every result, asked for by its number (rule 13). A drill takes it for the
 * truth about what was executed, and holds against it what its clients were told.
 */
import type { ResultEvent } from "../../actors/client/result-events.ts";
import { readResults } from "../../actors/client/results.ts";
import type { Bus, Clock } from "../../actors/world/ports.ts";
import type { CommittedRecord } from "../../machines/checker/history.ts";
import { ReplayEnd, replayHeaders } from "../../schemas/replay.ts";
import { subjects } from "../../schemas/subjects.ts";
import { readJson } from "../commands/ask.ts";

const answerWithinMs = 15_000;
const askEveryMs = 500;

/** Where the results stand now. Rejects when no hot server answers. */
export function lastResult(bus: Bus, clock: Clock, service: string): Promise<{ history: string; last: number }> {
  return new Promise((resolve, reject) => {
    const inbox = bus.inbox();
    const ask = () => {
      bus.publish(subjects.replay(service), Buffer.from(JSON.stringify({ from: 1, limit: 1 })), undefined, inbox);
      again = clock.after(askEveryMs, ask);
    };
    const finish = () => {
      again.cancel();
      timer.cancel();
      subscription.stop();
    };
    const subscription = bus.subscribe(inbox, (message) => {
      if (message.headers?.[replayHeaders.end] === undefined) return;
      const end = ReplayEnd.safeParse(readJson(message.data)).data;
      if (end === undefined || end.error?.code === "NOT_HOT" || end.error?.code === "BUSY") return;
      finish();
      resolve({ history: end.current, last: end.last });
    });
    const timer = clock.after(answerWithinMs, () => {
      finish();
      reject(new Error("no hot server answers a replay: the log cannot be read"));
    });
    let again = clock.after(0, ask);
  });
}

/** Everything committed from result number `from` on, of these clients alone; and whatever history goes on. */
export async function readLog(
  bus: Bus,
  clock: Clock,
  { service, from, history, clients }: { service: string; from: number; history: string; clients: ReadonlySet<string> },
): Promise<{ history: string; records: CommittedRecord[] }[]> {
  const logs = new Map<string, CommittedRecord[]>();
  for await (const event of readResults({ service, bus, clock, from, history, follow: false })) {
    if (event.type !== "result" || !clients.has(event.client)) continue;
    const records = logs.get(event.history) ?? [];
    logs.set(event.history, records);
    records.push(recordOf(event));
  }
  return [...logs].map(([name, records]) => ({ history: name, records }));
}

function recordOf({ sequence, epoch, reply, result, bytes }: ResultEvent): CommittedRecord {
  const { client, id } = reply;
  const text = Buffer.from(bytes).toString();
  return { sequence, epoch, hash: 0, kind: "final", client, id, name: "", resultNumber: result, reply: text };
}
