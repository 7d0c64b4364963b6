/**
 * What the broker does not take from this server, and what else stands at its subjects, as troubles. What always holds: each
 * kind is counted, and told under one code; a trouble is over only when there is a sign of it: what is forbidden is tried
 * again by whoever needs it, so that silence for longer than that is a sign; replies, which nobody repeats, and a backup has none,
 * are tried with one that nobody waits for. What is needed later is tried out now (actors/world/tried-out.ts).
 */
import type { Settings } from "../../schemas/settings.ts";
import { subjectKind, subjects } from "../../schemas/subjects.ts";
import type { TroubleCode } from "../../schemas/troubles.ts";
import type { Mailbox } from "../actor.ts";
import type { Delivery } from "../application/application-actor.ts";
import type { BusFault, World } from "../world/ports.ts";
import type { Troubles } from "./troubles.ts";

export interface BrokerWatchOptions {
  readonly settings: Settings;
  readonly world: World;
  readonly mailbox: Mailbox;
  readonly troubles: Troubles;
  readonly delivery: () => Delivery;
}

/** Longer than whatever is forbidden is tried again: subscriptions every 5 s, heartbeats, status and results more often. */
const overAfterMs = 15_000;
/** An answer that nobody waits for is tried so often while replies are forbidden; the broker refuses it well within that. */
const tryReplyMs = 5_000;
/** Cut off so often within so long, it is no accident. */
const cutOffs = 2;
const cutOffsWithinMs = 60_000;
/** How long what was left out is shown after the last of it. */
const omittedShownMs = 600_000;
/** What is needed later is tried out so often; where it is forbidden, as often as other things are tried again. */
const tryOutMs = 60_000;
const tryAgainMs = 5_000;
/** Subjects of one trouble that are named. */
const maxNamed = 6;
const nothing = new Uint8Array(0);
/** JetStream's streams are looked at so often. */
const lookAtStreamsMs = 60_000;
/** The connection for results is missed for so long, while there is another, before it is told: it is dialled again at once. */
const resultsLostMs = 1_000;
/** Room for a record's headers and names in a message, as the application takes it. */
const messageRoomBytes = 16 * 1024;

/** What brokers say who refuse a log-in, the library for them, and we where there is nothing to log in with. */
const refusedLogIn = /authoriz|authentic|credential|nkey|cannot log in|alert .*certificate/i;

/** Where clients' libraries, and a broker between accounts, want answers. */
const usualReplyPrefixes = ["_INBOX.", "_R_."];

type ForbiddenCode = Extract<TroubleCode, `forbidden.${string}`>;

interface Forbidden {
  times: number;
  lastMs: number;
  /** The last one that somebody needed. */
  subject: string;
  /** Only ever what was tried out: it is tried again. */
  isTriedOut: boolean;
  /** What may not be done, each once; of what clients' names stand in there may be any number. */
  readonly what: Set<string>;
}

/** What is missing, by the kind of subject that is forbidden. */
function forbiddenCode(service: string, { kind, subject }: BusFault): ForbiddenCode {
  if (/^\$(KV|JS)\./.test(subject)) return "forbidden.registry";
  if (subject.startsWith("$SRV.")) return "forbidden.operators";
  switch (subjectKind(service, subject)) {
    case "result":
      return "forbidden.results";
    case "request":
      return "forbidden.requests";
    case "query":
    case "replay":
      return "forbidden.reads";
    case "server":
      return "forbidden.servers";
    case "status":
    case "event":
    case "control":
    case "signal":
    case "schema":
    case "about":
      return "forbidden.operators";
    default:
      // What it hears at inboxes are the registry's answers, and what nobody listens to; what it says there are replies.
      return kind === "subscribe" ? "forbidden.registry" : "forbidden.replies";
  }
}

/** For people. A reply subject is a client's word, and may be anything: no more of it than is usual, or set. */
function shownSubject(subject: string, code: ForbiddenCode, replyPrefixes: readonly string[]): string {
  if (code !== "forbidden.replies") return subject;
  const prefix = [...replyPrefixes, ...usualReplyPrefixes].find((usual) => subject.startsWith(usual));
  return prefix === undefined ? "reply subjects that clients named" : `${prefix}>`;
}

/** Beside the inbox for which an answer was forbidden, where that is like any other, and in nobody's. */
function besideInbox(subject: string, id: string): string {
  const [root = ""] = usualReplyPrefixes;
  const beside = subject.startsWith(root) ? subject.split(".").slice(0, -2) : [];
  return beside.length === 0 ? `${root}${id}` : [...beside, id].join(".");
}

