/**
 * Every subject name, built in one place. Tokens are encoded so that any client name or partition key is safe as one
 * token: letters, digits, `-` and `_` stand for themselves, every other UTF-8 byte is `=` and two hex digits.
 * `decodeToken` is exact: a token that this file would not have produced is refused (null).
 */
const plain = /^[A-Za-z0-9_-]+$/;
const encodedToken = /^(?:[A-Za-z0-9_-]|=[0-9A-F]{2})+$/;
const utf8 = new TextDecoder("utf-8", { fatal: true });

export function encodeToken(text: string): string {
  if (plain.test(text)) return text;
  if (text.length === 0) return "=";
  let out = "";
  for (const byte of new TextEncoder().encode(text)) {
    const char = String.fromCharCode(byte);
    out += byte < 128 && plain.test(char) ? char : `=${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  }
  return out;
}

export function decodeToken(token: string): string | null {
  if (plain.test(token)) return token;
  if (token === "=") return "";
  if (!encodedToken.test(token)) return null;
  const bytes: number[] = [];
  for (let at = 0; at < token.length; at += 1) {
    if (token[at] === "=") {
      bytes.push(Number.parseInt(token.slice(at + 1, at + 3), 16));
      at += 2;
    } else bytes.push(token.charCodeAt(at));
  }
  try {
    const text = utf8.decode(Uint8Array.from(bytes));
    return encodeToken(text) === token ? text : null;
  } catch {
    return null;
  }
}

/** Longest client name or partition key, as a token of a subject: with two of them no line to the broker comes near 1,024 bytes. */
export const maxTokenBytes = 256;

/** Why a client of that name cannot send with that key; "" where it can. */
export function whyNoSubject(key: string, client: string): string {
  for (const [what, text] of [
    ["key", key],
    ["client's name", client],
  ] as const) {
    const bytes = encodeToken(text).length;
    if (bytes > maxTokenBytes)
      return `the ${what} takes ${bytes} bytes as a token of a subject; at most ${maxTokenBytes} are taken`;
  }
  return "";
}

/** Actors of a server that answer on subjects of their own. */
export const actorNames = ["application", "replication", "checkpoint", "failover"] as const;
export type ActorName = (typeof actorNames)[number];

export const subjects = {
  request: (service: string, key: string, client: string) =>
    `${service}.request.${encodeToken(key)}.${encodeToken(client)}`,
  requests: (service: string) => `${service}.request.>`,
  query: (service: string, key: string, client: string) =>
    `${service}.query.${encodeToken(key)}.${encodeToken(client)}`,
  queries: (service: string) => `${service}.query.>`,
  result: (service: string, key: string, client: string) =>
    `${service}.result.${encodeToken(key)}.${encodeToken(client)}`,
  /** Of nobody's: for what stands in for a result whose own subject is too long (pieces.ts). */
  omittedResult: (service: string) => subjects.result(service, "", ""),
  results: (service: string) => `${service}.result.>`,
  replay: (service: string) => `${service}.replay`,
  signal: (service: string) => `${service}.signal`,
  /** Where each server tells the schemas of its application (announced.ts). */
  schema: (service: string) => `${service}.schema`,
  status: (service: string, server: string) => `${service}.status.${server}`,
  statuses: (service: string) => `${service}.status.*`,
  event: (service: string, server: string) => `${service}.event.${server}`,
  events: (service: string) => `${service}.event.*`,
  /** `operator`: who commands, a name that the broker's permissions hold him to; without one, nobody vouches for who it is. */
  control: (service: string, server: string, verb: string, operator?: string) =>
    `${service}.control.${server}.${verb}${operator === undefined ? "" : `.${encodeToken(operator)}`}`,
  controls: (service: string, server: string) => `${service}.control.${server}.>`,
  /** Where a server hears from a crash notifier that another one is dead. */
  deaths: (service: string, server: string) => `${service}.server.${server}.deaths`,
  actor: (service: string, server: string, actor: ActorName) => `${service}.server.${server}.${actor}`,
} as const;

/**
 * Where answers come to: `<prefix>.<random>`, and maybe more tokens. Each role has prefixes of its own, so that a broker may let
 * a user listen to his own answers and to nobody else's (`<prefix>.>`).
 */
export const inboxes = {
  /** Of the client library, and of commands that send requests. */
  client: (client: string) => `_INBOX.client.${encodeToken(client)}`,
  /** Of the other commands. */
  operator: (name: string) => `_INBOX.operator.${encodeToken(name)}`,
  server: (service: string, server: string) => `_INBOX.server.${service}.${server}`,
} as const;

/** Whose inboxes begin so; undefined: no operator's. */
export function operatorOf(prefix: string): string | undefined {
  const [first, second, token, ...more] = prefix.split(".");
  const isOperators = `${first}.${second}` === "_INBOX.operator" && token !== undefined && more.length === 0;
  return isOperators ? (decodeToken(token) ?? undefined) : undefined;
}

/** The second token of a subject of this service: request, result, control …; "" for a subject of somebody else. */
export function subjectKind(service: string, subject: string): string {
  return subject.startsWith(`${service}.`) ? (subject.split(".", 2)[1] ?? "") : "";
}

/** `<service>.<kind>.<key>.<client>` taken apart; null if it is not of that form. */
export function parseClientSubject(subject: string): { key: string; client: string } | null {
  const tokens = subject.split(".");
  if (tokens.length !== 4) return null;
  const key = decodeToken(tokens[2] ?? "");
  const client = decodeToken(tokens[3] ?? "");
  return key === null || client === null ? null : { key, client };
}

/** What a subject of `control` says; null if it is not of that form. `operator`: null where it names none. */
export function parseControlSubject(subject: string): { verb: string; operator: string | null } | null {
  const [, , , verb = "", token, ...more] = subject.split(".");
  const operator = token === undefined ? null : decodeToken(token);
  const isOfForm = verb !== "" && more.length === 0 && (token === undefined || operator !== null);
  return isOfForm ? { verb, operator } : null;
}

/** Longest subject, in bytes, that an answer goes to: the longest client's name has room in it, and what follows in its inboxes. */
export const maxReplySubjectBytes = 384;
/** Longest prefix of inboxes. */
export const maxInboxPrefixBytes = inboxes.client("x").length - 1 + maxTokenBytes;
/** Tokens of printable ASCII, none of them empty or a wildcard. */
const answerable = /^(?![*>](?:\.|$))[!-\-/-~]+(?:\.(?![*>](?:\.|$))[!-\-/-~]+)*$/;

/** Why answers cannot be asked for there; "" where they can. */
export function whyNoInboxes(prefix: string): string {
  if (prefix.length > maxInboxPrefixBytes) return `it takes more than ${maxInboxPrefixBytes} bytes`;
  if (!answerable.test(prefix) || prefix.startsWith("$")) return "give tokens of a subject, such as _INBOX.mine";
  return "";
}

/**
 * Whether an answer may be published there: "" (none is wanted) or a subject of the asker's own. Never one on which the
 * broker or a server acts, since the broker does not ask whether whoever named it might publish there himself. `prefixes`:
 * where there are any, it begins with one of them.
 */
export function mayAnswerTo(service: string, reply: string, prefixes: readonly string[] = []): boolean {
  if (reply === "") return true;
  if (reply.length > maxReplySubjectBytes || !answerable.test(reply)) return false;
  if (reply.startsWith("$") || reply.startsWith(`${service}.`)) return false;
  return prefixes.length === 0 || prefixes.some((prefix) => reply.startsWith(prefix));
}
