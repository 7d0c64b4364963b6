/**
 * `twinlog switch`, `pause`, `resume` and `flush`: an operator's request to a server, and its answer. Without --server
 * the primary is asked (flush: every server). `recover` is force (rule 18), and names its server and says so. Exit status 0
 * only if every server asked said yes and, after `switch` and `recover`, a server has gone hot.
 */
import type { Command } from "commander";
import type { Bus, Clock } from "../../actors/world/ports.ts";
import { ReadySignal } from "../../schemas/envelope.ts";
import { ControlReply, type ControlVerb, type ServiceStatus } from "../../schemas/status.ts";
import { subjects } from "../../schemas/subjects.ts";
import { type Asked, ask, readJson } from "./ask.ts";
import { gatherStatus } from "./status.ts";
import { CommandError, type CommandWorld, type CommonOptions, serviceCommand, wholeNumber } from "./world.ts";

interface ControlFlags extends CommonOptions {
  server?: string;
  timeout: number;
}

const summaries: Readonly<Record<ControlVerb, string>> = {
  switch: "hand the primary's role to the backup, without a degraded moment",
  pause: "stop taking requests (they are told BUSY); what runs is finished",
  resume: "take requests again",
  flush: "write the log to LevelDB and sync it now",
  recover: "go on by force, with a new history, on a server that waits or refuses: what it does not have is lost",
};

/** How long the servers are listened to, to find the primary. */
const gatherMs = 800;

export function controlCommand(world: CommandWorld, verb: ControlVerb): Command {
  const isForce = verb === "recover";
  const command = serviceCommand(world, verb, summaries[verb], examples(verb));
  if (isForce)
    command
      .requiredOption("--server <name>", "the server that goes on")
      .requiredOption("--accept-loss", "yes: acknowledged requests that this server does not have may be lost");
  else
    command.option("--server <name>", verb === "flush" ? "this server only" : "this server, not whichever is primary");
  return command
    .option("--timeout <ms>", "how long to wait for the answer", wholeNumber("--timeout", 1), 15_000)
    .action(async (flags: ControlFlags) => {
      const { clock } = world;
      const { service, server, nats, timeout } = flags;
      const bus = await world.connect(nats, () => undefined);
      try {
        const servers =
          server === undefined
            ? chosen(verb, await gatherStatus(bus, clock, service, gatherMs, world.stopped), nats)
            : [server];
        for (const name of servers) {
          const hot = verb === "switch" || verb === "recover" ? whenHot(bus, clock, service, verb, name) : undefined;
          try {
            const asked = await ask(bus, clock, subjects.control(service, name, verb), {}, timeout);
            await world.out(`${name}: ${readAnswer(asked, verb, name)}\n`);
            if (hot !== undefined) await world.out(`${await hot.wait(timeout)}\n`);
          } finally {
            hot?.stop();
          }
        }
      } finally {
        await bus.stop();
      }
    });
}

/** Listens, from now on, for the server that goes hot: another one after `switch`, this one after `recover`. */
function whenHot(bus: Bus, clock: Clock, service: string, verb: "switch" | "recover", name: string) {
  let found: ReadySignal | undefined;
  let onFound = (): void => undefined;
  const subscription = bus.subscribe(subjects.signal(service), (message) => {
    const signal = ReadySignal.safeParse(readJson(message.data)).data;
    if (signal === undefined || (signal.server === name) !== (verb === "recover")) return;
    found = signal;
    onFound();
  });
  return {
    stop: () => subscription.stop(),
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
      return `${found.server} is hot, epoch ${found.epoch}`;
    },
  };
}

function examples(verb: ControlVerb): string[] {
  if (verb === "recover") return ["twinlog recover --server beta --accept-loss"];
  return [`twinlog ${verb}`, `twinlog ${verb} --server alpha`];
}

function chosen(verb: ControlVerb, status: ServiceStatus, nats: string): string[] {
  if (status.servers.length === 0)
    throw new CommandError(`no server of ${status.service} speaks at ${nats}: is one running? See \`twinlog status\``);
  if (verb === "flush") return status.servers.map(({ name }) => name);
  const primary = status.servers.find(({ role, epoch }) => role === "primary" && epoch === status.epoch);
  if (primary === undefined)
    throw new CommandError(
      `no primary speaks: see \`twinlog status\` for what the servers wait for, or name one with --server`,
    );
  return [primary.name];
}

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
