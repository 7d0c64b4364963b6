/**
 * An operator's command carried out: asked of each server that is meant, and, after `switch` and `recover`, waited for until one
 * has gone hot. What always holds: the incarnation that was seen is meant and no other; nothing is begun before it is certain
 * that its outcome can be heard; what is told is what a server said, and how long clients were without answers.
 */
import type { Bus, Clock } from "../../actors/world/ports.ts";
import { ReadySignal } from "../../schemas/envelope.ts";
import {
  ControlReply,
  type ControlRequest,
  type ControlVerb,
  OperatorName,
  ServerEvent,
  ServerStatus,
} from "../../schemas/status.ts";
import { operatorOf, subjects } from "../../schemas/subjects.ts";
import type { Access } from "./access.ts";
import { type Asked, ask, readJson } from "./ask.ts";
import { settled } from "./forbidden.ts";
import { CommandError, type CommandWorld, usualName } from "./world.ts";

/** One process: its name, and the incarnation that was seen; none, where the program is too old to tell. */
export interface Meant {
  readonly name: string;
  readonly incarnation?: string;
}

/** `recover` is force, and a command of its own (recover.ts). */
export type MildVerb = Exclude<ControlVerb, "recover">;

export interface Operation {
  readonly service: string;
  readonly verb: MildVerb;
  readonly servers: readonly Meant[];
  readonly body: Pick<ControlRequest, "by" | "forMs">;
  /** For each answer. */
  readonly timeout: number;
}

/** How long an answer is waited for where nobody says otherwise. */
export const usualTimeoutMs = 15_000;

/** `tell` gets a line for each thing that happened. Throws CommandError where a server says no, or nothing. */
export async function operate(
  bus: Bus,
  clock: Clock,
  { service, verb, servers, body, timeout }: Operation,
  tell: (line: string) => Promise<void> | void,
): Promise<void> {
  const isOfFailover = verb === "pause-failover" || verb === "resume-failover";
  const written = isOfFailover ? whenWritten(bus, service, verb) : undefined;
  try {
    for (const { name, ...meant } of servers) {
      const hot = verb === "switch" ? await whenHot(bus, clock, service, verb, name) : undefined;
      try {
        const sending = { service, name, verb, timeout };
        await tell(`${name}: ${await sendControl(bus, clock, sending, { ...meant, ...body })}`);
        if (hot !== undefined) await tell(await hot.wait(timeout));
      } finally {
        hot?.stop();
      }
    }
    if (written !== undefined) await tell(await written.wait(clock, timeout));
  } finally {
    written?.stop();
  }
}

/**
 * Who gives a command: as the environment says, or as whose the answers come to that the access names. Where that is no name of an
 * operator, nobody is named.
 */
export function givenBy(
  { environment }: Pick<CommandWorld, "environment">,
  { inboxPrefix = "" }: Access,
): { by?: string } {
  const name = environment.TWINLOG_NAME ?? operatorOf(inboxPrefix) ?? usualName;
  return OperatorName.safeParse(name).success ? { by: name } : {};
}

interface Sending {
  readonly service: string;
  readonly name: string;
  readonly verb: ControlVerb;
  readonly timeout: number;
}

/** What the incarnation that is meant says to it; a CommandError where it says no, or nothing. */
export async function sendControl(
  bus: Bus,
  clock: Clock,
  { service, name, verb, timeout }: Sending,
  body: Partial<ControlRequest>,
): Promise<string> {
  const isMeant = (data: unknown) => {
    const from = ControlReply.safeParse(data).data?.incarnation;
    return from === undefined || body.incarnation === undefined || from === body.incarnation;
  };
  const askAt = (subject: string) => ask(bus, clock, subject, body, timeout, isMeant);
  const named = await askAt(subjects.control(service, name, verb, body.by));
  // An earlier program listens where nobody is named.
  const isEarlier = named.outcome === "nobody" && body.by !== undefined;
  return readAnswer(isEarlier ? await askAt(subjects.control(service, name, verb)) : named, verb, name);
}

