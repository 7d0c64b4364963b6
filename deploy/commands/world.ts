/**
 * What every command of the client side gets from outside. What always holds: a
 * command writes its results to `out` and nothing else there; an error is one line that says what to do.
 */
import type { Bus, Clock } from "../../actors/world/ports.ts";
import type { ServiceFile } from "../../schemas/service-file.ts";
import { ServerName } from "../../schemas/settings.ts";
import { inboxes, whyNoInboxes } from "../../schemas/subjects.ts";
import { parseJson } from "../json-text.ts";
import type { SignalDesk } from "../signals.ts";
import type { Access } from "./access.ts";

export interface CommandWorld {
  readonly clock: Clock;
  /**
   * Connected, or a CommandError that says why not. `onState` hears of what follows. Answers come to inboxes of an operator, unless
   * another prefix is given, or the access has its own.
   */
  connect(access: Access, onState: (connected: boolean) => void, inboxPrefix?: string): Promise<Bus>;
  /** Writes to standard output; resolves when it is taken, or when nobody reads any more. Throws ReaderGone where that ends the command. */
  out(text: string): Promise<void>;
  err(text: string): void;
  /** Standard output is one, and so wide; null: a file or a pipe. */
  readonly terminal: { readonly columns: number } | null;
  /** Standard input, whole. */
  readInput(): Promise<string>;
  /** Asks at the terminal; yes or no. Null: there is none. */
  confirm(question: string): Promise<boolean | null>;
  /** Asks at the terminal for what is not shown there. Null: there is no terminal. */
  askSecret(question: string): Promise<string | null>;
  /** Lines of a file, unpacked if its name ends with .gz. */
  readLines(path: string): AsyncIterable<string>;
  writeFile(path: string, text: string): Promise<void>;
  /** What signals mean to the command that runs (deploy/signals.ts). */
  readonly signals: SignalDesk;
  /** Aborted when it is to stop: `signals.stopped`. */
  readonly stopped: AbortSignal;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Of a service that was started in the current folder, or whose data folder is named in TWINLOG_DATA. */
  readonly serviceFile: ServiceFile | undefined;
}

/** Nobody reads what the command prints: it ends, quietly, with status 0. */
export class ReaderGone extends Error {
  override readonly name = "ReaderGone";
}

/** The command did what it was asked, and its verdict is this exit status. */
export class ExitStatus extends Error {
  override readonly name = "ExitStatus";
  readonly status: number;
  constructor(status: number) {
    super(`exit status ${status}`);
    this.status = status;
  }
}

/** Calls `run` when the signal is aborted, at once if it is already. What comes back takes that back. */
export function whenAborted(signal: AbortSignal, run: () => void): () => void {
  if (signal.aborted) run();
  else signal.addEventListener("abort", run, { once: true });
  return () => signal.removeEventListener("abort", run);
}

/** An error for people: printed as one line, exit status 1. */
export class CommandError extends Error {
  override readonly name: string = "CommandError";
}

/** NATS does not let this user in, or do what the command needs: nothing is known of the service. */
export class NotAllowed extends CommandError {
  override readonly name = "NotAllowed";
}

/** Whoever gives commands, where he says no name: answers come to inboxes of it. */
export const usualName = "cli";

/** Where answers to commands come that are no client's. */
export function operatorInboxes({ TWINLOG_NAME: name = usualName }: CommandWorld["environment"]): string {
  const prefix = inboxes.operator(name);
  const why = whyNoInboxes(prefix);
  if (why !== "") throw new CommandError(`TWINLOG_NAME: no name for inboxes: ${why}`);
  return prefix;
}

/** Option parser. */
export function parseService(text: string): string {
  const checked = ServerName.safeParse(text);
  if (!checked.success) throw new CommandError(`service ${text}: ${checked.error.issues[0]?.message ?? "no name"}`);
  return checked.data;
}

/** Option parser: a whole number of at least `min`. */
export function wholeNumber(name: string, min: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!Number.isSafeInteger(value) || value < min || !/^\d+$/.test(text))
      throw new CommandError(`${name} ${text}: give a whole number of at least ${min}`);
    return value;
  };
}

const unitsMs: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };

/** Option parser: "90s", "10m", "2h", in ms. */
export function lasting(name: string): (text: string) => number {
  return (text) => {
    const [, number = "", unit = ""] = /^(\d+)(ms|s|m|h)$/.exec(text) ?? [];
    const ms = Number(number) * (unitsMs[unit] ?? 0);
    if (ms <= 0 || !Number.isSafeInteger(ms))
      throw new CommandError(`${name} ${text}: give a time like 90s, 10m or 2h`);
    return ms;
  };
}

/** The body that a command was given, or standard input if it was given none or `-`. */
export async function readBody(world: CommandWorld, given: string | undefined): Promise<unknown> {
  const text = given === undefined || given === "-" ? await world.readInput() : given;
  try {
    return parseJson(Buffer.from(text));
  } catch (error) {
    throw new CommandError(`the body is not JSON (${(error as Error).message}); quote it: '{"type":"limit",…}'`);
  }
}
