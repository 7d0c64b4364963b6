/**
 * `twinlog events`: what happened, in the servers' words: each transition with its reason. Servers remember their last ones since
 * their process began, and publish new ones (`--follow`). What always holds: each is told once, and in the order of its
 * clock where all were remembered; what is older stands in the servers' logs, and is not made up.
 */
import type { Command } from "commander";
import { RecentEvents, ServerEvent } from "../../schemas/status.ts";
import { subjects } from "../../schemas/subjects.ts";
import { askAll, readJson } from "./ask.ts";
import { unlessForbidden } from "./forbidden.ts";
import { type CommonOptions, serviceCommand } from "./service-command.ts";
import { gatherStatus } from "./status.ts";
import { CommandError, type CommandWorld, lasting, whenAborted } from "./world.ts";

interface EventsFlags extends CommonOptions {
  json: boolean;
  follow: boolean;
  since?: number;
}

/** How long servers are listened to, and then given to answer. */
const gatherMs = 800;
const helpText = `
Servers remember their last 100 transitions, since their process began. What is older, and what a process said
before it died, stands in their logs.
`;

export function eventsCommand(world: CommandWorld): Command {
  return serviceCommand(world, "events", "show what happened: each server's transitions, with their reasons", [
    "twinlog events --since 10m",
    "twinlog events --follow",
    "twinlog events --json | jq 'select(.to | startswith(\"hot\"))'",
  ])
    .addHelpText("after", helpText)
    .option("--since <time>", "no older ones: 90s, 10m, 2h", lasting("--since"))
    .option("--follow", "go on with what happens, until Ctrl-C", false)
    .option("--json", "one JSON document a line", false)
    .action((flags: EventsFlags) => tell(world, flags));
}

async function tell(world: CommandWorld, { service, access, json, follow, since }: EventsFlags): Promise<void> {
  const { clock, stopped } = world;
  const bus = await world.connect(access, () => undefined);
  const fromMs = since === undefined ? Number.NEGATIVE_INFINITY : clock.wallMs() - since;
  const show = (event: ServerEvent) => world.out(json ? `${JSON.stringify(event)}\n` : eventText(event));
  let live: ServerEvent[] = [];
  let wake: () => void = () => undefined;
  const subscription = bus.subscribe(subjects.events(service), ({ data }) => {
    const event = ServerEvent.safeParse(readJson(data)).data;
    if (event === undefined) return;
    live.push(event);
    wake();
  });
  try {
    const { servers, silent } = await gatherStatus(bus, clock, service, gatherMs, stopped);
    const names = [...new Set([...servers, ...silent].map(({ name }) => name))];
    const asked = names.map((name) => subjects.actor(service, name, "failover"));
    const { answers, unanswered } = await askAll(bus, clock, asked, gatherMs, stopped);
    const slow = names.filter((_, at) => unanswered.includes(asked[at] ?? ""));
    if (slow.length > 0)
      world.err(
        `twinlog: warning: ${slow.join(", ")} does not answer, though NATS knows it: what it remembers is missing here\n`,
      );
    const past = answers.flatMap((answer) => RecentEvents.safeParse(answer).data?.events ?? []);
    if (answers.length === 0 && !follow)
      throw new CommandError(
        `no server of ${service} answers: see \`twinlog status\`; what happened stands in their logs`,
      );
    // What happens meanwhile may be told twice: as it is published, and as it is remembered.
    const all = new Map([...past, ...live.splice(0)].map((event) => [JSON.stringify(event), event]));
    const sorted = [...all.values()].sort((one, other) => one.atMs - other.atMs);
    for (const event of sorted) if (event.atMs >= fromMs) await show(event);
    const goOn = async () => {
      while (!stopped.aborted) {
        const news = live;
        live = [];
        for (const event of news) await show(event);
        if (live.length > 0 || stopped.aborted) continue;
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    };
    if (!follow) return;
    const unlisten = whenAborted(stopped, () => wake());
    await unlessForbidden(bus, goOn).finally(unlisten);
  } finally {
    subscription.stop();
    await bus.stop();
  }
}

function eventText({ atMs, server, from, to, epoch, why }: ServerEvent): string {
  const step = from === to ? to : `${from} → ${to}`;
  return `${new Date(atMs).toISOString()}  ${server}  epoch ${epoch}  ${step}: ${why}\n`;
}
