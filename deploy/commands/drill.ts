/**
 * `twinlog drill`: the proof, on a pair of its own (in a temporary folder, gone afterwards) or on one that runs. Exit status
 * 0 only if nothing acknowledged was lost and nothing was done twice. See deploy/drill/ for what it does.
 */

import { resolve } from "node:path";
import type { Command } from "commander";
import type { ApplicationDefinition } from "../../actors/application/contract.ts";
import { applications, findApplication, isPath } from "../applications.ts";
import { type DrillOptions, type DrillWorld, drill } from "../drill/drill.ts";
import { DrillPair, drillService } from "../drill/pair.ts";
import { type FaultKind, faultKinds } from "../drill/plan.ts";
import { type DrillReport, reportText } from "../drill/verdict.ts";
import { type Workload, workloadFrom, workloadOf } from "../drill/workload.ts";
import { accessBy } from "./access.ts";
import { Refusals } from "./forbidden.ts";
import { givenBy } from "./operate.ts";
import { type CommonOptions, serviceCommand } from "./service-command.ts";
import { CommandError, type CommandWorld, wholeNumber } from "./world.ts";

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

const helpText = `
Faults, to whoever is primary at the time:
  kill    SIGKILL; something must start the server again (a drill's own pair does, as do \`twinlog up\` and systemd)
  stop    SIGSTOP for one to three times the suspicion time, then SIGCONT
  cut     the main link is closed and refused for a while; on a drill's own pair only
  switch  the role is handed over, as \`twinlog switch\` does
kill and stop need Linux and the servers on this machine, as this user or root. A service that runs is touched only where
every server's settings say "testService": true (\`twinlog up --test-service\` does), or with --force.
Each reply is held against the log, as every result is told again by number. Exit status 0: all that was asked for was
done, the service recovered, nothing was lost or done twice.
`;

export function drillCommand(world: CommandWorld): Command {
  return serviceCommand(world, "drill", "load, faults and a verdict: is anything lost or done twice?", [
    "twinlog drill",
    "twinlog drill --faults kill,stop --seconds 60 --seed 7",
    "twinlog drill --running --service exchange --nats nats://127.0.0.1:4222",
    `twinlog drill --application ./counter.js --body '{"counter":"c{n}","add":1}'`,
  ])
    .addHelpText("after", helpText)
    .option("--running", "the service at --nats (marked with testService), instead of a pair of its own", false)
    .option("--faults <list>", `of ${faultKinds.join(", ")} (default: all that can be done)`, parseFaults)
    .option("--seconds <n>", "how long", wholeNumber("--seconds", 1), 30)
    .option("--seed <n>", "repeat the plan of that seed", wholeNumber("--seed", 0))
    .option("--rate <n>", "requests in a second", wholeNumber("--rate", 1), 500)
    .option("--patience <s>", "how long the service may take to recover", wholeNumber("--patience", 1), 25)
    .option(
      "--application <name>",
      "exchange, ledger or the path of a module: what the service runs (default: exchange)",
    )
    .option("--body <template>", "what to send, JSON; {id} (a text) and {n} (a number) are new in each request")
    .option("--key <key>", "partition key, with --body, where no application is known that tells it", "drill")
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
  const { service, access } = flags;
  const started = world.serviceFile?.service === service ? world.serviceFile.application : undefined;
  const name = flags.application ?? started ?? "exchange";
  const workload = await chooseWorkload(flags, name);
  const options = { ...optionsOf(world, flags, workload), service, isRunning: true, faults };
  await tell(world, flags, `drill on ${service} at ${access.shown}, ${describe(options)}\n`);
  const lacking = new AbortController();
  const connect = async (onState: (connected: boolean) => void) => {
    const bus = await world.connect(access, onState);
    Refusals.abort(bus, lacking);
    return bus;
  };
  const stopped = AbortSignal.any([world.stopped, lacking.signal]);
  const drilling = drill(options, {
    ...common(world, flags),
    stopped,
    operator: givenBy(world, access).by,
    connect,
    cable: null,
  });
  await drilling.catch(() => undefined);
  // What it came to without a permission is no verdict.
  lacking.signal.throwIfAborted();
  return await drilling;
}

async function drillOwnPair(world: CommandWorld, flags: DrillFlags): Promise<DrillReport> {
  const name = flags.application ?? "exchange";
  if (!isKnown(name))
    throw new CommandError(
      `--application ${name}: a drill's own pair runs one of ${[...applications.keys()].join(", ")}, or the path of a module`,
    );
  const workload = await chooseWorkload(flags, name);
  const faults = flags.faults ?? faultKinds;
  const options = { ...optionsOf(world, flags, workload), service: drillService, isRunning: false, faults };
  const hasCable = faults.includes("cut");
  await tell(world, flags, `drill on a pair of its own, ${describe(options)}\n`);
  const pair = await DrillPair.start({
    application: applications.has(name) ? name : resolve(name),
    hasCable,
    environment: world.environment,
    tell: (line) => void tell(world, flags, `${line}\n`),
  });
  let isGood = false;
  try {
    const access = await accessBy(pair.context);
    const report = await drill(options, {
      ...common(world, flags),
      operator: givenBy(world, access).by,
      connect: (onState) => world.connect(access, onState),
      cable: hasCable ? pair : null,
    });
    isGood = report.passed;
    return report;
  } finally {
    const keep = !(isGood || world.stopped.aborted);
    await pair.stop({ keep });
    if (keep) world.err(`the servers' logs and data are in ${pair.folder}\n`);
  }
}

function optionsOf(world: CommandWorld, flags: DrillFlags, workload: Workload) {
  const { seconds, rate, force, patience } = flags;
  const seed = flags.seed ?? Math.floor(world.clock.random() * maxSeed);
  return { workload, seed, mayLeaveOut: flags.faults === undefined, seconds, rate, force, patience };
}

/** Of this program, or the path of a module. */
function isKnown(application: string): boolean {
  return applications.has(application) || isPath(application);
}

async function chooseWorkload({ body, key }: DrillFlags, name: string): Promise<Workload> {
  const application = isKnown(name) ? await findApplication(name, resolve("settings.json")) : undefined;
  if (body !== undefined) return templateWorkload(body, key, application);
  const found = workloadOf(name);
  if (found === undefined)
    throw new CommandError(`nothing is known of the requests of ${name}: say with --body what to send`);
  return found;
}

function templateWorkload(body: string, key: string, application: ApplicationDefinition | undefined): Workload {
  let workload: Workload;
  try {
    workload = workloadFrom(body, (made) => (application === undefined ? key : application.key(made)));
  } catch (error) {
    throw new CommandError(`--body is not JSON (${(error as Error).message})`);
  }
  const checked = application?.request.safeParse(workload.makeBody(1, "drill-1", "drill"));
  const [issue] = checked?.error?.issues ?? [];
  if (issue !== undefined)
    throw new CommandError(
      `--body is no request of ${application?.name}: ${issue.path.map(String).join(".")} ${issue.message}`,
    );
  return workload;
}

function common(world: CommandWorld, flags: DrillFlags): Pick<DrillWorld, "clock" | "stopped" | "tell"> {
  return { clock: world.clock, stopped: world.stopped, tell: (text) => tell(world, flags, text) };
}

async function tell(world: CommandWorld, { json }: DrillFlags, text: string): Promise<void> {
  if (!json) await world.out(text);
}

function describe({ seed, faults, seconds }: Pick<DrillOptions, "seed" | "faults" | "seconds">): string {
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
