/** The requests that went wrong, told as lines of a story: every copy, what each was answered, and where it was committed. */
import type { HistoryEvent, Violation } from "../../../machines/checker/history.ts";
import { parseReply } from "../../../machines/checker/requests.ts";
import type { StoryLine } from "../world/story.ts";

const maxRequests = 2;

/** A violation names requests as `client/id`, and others of the same client by their ids. */
export function requestStory(events: readonly HistoryEvent[], violations: readonly Violation[]): StoryLine[] {
  const words = violations.flatMap(({ text }) => text.match(/[\w-]+/g) ?? []);
  const byId = new Map<string, string>();
  for (const event of events) if (event.type === "invoke") byId.set(event.id, `${event.client}/${event.id}`);
  const named = words.flatMap((word) => byId.get(word) ?? []);
  const chosen = new Set([...new Set(named)].slice(0, maxRequests));
  return events.flatMap((event) => linesOf(event, chosen));
}

function linesOf(event: HistoryEvent, chosen: ReadonlySet<string>): StoryLine[] {
  const line = (who: string, text: string): StoryLine => ({
    atMs: event.atMs,
    who,
    text,
    kind: "request",
    fault: null,
  });
  switch (event.type) {
    case "invoke": {
      if (!chosen.has(`${event.client}/${event.id}`)) return [];
      const which = event.copy === 1 ? "" : ` again (copy ${event.copy})`;
      return [line(event.client, `sends ${event.id}${which}: ${inWords(event.body)}`)];
    }
    case "reply":
      if (!chosen.has(`${event.client}/${event.id}`)) return [];
      return [line(event.client, `is told of ${event.id} (copy ${event.copy}): ${answerInWords(event.bytes)}`)];
    case "commit":
      return event.records
        .filter(({ client, id }) => chosen.has(`${client}/${id}`))
        .map(({ sequence, epoch, id, name, kind }) => {
          const what =
            kind === "transaction" ? `transaction ${name} of ${id}` : kind === "attempt" ? `an attempt at ${id}` : id;
          return line(event.incarnation, `knows ${what} committed, at sequence ${sequence} of epoch ${epoch}`);
        });
    case "result":
      return [...chosen].some((name) => name === clientAndId(event.bytes))
        ? [
            line(
              event.integrator,
              `gets result ${event.number} (${clientAndId(event.bytes)}), at sequence ${event.sequence}`,
            ),
          ]
        : [];
    default:
      return [];
  }
}

function clientAndId(bytes: string): string {
  const reply = parseReply(bytes);
  return reply === null ? "" : `${reply.client}/${reply.id}`;
}

function answerInWords(bytes: string): string {
  const reply = parseReply(bytes);
  if (reply === null) return "something that is no answer";
  const place = reply.sequence === undefined ? "" : `, at sequence ${reply.sequence} of epoch ${reply.epoch}`;
  if (reply.ok) return `done${place}: ${inWords(reply.result)}`;
  const code = reply.error?.code ?? "";
  if (code === "NOT_SENT") return "nobody listens, this copy reached no server";
  return `refused, ${code}${reply.error?.executed === false ? ", this copy was not executed" : ""}${place}`;
}

/** `type transfer, from a1, to a2, amount 7`: fields and values, without the punctuation of JSON. */
function inWords(value: unknown): string {
  if (Array.isArray(value)) return value.length === 0 ? "none" : value.map((one) => `(${inWords(one)})`).join(" ");
  if (typeof value !== "object" || value === null) return String(value);
  return Object.entries(value)
    .map(([name, one]) => `${name} ${inWords(one)}`)
    .join(", ");
}
