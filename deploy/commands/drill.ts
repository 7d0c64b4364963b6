/**
 * `twinlog drill`: the proof, on a pair of its own (in a temporary folder, gone afterwards) or on one that runs. Exit status
 * 0 only if nothing acknowledged was lost and nothing was done twice. See deploy/drill/ for what it does.
 */
import type { Command } from "commander";
import { applications } from "../applications.ts";
import { type DrillOptions, type DrillWorld, drill } from "../drill/drill.ts";
import { DrillPair, drillService } from "../drill/pair.ts";
import { type FaultKind, faultKinds } from "../drill/plan.ts";
import { type DrillReport, reportText } from "../drill/verdict.ts";
import { type Workload, workloadFrom, workloadOf } from "../drill/workload.ts";
import { CommandError, type CommandWorld, type CommonOptions, serviceCommand, wholeNumber } from "./world.ts";

interface DrillFlags extends CommonOptions {
  running: boolean;
  faults?: FaultKind[];
  seconds: number;
  seed?: number;
  rate: number;
  patience: number;
  application?: string;
  body?: string;
  key: string;
  force: boolean;
  json: boolean;
}

const maxSeed = 1_000_000;

export function drillCommand(world: CommandWorld): Command {
  return serviceCommand(world, "drill", "load, faults and a verdict: is anything lost or done twice?", [
    "twinlog drill",
    "twinlog drill --faults kill,stop --seconds 60 --seed 7",
    "twinlog drill --running --service exchange --nats nats://127.0.0.1:4222",
    `twinlog drill --running --body '{"type":"add","name":"{id}"}'`,
  ])
    .option("--running", "the service that runs at --nats, instead of a pair of its own", false)
    .option("--faults <list>", `of ${faultKinds.join(", ")} (default: all that can be done)`, parseFaults)
    .option("--seconds <n>", "how long", wholeNumber("--seconds", 1), 30)
    .option("--seed <n>", "repeat the plan of that seed", wholeNumber("--seed", 0))
    .option("--rate <n>", "requests in a second", wholeNumber("--rate", 1), 500)
    .option("--patience <s>", "how long the service may take to recover", wholeNumber("--patience", 1), 25)
    .option("--application <name>", "what the service runs: chooses the requests (default: exchange)")
    .option("--body <template>", "requests for any other application, JSON; {id} and {n} are new in each")
    .option("--key <key>", "partition key, with --body", "drill")
    .option("--force", "also where the service is not marked as a test service", false)
    .option("--json", "one JSON document at the end, and nothing else", false)
    .action(async (flags: DrillFlags) => {
      const report = await (flags.running ? drillRunning(world, flags) : drillOwnPair(world, flags));
      await world.out(flags.json ? `${JSON.stringify(report)}\n` : reportText(report));
      if (!report.passed) throw new CommandError("the drill failed: see above");
    });
}

async function drillRunning(world: CommandWorld, flags: DrillFlags): Promise<DrillReport> {
  const faults = flags.faults ?? faultKinds.filter((kind) => kind !== "cut");
  if (faults.includes("cut"))
    throw new CommandError("--faults cut: only the main link of a drill's own pair can be cut");
  const { service, nats } = flags;
  const application = flags.application ?? world.serviceFile?.application ?? "exchange";
  const options = optionsOf(world, flags, service, application, faults);
  await tell(world, flags, `drill on ${service} at ${nats}, ${describe(options)}\n`);
  return await drill(options, {
    ...common(world, flags),
    connect: (onState) => world.connect(nats, onState),
    cable: null,
  });
}

async function drillOwnPair(world: CommandWorld, flags: DrillFlags): Promise<DrillReport> {
  const application = flags.application ?? "exchange";
  if (!applications.has(application))
    throw new CommandError(
      `--application ${application}: a drill's own pair runs one of ${[...applications.keys()].join(", ")}`,
    );
  const faults = flags.faults ?? faultKinds;
  const options = optionsOf(world, flags, drillService, application, faults);
  const hasCable = faults.includes("cut");
  await tell(world, flags, `drill on a pair of its own, ${describe(options)}\n`);
  const pair = await DrillPair.start({
    application,
    hasCable,
    environment: world.environment,
    tell: (line) => void tell(world, flags, `${line}\n`),
  });
  let isGood = false;
  try {
    const report = await drill(options, {
      ...common(world, flags),
      connect: (onState) => world.connect(pair.url, onState),
      cable: hasCable ? pair : null,
    });
    isGood = report.passed;
    return report;
  } finally {
    await pair.stop({ keep: !isGood });
    if (!isGood) world.err(`the servers' logs and data are in ${pair.folder}\n`);
  }
}

function optionsOf(
  world: CommandWorld,
  flags: DrillFlags,
  service: string,
  application: string,
  faults: readonly FaultKind[],
): DrillOptions {
  const { seconds, rate, force, patience } = flags;
  const seed = flags.seed ?? Math.floor(world.clock.random() * maxSeed);
  return { service, workload: chooseWorkload(flags, application), seed, faults, seconds, rate, force, patience };
}

function chooseWorkload({ body, key }: DrillFlags, application: string): Workload {
  if (body !== undefined) {
    try {
      return workloadFrom(body, key);
    } catch (error) {
      throw new CommandError(`--body is not JSON (${(error as Error).message})`);
    }
  }
  const found = workloadOf(application);
  if (found === undefined)
    throw new CommandError(`nothing is known of the application ${application}: say with --body what to send`);
  return found;
}

function common(world: CommandWorld, flags: DrillFlags): Pick<DrillWorld, "clock" | "stopped" | "tell"> {
  return { clock: world.clock, stopped: world.stopped, tell: (text) => tell(world, flags, text) };
}

async function tell(world: CommandWorld, { json }: DrillFlags, text: string): Promise<void> {
  if (!json) await world.out(text);
}

function describe({ seed, faults, seconds }: DrillOptions): string {
  return `seed ${seed}, ${seconds} s of ${faults.join(", ")}`;
}

function parseFaults(text: string): FaultKind[] {
  const wanted = text.split(",").map((word) => word.trim());
  const found = faultKinds.filter((kind) => wanted.includes(kind));
  const unknown = wanted.find((word) => !faultKinds.some((kind) => kind === word));
  if (unknown !== undefined || found.length === 0)
    throw new CommandError(`--faults ${text}: give some of ${faultKinds.join(", ")}, with commas`);
  return found;
}
