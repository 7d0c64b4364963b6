/** What clients did in a run, counted from its history. */
import type { HistoryEvent, InvokeEvent } from "../../../machines/checker/history.ts";
import { parseReply } from "../../../machines/checker/requests.ts";
import { timersName } from "../../../schemas/timers.ts";
import type { Moment } from "./moments.ts";

/** A copy this long after its request was answered is a late one. */
const lateMs = 1_000;

/** What clients were refused, by the code of the answer. */
const refusals: Readonly<Record<string, Moment>> = {
  BUSY: "refused as busy",
  EXPIRED: "refused as expired",
  OUT_OF_ORDER: "refused as out of order",
  ID_REUSED: "reused id refused",
  TOO_LARGE: "request too large",
  POISONED: "request poisoned",
};

function refusalMoment(bytes: string): Moment | undefined {
  const error = bytes.includes('"ok":false') ? parseReply(bytes)?.error : undefined;
  if (error === undefined) return undefined;
  return /fits? in a record|effects may take/.test(error.message) ? "record too large" : refusals[error.code];
}

export function clientMoments(events: readonly HistoryEvent[]): [Moment, number][] {
  const first = new Map<string, InvokeEvent>();
  const sentAtMs = new Map<string, number>();
  const answeredAtMs = new Map<string, number>();
  const refused = new Map<Moment, number>();
  const timers = new Set<string>();
  const count = { again: 0, reused: 0, late: 0, pending: 0, queries: 0 };
  const onInvoke = (event: InvokeEvent, request: string) => {
    sentAtMs.set(`${request} ${event.copy}`, event.atMs);
    const original = first.get(request);
    if (original === undefined) {
      first.set(request, event);
      return;
    }
    count.again += 1;
    if (JSON.stringify(original.body) !== JSON.stringify(event.body)) count.reused += 1;
    if (event.atMs - (answeredAtMs.get(request) ?? event.atMs) > lateMs) count.late += 1;
  };
  for (const event of events) {
    if (event.type === "answer") count.queries += 1;
    if (event.type === "commit") for (const { id, client } of event.records) if (client === timersName) timers.add(id);
    if (event.type !== "invoke" && event.type !== "reply") continue;
    const request = `${event.client} ${event.id}`;
    if (event.type === "invoke") {
      onInvoke(event, request);
      continue;
    }
    const refusal = refusalMoment(event.bytes);
    if (refusal !== undefined) refused.set(refusal, (refused.get(refusal) ?? 0) + 1);
    const answered = answeredAtMs.get(request);
    if (answered === undefined) answeredAtMs.set(request, event.atMs);
    // A copy that was sent before any copy was answered.
    else if (event.duplicate && (sentAtMs.get(`${request} ${event.copy}`) ?? answered) < answered) count.pending += 1;
  }
  return [
    ["client sent again", count.again],
    ["client reused an id", count.reused],
    ["client sent late", count.late],
    ["duplicate of a pending request", count.pending],
    ["query answered", count.queries],
    ["timer came", timers.size],
    ...refused,
  ];
}
