/**
 * `twinlog check`: would a failover work now? For monitoring programs: a line for each check, the gravest first, and the exit status
 * as Nagios and Icinga read it: 0 ok, 1 warning, 2 critical, 3 unknown (schemas/check.ts). What always holds: it ends within
 * `--timeout`, and with 3 whenever it could not be asked.
 */

import type { Command } from "commander";
import { lookAtCertificates } from "../../actors/world/surroundings.ts";
import { type CheckName, checkKinds, checkLevels, type ServiceCheck } from "../../schemas/check.ts";
import type { ServiceStatus } from "../../schemas/status.ts";
import type { Surroundings } from "../../schemas/surroundings.ts";
import { readSettings } from "../settings-file.ts";
import { checkNobody, checkService } from "./service-check.ts";
import { type CommonOptions, serviceCommand } from "./service-command.ts";
import { gatherStatus } from "./status.ts";
import { CommandError, type CommandWorld, ExitStatus, lasting, NotAllowed, wholeNumber } from "./world.ts";

interface CheckFlags extends CommonOptions {
  json: boolean;
  timeout: number;
  skip: CheckName[];
  settings: string[];
  backupWithin?: number;
  resultsStream: boolean;
}

/** Exit status where it could not be asked. */
export const notChecked = checkLevels.indexOf("unknown");

const helpText = `
Exit status: 0 ok, 1 warning, 2 critical (nobody serves, or a failover would not work now), 3 unknown.
Checks: ${Object.keys(checkKinds).join(", ")}.
`;
/** Servers speak four times a second by default. */
const gatherMs = 1_000;

const parseSkip = (text: string, before: CheckName[]): CheckName[] => {
  if (Object.hasOwn(checkKinds, text)) return [...before, text as CheckName];
  throw new CommandError(`--skip ${text}: give one of ${Object.keys(checkKinds).join(", ")}`);
};

export function checkCommand(world: CommandWorld): Command {
  return serviceCommand(world, "check", "say whether a failover would work now, for monitoring programs", [
    "twinlog check",
    "twinlog check --timeout 5000 --skip registry-version",
    "twinlog check --backup-within 26h",
    "twinlog check --json | jq '.checks[] | select(.level != \"ok\")'",
  ])
    .addHelpText("after", helpText)
    .option("--json", "one JSON document", false)
    .option("--timeout <ms>", "it ends within so long", wholeNumber("--timeout", 100), 5_000)
    .option("--skip <check>", "a check that is not wanted; again for each", parseSkip, [])
    .option(
      "--settings <file>",
      "look also at the certificates that this settings file names; again for each",
      (file: string, before: string[]) => [...before, file],
      [],
    )
    .option("--results-stream", "warn where there is no JetStream stream over results", false)
    .option("--backup-within <time>", "warn where the last `twinlog backup` is older: 26h", lasting("--backup-within"))
    .action(async (flags: CheckFlags) => {
      const check = await look(world, flags);
      await world.out(flags.json ? `${JSON.stringify(check)}\n` : checkText(check));
      const status = checkLevels.indexOf(check.level);
      if (status !== 0) throw new ExitStatus(status);
    });
}

async function look(
  world: CommandWorld,
  { service, access, timeout, skip, settings, backupWithin, resultsStream }: CheckFlags,
): Promise<ServiceCheck> {
  const { clock } = world;
  const skipped = new Set(skip);
  const untilMs = clock.nowMs() + timeout;
  const certificates = await certificatesOf(settings);
  const connecting = world.connect(access, () => undefined);
  let timer = clock.after(0, () => undefined);
  const late = new Promise<null>((resolve) => {
    timer = clock.after(timeout, () => resolve(null));
  });
  let status: ServiceStatus;
  try {
    const bus = await Promise.race([connecting, late]);
    if (bus === null) {
      void connecting.then(
        (it) => it.stop(),
        () => undefined,
      );
      return checkNobody(service, "nats", `NATS at ${access.shown} has not answered within ${timeout} ms`, skipped);
    }
    try {
      const leftMs = () => Math.max(1, untilMs - clock.nowMs());
      const gather = (waitMs: number) => gatherStatus(bus, clock, service, waitMs, world.stopped, leftMs());
      status = await gather(Math.min(gatherMs, leftMs()));
      // Servers may be set to speak more seldom.
      if (status.servers.length === 0) status = await gather(leftMs());
    } finally {
      await bus.stop();
    }
  } catch (error) {
    if (!(error instanceof CommandError) || error instanceof NotAllowed) throw error;
    return checkNobody(service, "nats", error.message, skipped);
  } finally {
    timer.cancel();
  }
  if (status.servers.length === 0)
    return checkNobody(service, "service", `no server of ${service} speaks at ${access.shown}`, skipped);
  return checkService({
    status,
    nowMs: clock.wallMs(),
    skipped,
    certificates,
    backupWithinMs: backupWithin,
    wantsResultsStream: resultsStream,
  });
}

async function certificatesOf(files: readonly string[]): Promise<Surroundings["certificates"]> {
  const all = await Promise.all(files.map(async (file) => lookAtCertificates(await readSettings(file))));
  return all.flat();
}

function checkText({ checks }: ServiceCheck): string {
  const widths = [
    Math.max(...checks.map(({ level }) => level.length)),
    Math.max(...checks.map(({ name }) => name.length)),
  ] as const;
  return checks
    .map(({ level, name, says, see }) => {
      const what = see === "" ? says : `${says}; see ${see}`;
      return `${level.padEnd(widths[0])}  ${name.padEnd(widths[1])}  ${what}\n`;
    })
    .join("");
}
