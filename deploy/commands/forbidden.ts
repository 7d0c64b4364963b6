/**
 * What the broker forbids a command. What always holds: a command that lacks a permission says so at once, in one line that names the
 * subjects, and waits for no answer that cannot come.
 */
import type { Bus, Subscription } from "../../actors/world/ports.ts";
import { type CommandError, NotAllowed } from "./world.ts";

/** All that a bus says of what is forbidden. */
export type Told = Pick<Bus, "onFault" | "flush" | "inbox">;

/** So many subjects are named. */
const maxNamed = 3;

/** What a command can do without, and how that is told, once, where nothing else is forbidden. */
export interface Optional {
  readonly subject: string;
  tell(): void;
}

/** Listens to what the broker forbids, from now on. */
export class Refusals {
  readonly #bus: Told;
  readonly #found = new Set<string>();
  readonly #listening: Subscription;
  #lacksOptional = false;

  /** `onFirst` gets the first, together with all that is forbidden of what was asked for until then. */
  constructor(bus: Told, onFirst: (error: CommandError) => void, optional?: Optional) {
    this.#bus = bus;
    this.#listening = bus.onFault(({ kind, subject }) => {
      if (kind !== "publish" && kind !== "subscribe") return;
      if (subject === optional?.subject) {
        void this.#onOptional(optional);
        return;
      }
      this.#found.add(`${kind} ${kind === "publish" ? "on" : "to"} ${shownSubject(bus, subject)}`);
      if (this.#found.size === 1) void this.#gather().then(onFirst);
    });
  }

  /** Throws what was forbidden until now. */
  async throwAny(): Promise<void> {
    if (this.#found.size > 0) throw await this.#gather();
  }

  stop(): void {
    this.#listening.stop();
  }

  /** For as long as the bus is there. */
  static abort(bus: Told, lacking: AbortController): Refusals {
    return new Refusals(bus, (error) => lacking.abort(error));
  }

  async #onOptional({ tell }: Optional): Promise<void> {
    if (this.#lacksOptional) return;
    this.#lacksOptional = true;
    await this.#bus.flush();
    if (this.#found.size === 0) tell();
  }

  async #gather(): Promise<CommandError> {
    await this.#bus.flush();
    return forbidden([...this.#found]);
  }
}

/** What `run` comes to; throws as soon as the broker forbids something that is not optional. Whoever calls it brings the work to its end. */
export async function unlessForbidden<Result>(
  bus: Told,
  run: () => Promise<Result>,
  optional?: Optional,
): Promise<Result> {
  let refuse: (error: CommandError) => void = () => undefined;
  const refused = new Promise<never>((_resolve, reject) => {
    refuse = reject;
  });
  const refusals = new Refusals(bus, (error) => refuse(error), optional);
  try {
    const result = await Promise.race([run(), refused]);
    await refusals.throwAny();
    return result;
  } catch (error) {
    await refusals.throwAny();
    throw error;
  } finally {
    refusals.stop();
  }
}

/** What `ask` gives, once the broker has allowed all that it asks for; throws CommandError where it does not. */
export async function settled<Result>(bus: Told, ask: () => Result): Promise<Result> {
  return await unlessForbidden(bus, async () => {
    const result = ask();
    await bus.flush();
    return result;
  });
}

function forbidden(found: readonly string[]): CommandError {
  const more = found.length > maxNamed ? `, and ${found.length - maxNamed} more` : "";
  const what = `${found.slice(0, maxNamed).join(", ")}${more}`;
  return new NotAllowed(`NATS forbids to ${what}: \`twinlog permissions\` prints what each role may do`);
}

/** An inbox is named by where it lies: the rest is chance. */
function shownSubject(bus: Told, subject: string): string {
  const inbox = bus.inbox();
  const prefix = inbox.slice(0, inbox.lastIndexOf(".") + 1);
  return subject.startsWith(prefix) ? `${prefix}>` : subject;
}
