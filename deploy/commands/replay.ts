/**
 * `twinlog replay`: request bodies from a file, one a line, from one client and in order, as fast as the service takes
 * them; some are sent again under their old id, and the two replies must be equal byte for byte. Prints a summary; exit
 * status 0 only if every request was answered and every duplicate was equal.
 */
import type { Command } from "commander";
import { exchange } from "../../actors/applications/exchange/exchange.ts";
import { type Client, createClient } from "../../actors/client/client.ts";
import type { Answer } from "../../actors/client/entry.ts";
import { FailedError, RefusedError, UnknownOutcomeError } from "../../actors/client/errors.ts";
import { inboxes } from "../../schemas/subjects.ts";
import { applicationWords, knownApplication } from "./application.ts";
import { unlessForbidden } from "./forbidden.ts";
import { ReplayTally } from "./replay-tally.ts";
import { mayLack } from "./request.ts";
import { type CommonOptions, serviceCommand } from "./service-command.ts";
import { CommandError, type CommandWorld, whenAborted, wholeNumber } from "./world.ts";

interface ReplayFlags extends CommonOptions {
  client: string;
  application?: string;
  idPrefix?: string;
  inFlight: number;
  resendEvery?: number;
  timeout: number;
  trades?: string;
  book?: string;
  json: boolean;
}

/** What happened, in numbers. */
export interface ReplaySummary {
  sent: number;
  answered: number;
  rejected: number;
  failed: number;
  refused: number;
  unknown: number;
  duplicatesSent: number;
  duplicatesEqual: number;
  /** Copies that the library sent again by itself. */
  resends: number;
  seconds: number;
  requestsPerSecond: number;
  /** Longest time without an answer while some were awaited. */
  longestGapMs: number;
  trades: number;
  resting: number;
  firstError?: string;
}

export function replayCommand(world: CommandWorld): Command {
  return serviceCommand(world, "replay", "send request bodies from a file, in order, and sum up the answers", [
    "twinlog replay requests.ndjson.gz --in-flight 256 --resend-every 50",
    "twinlog replay requests.ndjson --trades trades.csv --book book.csv",
  ])
    .argument("<file>", "request bodies, one JSON object a line; .gz is unpacked; - for standard input")
    .option("--client <name>", "the client's name", "replay")
    .option("--application <name>", `${applicationWords.replace(/\)$/, "")}, else exchange)`)
    .option(
      "--id-prefix <text>",
      "ids are this and the line's number: with the same prefix a second run repeats the first",
    )
    .option("--in-flight <n>", "requests unanswered at once", wholeNumber("--in-flight", 1), 256)
    .option(
      "--resend-every <n>",
      "send each n-th again under its old id and compare the replies",
      wholeNumber("--resend-every", 1),
    )
    .option("--timeout <ms>", "how long to try for each request", wholeNumber("--timeout", 1), 60_000)
    .option("--trades <file>", "write the exchange's trades, as CSV")
    .option("--book <file>", "write the orders that rest at the end, as CSV")
    .option("--json", "the summary as JSON", false)
    .action(async (file: string, flags: ReplayFlags) => {
      const lines = file === "-" ? linesOf(await world.readInput()) : world.readLines(file);
      const { summary, tally } = await replay(world, flags, lines);
      if (flags.trades !== undefined) await world.writeFile(flags.trades, tally.tradesCsv());
      if (flags.book !== undefined) await world.writeFile(flags.book, tally.bookCsv());
      await world.out(flags.json ? `${JSON.stringify(summary)}\n` : summaryText(summary));
      const problem = problemOf(summary);
      if (problem !== undefined) throw new CommandError(problem);
    });
}

async function replay(world: CommandWorld, flags: ReplayFlags, lines: AsyncIterable<string> | Iterable<string>) {
  const { clock } = world;
  const { service, client: name, inFlight: maxInFlight, timeout: deadlineMs } = flags;
  const application = (await knownApplication(world, flags)) ?? exchange;
  let onState = (_connected: boolean): void => undefined;
  const bus = await world.connect(flags.access, (connected) => onState(connected), inboxes.client(name));
  const client = createClient({
    service,
    client: name,
    clock,
    bus,
    deadlineMs,
    maxInFlight,
    application,
  });
  onState = client.onBusState;
  const forget = whenAborted(world.stopped, () => client.close());
  try {
    const run = new Replay(world, client, flags);
    await unlessForbidden(bus, () => run.sendAll(lines), mayLack(world, service));
    return { summary: run.summary(), tally: run.tally };
  } finally {
    forget();
    client.close();
    await bus.stop();
  }
}

class Replay {
  readonly tally = new ReplayTally();
  readonly #world: CommandWorld;
  readonly #client: Client<unknown, unknown>;
  readonly #flags: ReplayFlags;
  readonly #idPrefix: string;
  readonly #startedAtMs: number;
  #lastAnswerAtMs: number;
  #sent = 0;
  #answered = 0;
  #failed = 0;
  #refused = 0;
  #unknown = 0;
  #duplicatesSent = 0;
  #duplicatesEqual = 0;
  #longestGapMs = 0;
  #firstError: string | undefined = undefined;
  #onRoom: (() => void) | undefined = undefined;
  #awaited = 0;

  constructor(world: CommandWorld, client: Client<unknown, unknown>, flags: ReplayFlags) {
    this.#world = world;
    this.#client = client;
    this.#flags = flags;
    this.#idPrefix = flags.idPrefix ?? `${world.clock.randomId().slice(0, 12)}-`;
    this.#startedAtMs = world.clock.nowMs();
    this.#lastAnswerAtMs = this.#startedAtMs;
  }