/**
 * Listens, from now on, for the server that goes hot: another one after `switch`, this one after `recover`. Throws CommandError
 * where the broker forbids that: nothing is begun then.
 */
export async function whenHot(bus: Bus, clock: Clock, service: string, verb: "switch" | "recover", name: string) {
  let found: ReadySignal | undefined;
  let foundMs = 0;
  /** Since when the primary takes no requests; null: it has not said so. */
  let closedMs: number | null = null;
  let onFound = (): void => undefined;
  const hearReady = () =>
    bus.subscribe(subjects.signal(service), (message) => {
      const signal = ReadySignal.safeParse(readJson(message.data)).data;
      if (signal === undefined || (signal.server === name) !== (verb === "recover")) return;
      found = signal;
      foundMs = clock.nowMs();
      onFound();
    });
  const hearClosed = () =>
    bus.subscribe(subjects.event(service, name), (message) => {
      const event = ServerEvent.safeParse(readJson(message.data)).data;
      if (event?.machine === "lifecycle" && event.to === switching) closedMs = clock.nowMs();
    });
  const subscriptions = await settled(bus, () => (verb === "switch" ? [hearReady(), hearClosed()] : [hearReady()]));
  return {
    stop: () => {
      for (const subscription of subscriptions) subscription.stop();
    },
    async wait(timeoutMs: number): Promise<string> {
      await new Promise<void>((resolve) => {
        const timer = clock.after(timeoutMs, resolve);
        onFound = () => {
          timer.cancel();
          resolve();
        };
        if (found !== undefined) onFound();
      });
      if (found === undefined)
        throw new CommandError(`begun, but no server has gone hot in ${timeoutMs} ms: see \`twinlog status\``);
      const gap = closedMs === null ? "" : `; clients were without answers for ${Math.round(foundMs - closedMs)} ms`;
      return `${found.server} is hot, epoch ${found.epoch}${gap}`;
    },
  };
}

/** A pause of failover counts once the registry has it, and until it has it no more (rule 21): a server says so. */
function whenWritten(bus: Bus, service: string, verb: "pause-failover" | "resume-failover") {
  const isPause = verb === "pause-failover";
  let epoch = 0;
  let isWritten = false;
  let onHeard = (): void => undefined;
  const subscription = bus.subscribe(subjects.statuses(service), (message) => {
    const status = ServerStatus.safeParse(readJson(message.data)).data;
    if (status === undefined || status.record === null || status.epoch < epoch) return;
    epoch = status.epoch;
    isWritten = (status.record.failoverPause !== undefined) === isPause;
    onHeard();
  });
  return {
    stop: () => subscription.stop(),
    async wait(clock: Clock, timeoutMs: number): Promise<string> {
      // What was heard before the answer is of before the command.
      isWritten = false;
      await new Promise<void>((resolve) => {
        const timer = clock.after(timeoutMs, resolve);
        onHeard = () => {
          if (!isWritten) return;
          timer.cancel();
          resolve();
        };
      });
      if (!isWritten)
        throw new CommandError(
          `begun, but the registry does not have it after ${timeoutMs} ms: see \`twinlog status\``,
        );
      return `the registry has it: ${isPause ? "nobody takes over" : "a backup takes over where the primary is lost"}`;
    },
  };
}

/** The state in which a primary hands its role over: from then on it takes no requests. */
const switching = "hot.switching";

function readAnswer(asked: Asked, verb: ControlVerb, name: string): string {
  if (asked.outcome === "nobody")
    throw new CommandError(`${name} does not listen: see \`twinlog status\` for who does`);
  if (asked.outcome === "silence")
    throw new CommandError(`${name} has not answered ${verb}; it may still do it: see \`twinlog status\``);
  const reply = ControlReply.safeParse(asked.data).data;
  if (reply === undefined) throw new CommandError(`${name} gave an answer that this program does not understand`);
  if (!reply.ok) throw new CommandError(`${name}: ${reply.message}`);
  return reply.message;
}
