/**
 * `twinlog status`: what each server says of itself, gathered for a moment, and whether a failover would work now. Exit
 * status 0 only if a server spoke. `--json` prints `ServiceStatus` (schemas/status.ts).
 */
import type { Command } from "commander";
import type { Bus, Clock } from "../../actors/world/ports.ts";
import { ServerStatus, type ServiceStatus } from "../../schemas/status.ts";
import { subjects } from "../../schemas/subjects.ts";
import { readJson } from "./ask.ts";
import { CommandError, type CommandWorld, type CommonOptions, serviceCommand, wholeNumber } from "./world.ts";

interface StatusFlags extends CommonOptions {
  json: boolean;
  watch: boolean;
  wait: number;
}

export function statusCommand(world: CommandWorld): Command {
  return serviceCommand(world, "status", "show the servers and whether a failover would work now", [
    "twinlog status",
    "twinlog status --json | jq .mode",
    "twinlog status --watch",
  ])
    .option("--json", "one JSON document (with --watch: one a line)", false)
    .option("--watch", "again and again, until Ctrl-C", false)
    .option("--wait <ms>", "how long to gather", wholeNumber("--wait", 10), 800)
    .action(async (flags: StatusFlags) => {
      const bus = await world.connect(flags.nats, () => undefined);
      try {
        do {
          const status = await gatherStatus(bus, world.clock, flags.service, flags.wait, world.stopped);
          if (status.servers.length === 0 && !flags.watch) throw new CommandError(nobody(flags));
          const clearScreen = flags.watch && !flags.json ? "\u001b[2J\u001b[H" : "";
          await world.out(clearScreen + (flags.json ? `${JSON.stringify(status)}\n` : statusText(status)));
        } while (flags.watch && !world.stopped.aborted);
      } finally {
        await bus.stop();
      }
    });
}

/** Listens to the servers' status messages for `waitMs`; of each server the newest counts. */
export async function gatherStatus(
  bus: Bus,
  clock: Clock,
  service: string,
  waitMs: number,
  stopped: AbortSignal,
): Promise<ServiceStatus> {
  const newest = new Map<string, ServerStatus>();
  const subscription = bus.subscribe(subjects.statuses(service), (message) => {
    const status = ServerStatus.safeParse(readJson(message.data)).data;
    if (status !== undefined) newest.set(status.name, status);
  });
  await new Promise<void>((resolve) => {
    // Asked again and again with --watch: nothing stays behind on the signal.
    const end = () => {
      timer.cancel();
      stopped.removeEventListener("abort", end);
      resolve();
    };
    const timer = clock.after(waitMs, end);
    stopped.addEventListener("abort", end);
  });
  subscription.stop();
  const servers = [...newest.values()].sort((one, other) => (one.name < other.name ? -1 : 1));
  const leading = servers.reduce<ServerStatus | undefined>(
    (best, server) => (best === undefined || server.epoch > best.epoch ? server : best),
    undefined,
  );
  const { epoch = 0, history = "", mode = null } = leading ?? {};
  return { service, mode, epoch, history, servers };
}

/** The verdict first, then a line for each server. */
export function statusText(status: ServiceStatus): string {
  const { service, mode, epoch, history, servers } = status;
  const head = `${service}: ${mode ?? "no mode known"}, epoch ${epoch}, history ${history === "" ? "unknown" : history}`;
  const rows = servers.map((server) => [
    server.name,
    server.role,
    server.application,
    server.state,
    String(server.epoch),
    String(server.sequence),
    String(server.committed),
    String(server.flushed),
    `${server.links.main}/${server.links.failsafe}`,
    String(server.inFlight),
    server.waitingFor === "" ? server.why : `waits: ${server.waitingFor}`,
  ]);
  return `${head}\n${verdict(status)}\n\n${table([titles, ...rows])}`;
}

const titles = [
  "server",
  "role",
  "application",
  "state",
  "epoch",
  "sequence",
  "committed",
  "flushed",
  "main/failsafe",
  "in flight",
  "why",
];

/** Whether a failover would work now, and if not why not. */
function verdict({ mode, epoch, servers }: ServiceStatus): string {
  const primary = servers.find((server) => server.role === "primary" && server.epoch === epoch);
  const backups = servers.filter((server) => server.role === "backup" && server.epoch === epoch);
  if (primary === undefined) return "no primary speaks: requests are not processed now";
  if (mode !== "normal" || backups.length === 0)
    return `a failover would not work now: ${primary.name} is alone, each request is on its disk before it is acknowledged`;
  if (primary.links.main === "down") return "a failover would work now; the main link is down, NATS carries the mirror";
  return "a failover would work now";
}

function table(rows: string[][]): string {
  const widths = titles.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows
    .map(
      (row) =>
        `${row
          .map((cell, column) => cell.padEnd(widths[column] ?? 0))
          .join("  ")
          .trimEnd()}\n`,
    )
    .join("");
}

function nobody({ service, nats }: CommonOptions): string {
  return `no server of ${service} speaks at ${nats}: start one with \`npm start\`, or name another --service or --nats`;
}