  async sendAll(lines: AsyncIterable<string> | Iterable<string>): Promise<void> {
    for await (const line of lines) {
      if (line.trim() === "" || this.#world.stopped.aborted) continue;
      this.#sent += 1;
      // What is trimmed may be a byte order mark.
      this.#send(this.#sent, parseLine(line.trim(), this.#sent));
      await this.#until(this.#flags.inFlight - 1);
    }
    await this.#until(0);
  }

  summary(): ReplaySummary {
    const seconds = (this.#world.clock.nowMs() - this.#startedAtMs) / 1_000;
    return {
      sent: this.#sent,
      answered: this.#answered,
      rejected: this.tally.rejected,
      failed: this.#failed,
      refused: this.#refused,
      unknown: this.#unknown,
      duplicatesSent: this.#duplicatesSent,
      duplicatesEqual: this.#duplicatesEqual,
      resends: this.#client.counts().resends,
      seconds,
      requestsPerSecond: Math.round(this.#answered / seconds),
      longestGapMs: this.#longestGapMs,
      trades: this.tally.trades,
      resting: this.tally.resting,
      ...(this.#firstError === undefined ? {} : { firstError: this.#firstError }),
    };
  }

  /** Resolves when at most `count` are awaited. */
  async #until(count: number): Promise<void> {
    while (this.#awaited > count)
      await new Promise<void>((resolve) => {
        this.#onRoom = resolve;
      });
  }

  #send(line: number, body: unknown): void {
    const id = `${this.#idPrefix}${line}`;
    const issuedAt = Math.floor(this.#world.clock.wallMs());
    if (this.#awaited === 0) this.#lastAnswerAtMs = this.#world.clock.nowMs();
    this.#awaited += 1;
    this.#client.request(body, { id, issuedAt }).then(
      (answer) => this.#onAnswer(line, body, issuedAt, answer),
      (error: unknown) => this.#onError(line, body, issuedAt, error),
    );
  }

  #onAnswer(line: number, body: unknown, issuedAt: number, answer: Answer<unknown>): void {
    this.tally.note(line, body, answer.result);
    this.#onReply(line, body, issuedAt, answer.bytes);
  }

  #onError(line: number, body: unknown, issuedAt: number, error: unknown): void {
    this.tally.note(line, body, undefined);
    this.#firstError ??= `line ${line}: ${error instanceof Error ? error.message : String(error)}`;
    if (error instanceof FailedError) {
      this.#failed += 1;
      this.#onReply(line, body, issuedAt, error.bytes);
      return;
    }
    if (error instanceof RefusedError) this.#refused += 1;
    if (error instanceof UnknownOutcomeError) this.#unknown += 1;
    this.#onSettled();
  }

  #onReply(line: number, body: unknown, issuedAt: number, bytes: Uint8Array): void {
    this.#answered += 1;
    const nowMs = this.#world.clock.nowMs();
    this.#longestGapMs = Math.max(this.#longestGapMs, nowMs - this.#lastAnswerAtMs);
    this.#lastAnswerAtMs = nowMs;
    const { resendEvery } = this.#flags;
    if (resendEvery !== undefined && line % resendEvery === 0) this.#sendAgain(line, body, issuedAt, bytes);
    this.#onSettled();
  }

  #sendAgain(line: number, body: unknown, issuedAt: number, bytes: Uint8Array): void {
    this.#awaited += 1;
    this.#duplicatesSent += 1;
    const compare = (again: Uint8Array) => {
      if (Buffer.compare(bytes, again) === 0) this.#duplicatesEqual += 1;
      else this.#firstError ??= `line ${line}: its duplicate got another reply: ${Buffer.from(again).toString()}`;
      this.#onSettled();
    };
    const options = { id: `${this.#idPrefix}${line}`, issuedAt, after: null, resend: true };
    this.#client.request(body, options).then(
      (answer) => compare(answer.bytes),
      (error: unknown) => compare(error instanceof FailedError ? error.bytes : Buffer.from(String(error))),
    );
  }

  #onSettled(): void {
    this.#awaited -= 1;
    this.#onRoom?.();
  }
}

function parseLine(line: string, number: number): unknown {
  try {
    return JSON.parse(line);
  } catch (error) {
    throw new CommandError(`line ${number} is not JSON: ${(error as Error).message}`);
  }
}

function linesOf(text: string): string[] {
  return text.split("\n");
}

function problemOf(summary: ReplaySummary): string | undefined {
  const { sent, answered, duplicatesSent, duplicatesEqual, firstError = "stopped" } = summary;
  if (answered < sent) return `${sent - answered} of ${sent} requests have no reply; the first: ${firstError}`;
  if (duplicatesEqual < duplicatesSent)
    return `${duplicatesSent - duplicatesEqual} duplicates got another reply; the first: ${firstError}`;
  return undefined;
}

function summaryText(summary: ReplaySummary): string {
  const lines: [label: string, value: string][] = [
    ["sent", String(summary.sent)],
    ["answered", String(summary.answered)],
    ["rejected", String(summary.rejected)],
    ["failed", String(summary.failed)],
    ["refused", String(summary.refused)],
    ["unknown", String(summary.unknown)],
    ["duplicates equal", `${summary.duplicatesEqual} of ${summary.duplicatesSent}`],
    ["sent again by the library", String(summary.resends)],
    ["trades", String(summary.trades)],
    ["orders resting", String(summary.resting)],
    ["seconds", summary.seconds.toFixed(2)],
    ["requests a second", String(summary.requestsPerSecond)],
    ["longest gap", `${summary.longestGapMs.toFixed(1)} ms`],
  ];
  return lines.map(([label, value]) => `${label.padEnd(26)}${value}\n`).join("");
}
