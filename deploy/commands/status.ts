/**
 * `twinlog status`: what each server says of itself, gathered for a moment, and whether a failover would work now. Exit
 * status 0 if it would, 3 if it would not, 1 if nobody serves. `--json` prints `ServiceStatus` (schemas/status.ts).
 */

import type { Command } from "commander";
import type { Bus, Clock } from "../../actors/world/ports.ts";
import { ServerStatus, type ServiceStatus } from "../../schemas/status.ts";
import { subjects } from "../../schemas/subjects.ts";
import { clearScreen } from "../plain-text.ts";
import { runbookEntry } from "../runbook.ts";
import { allowed, lateMs, readJson } from "./ask.ts";
import { type CommonOptions, serviceCommand } from "./service-command.ts";
import { StatusGathering } from "./service-status.ts";
import { statusText } from "./status-text.ts";
import { CommandError, type CommandWorld, ExitStatus, wholeNumber } from "./world.ts";

interface StatusFlags extends CommonOptions {
  json: boolean;
  watch: boolean;
  wait: number;
}

const degradedStatus = 3;
/** Where nobody speaks, each may do so seldom. */
const nobodyMs = 2_500;
const lookMs = 50;
const helpText = `
Exit status: 0 when a failover would work now, 3 when it would not, 1 when nobody serves; with --watch 0.
`;

export function statusCommand(world: CommandWorld): Command {
  return serviceCommand(world, "status", "show the servers and whether a failover would work now", [
    "twinlog status",
    "twinlog status --json | jq .failoverReady",
    "twinlog status --watch",
  ])
    .addHelpText("after", helpText)
    .option("--json", "one JSON document (with --watch: one a line)", false)
    .option("--watch", "again and again, until Ctrl-C", false)
    .option(
      "--wait <ms>",
      "how long to gather; up to 5 s where a server is late, 2.5 s where none speaks",
      wholeNumber("--wait", 10),
      800,
    )
    .action(async (flags: StatusFlags) => {
      const bus = await world.connect(flags.access, () => undefined);
      try {
        if (flags.watch) await watch(world, bus, flags);
        else await look(world, bus, flags);
      } finally {
        await bus.stop();
      }
    });
}

async function look(world: CommandWorld, bus: Bus, flags: StatusFlags): Promise<void> {
  const status = await gatherStatus(bus, world.clock, flags.service, flags.wait, world.stopped);
  const isAnybody = status.servers.length > 0;
  if (flags.json) await world.out(`${JSON.stringify(status)}\n`);
  else if (isAnybody) await world.out(statusText(status, world.terminal?.columns));
  if (!isAnybody) throw new CommandError(nobody(flags));
  if (!status.serving) throw new ExitStatus(1);
  if (!status.failoverReady) throw new ExitStatus(degradedStatus);
}

/** Again and again: on a terminal in place, elsewhere one after the other, and what nobody says only once. */
async function watch(world: CommandWorld, bus: Bus, flags: StatusFlags): Promise<void> {
  const cleared = world.terminal === null ? "" : clearScreen;
  let isTold = false;
  while (!world.stopped.aborted) {
    const status = await gatherStatus(bus, world.clock, flags.service, flags.wait, world.stopped);
    const isAnybody = status.servers.length > 0;
    if (flags.json) await world.out(`${JSON.stringify(status)}\n`);
    else if (isAnybody) await world.out(`${cleared}${statusText(status, world.terminal?.columns)}\n`);
    else if (!isTold) await world.out(`${cleared}${nobody(flags)} (goes on looking, until Ctrl-C)\n`);
    isTold = !isAnybody;
  }
}

/**
 * Listens to the servers' status messages for `waitMs`, and on, up to `mostMs` in all, for one that is late: other servers hear it, or
 * nobody was heard yet. Throws CommandError at once where the broker forbids it.
 */
export async function gatherStatus(
  bus: Bus,
  clock: Clock,
  service: string,
  waitMs: number,
  stopped: AbortSignal,
  mostMs = lateMs,
): Promise<ServiceStatus> {
  const gathering = new StatusGathering();
  const subscription = bus.subscribe(subjects.statuses(service), (message) => {
    const status = ServerStatus.safeParse(readJson(message.data)).data;
    if (status !== undefined) gathering.onStatus(status, clock.nowMs());
  });
  try {
    const sinceMs = clock.nowMs();
    const isLate = (nowMs: number) =>
      nowMs - sinceMs < mostMs && (gathering.isEmpty ? nowMs - sinceMs < nobodyMs : gathering.isAwaiting(nowMs));
    await allowed(bus, clock, waitMs, stopped);
    let nowMs = clock.nowMs();
    while (!stopped.aborted && isLate(nowMs)) {
      await allowed(bus, clock, lookMs, stopped);
      nowMs = clock.nowMs();
    }
    // Of the moment at which nobody was late: whoever speaks often may be late a moment after it.
    return gathering.conclude(service, nowMs);
  } finally {
    subscription.stop();
  }
}

function nobody({ service, access }: CommonOptions): string {
  return `no server of ${service} speaks at ${access.shown}: start one with \`npm start\`, name another --service or --nats, or see ${runbookEntry("primary.missing")}`;
}