/** Subjects on which an answer is waited for, or a word that nobody listens. */
export function answeredSubjects(service: string): string[] {
  const kinds = [subjects.requests(service), subjects.queries(service), subjects.replay(service)];
  return [...kinds, `${service}.control.>`, `${service}.server.>`];
}

export class BrokerWatch {
  readonly #options: BrokerWatchOptions;
  readonly #forbidden = new Map<ForbiddenCode, Forbidden>();
  #cutOffsMs: number[] = [];
  #narrowMs = Number.POSITIVE_INFINITY;
  #omitted = 0;
  #omittedMs = 0;
  #lookedMs = Number.NEGATIVE_INFINITY;
  #triedReply = "";
  #triedReplyMs = Number.NEGATIVE_INFINITY;
  #triedMs = Number.NEGATIVE_INFINITY;
  #refusedMs = Number.NEGATIVE_INFINITY;
  /** The connection for results alone. */
  #resultsLost: { readonly sinceMs: number; readonly reason: string } | null = null;
  #isAskingResults = false;

  constructor(options: BrokerWatchOptions) {
    this.#options = options;
  }

  /** Another connection, maybe to another broker: its limits count, and it may have other streams. */
  onBus(connected: boolean): void {
    const { settings, world, troubles } = this.#options;
    if (!connected) return;
    troubles.set("nats.lost", null);
    troubles.set("nats.refused", null);
    this.#lookedMs = Number.NEGATIVE_INFINITY;
    this.#triedMs = Number.NEGATIVE_INFINITY;
    if (this.#resultsLost !== null) this.#resultsLost = { ...this.#resultsLost, sinceMs: world.clock.nowMs() };
    const takenBytes = world.bus.maxPayloadBytes();
    const { maxRecordBytes } = settings.limits;
    const told = `the broker takes messages of ${takenBytes} bytes (max_payload), and records may have ${maxRecordBytes}: new ones are held to what it takes, older results are left out and had by replay, replies go in pieces`;
    troubles.set("broker.limits", takenBytes < maxRecordBytes + messageRoomBytes ? told : null);
  }

  onFault(fault: BusFault): void {
    const { settings, world, troubles } = this.#options;
    const { kind, subject, reason } = fault;
    const nowMs = world.clock.nowMs();
    if (kind === "size") {
      this.#onMisfit(subject, reason, nowMs);
      return;
    }
    if (kind === "lost") {
      if (subjectKind(settings.service, subject) === "result")
        this.#resultsLost = { sinceMs: this.#resultsLost?.sinceMs ?? nowMs, reason };
      if (world.bus.connected()) return;
      troubles.set("nats.lost", `no connection to NATS (${reason}): dials again`);
      if (refusedLogIn.test(reason))
        troubles.set(
          "nats.refused",
          `this server cannot log in to NATS (${reason}): see what its settings say in \`nats\``,
        );
      return;
    }
    if (kind === "cutOff") {
      this.#cutOffsMs = [...this.#cutOffsMs.filter((atMs) => nowMs - atMs < cutOffsWithinMs), nowMs].slice(-1_000);
      const times = this.#cutOffsMs.length;
      if (times >= cutOffs)
        troubles.set("broker.cutOff", `the broker ended ${times} connections within a minute, and says: ${reason}`);
      return;
    }
    const isTriedOut = kind === "publish" && (world.triedOut ?? []).some((one) => one.subject === subject);
    if (isTriedOut) this.#refusedMs = nowMs;
    const code = forbiddenCode(settings.service, fault);
    const before = this.#forbidden.get(code);
    const what = before?.what ?? new Set();
    const named = `${kind} on ${shownSubject(subject, code, settings.replyPrefixes)}`;
    // The trouble's own line tells the first.
    if (what.size > 0 && what.size < maxNamed && !what.has(named))
      world.log.warn({ trouble: code }, `NATS forbids this server also to ${named}`);
    if (what.size < maxNamed) what.add(named);
    const times = (before?.times ?? 0) + 1;
    this.#forbidden.set(code, {
      times,
      lastMs: nowMs,
      subject: subject === this.#triedReply ? (before?.subject ?? subject) : subject,
      isTriedOut: isTriedOut && (before?.isTriedOut ?? true),
      what,
    });
    const waits = code === "forbidden.results" ? "; results wait until it may, and take memory" : "";
    const more = what.size < maxNamed ? "" : ", and maybe more";
    troubles.set(
      code,
      `NATS forbids this server to ${[...what].join(", to ")}${more} (${times} times so far): change its permissions (\`twinlog permissions --role server\`)${waits}`,
    );
  }

  /** What this server will need is refused now, if it is not allowed. */
  #tryOut(nowMs: number): void {
    const { bus, triedOut = [] } = this.#options.world;
    const everyMs = nowMs - this.#refusedMs > overAfterMs ? tryOutMs : tryAgainMs;
    if (nowMs - this.#triedMs < everyMs || !bus.connected()) return;
    this.#triedMs = nowMs;
    for (const { subject, headers } of triedOut) bus.publish(subject, nothing, headers);
  }

  /** Results and replies are stood in for, and the link to a peer says itself what it takes: the rest is for operators. */
  #onMisfit(subject: string, reason: string, nowMs: number): void {
    const { settings, troubles } = this.#options;
    const kind = subjectKind(settings.service, subject);
    if (kind === "" || kind === "result" || kind === "server") return;
    this.#narrowMs = nowMs;
    troubles.set("broker.narrow", `not sent on ${subject}: ${reason}`);
  }

  onTick(): void {
    const { world, troubles, delivery } = this.#options;
    const nowMs = world.clock.nowMs();
    const { areResultsHeldBack } = delivery();
    this.#tryReply(nowMs);
    this.#judgeResults(nowMs);
    for (const [code, known] of this.#forbidden) {
      const isSilent = nowMs - known.lastMs > overAfterMs;
      if (!isSilent || (code === "forbidden.results" && areResultsHeldBack)) continue;
      this.#forbidden.delete(code);
      troubles.set(code, null);
    }
    if (nowMs - this.#narrowMs > overAfterMs) troubles.set("broker.narrow", null);
    this.#judgeOmitted(nowMs);
    const newest = this.#cutOffsMs.at(-1);
    if (newest !== undefined && nowMs - newest > cutOffsWithinMs) {
      this.#cutOffsMs = [];
      troubles.set("broker.cutOff", null);
    }
    this.#tryOut(nowMs);
    if (nowMs - this.#lookedMs >= lookAtStreamsMs && world.bus.connected()) this.#lookAtStreams(nowMs);
  }

  #tryReply(nowMs: number): void {
    const { bus, clock } = this.#options.world;
    const known = this.#forbidden.get("forbidden.replies");
    // What was only tried out is tried again as it was.
    if (known === undefined || known.isTriedOut) return;
    if (nowMs - this.#triedReplyMs < tryReplyMs || !bus.connected()) return;
    this.#triedReplyMs = nowMs;
    this.#triedReply = besideInbox(known.subject, clock.randomId());
    bus.publish(this.#triedReply, new Uint8Array(0));
  }

  /** Where NATS is lost altogether, that is what is told. It is back when NATS says that it has all that was published. */
  #judgeResults(nowMs: number): void {
    const { world, mailbox, troubles } = this.#options;
    const lost = this.#resultsLost;
    if (lost === null) return;
    if (world.bus.connected() && nowMs - lost.sinceMs >= resultsLostMs)
      troubles.set(
        "nats.results",
        `no connection to NATS for results (${lost.reason}): they wait and take memory, requests are answered; dials again`,
      );
    if (this.#isAskingResults) return;
    this.#isAskingResults = true;
    mailbox.watch(world.bus.flush(), (isThere) => {
      this.#isAskingResults = false;
      // Lost again since it was asked: that is another one.
      if (!isThere || this.#resultsLost !== lost) return;
      this.#resultsLost = null;
      troubles.set("nats.results", null);
    });
  }

  #judgeOmitted(nowMs: number): void {
    const { world, troubles, delivery } = this.#options;
    const { omittedReplies, omittedResults } = delivery();
    const omitted = omittedReplies + omittedResults;
    if (omitted > this.#omitted) {
      this.#omittedMs = nowMs;
      troubles.set(
        "broker.omitted",
        `${omittedResults} results were larger than the broker takes and are left out of the stream (replay has them), ${omittedReplies} replies went in pieces: it takes messages of ${world.bus.maxPayloadBytes()} bytes (max_payload), and subjects within its max_control_line`,
      );
    } else if (nowMs - this.#omittedMs > omittedShownMs) troubles.set("broker.omitted", null);
    this.#omitted = omitted;
  }

  #lookAtStreams(nowMs: number): void {
    const { settings, world, mailbox, troubles } = this.#options;
    const answered = answeredSubjects(settings.service);
    this.#lookedMs = nowMs;
    mailbox.watch(world.registry.streamsOver(answered), (names) => {
      if (names === null) return;
      const told = `JetStream stores, and so answers, what is sent to this service, in ${names.join(", ")}: whoever asks gets that for the answer, and nobody learns that no server listens; take ${answered.join(", ")} out of there`;
      troubles.set("stream.answers", names.length > 0 ? told : null);
    });
  }
}
