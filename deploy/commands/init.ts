/**
 * `twinlog init --config FILE`: creates the bucket and the service's first registry record, and nothing else ever does; with
 * `--restore` it puts back a record that the registry has lost. What always holds: it asks the servers first; where one has seen a
 * record, or runs and does not answer, nothing is created; what is restored is above all that they have seen.
 */

import { Command } from "commander";
import { shownUrl } from "../../actors/world/broker-url.ts";
import { openNodeClock } from "../../actors/world/clock-node.ts";
import type { NatsLine } from "../../actors/world/connection-nats.ts";
import type { Bus, Registry } from "../../actors/world/ports.ts";
import { openRegistry } from "../../actors/world/real-world.ts";
import { ResultsStream } from "../../actors/world/results-stream-jetstream.ts";
import { initialRecord } from "../../machines/replica/registry/initial-record.ts";
import { restoration, whyNotFirst } from "../../machines/replica/registry/restoration.ts";
import { shippedRules } from "../../machines/replica/rules.ts";
import type { RegistryRead, RegistryRecord } from "../../schemas/registry.ts";
import { resultsLimits } from "../../schemas/results-stream.ts";
import type { Settings } from "../../schemas/settings.ts";
import { readSettings } from "../settings-file.ts";
import { type Access, type AccessFlags, accessOf, addAccessOptions } from "./access.ts";
import { unlessForbidden } from "./forbidden.ts";
import { askStandings, type Standings, silentOf } from "./standings.ts";
import { CommandError, type CommandWorld, lasting, operatorInboxes, wholeNumber } from "./world.ts";

interface InitFlags extends AccessFlags {
  config: string;
  ifMissing: boolean;
  restore: boolean;
  acceptLoss: boolean;
  resultsStream: boolean;
  resultsMaxAge?: number;
  resultsMaxBytes?: number;
}

const clock = openNodeClock();

export function initCommand(world: CommandWorld): Command {
  const command = new Command("init")
    .description("create a service's registry record, once, before its servers are started for the first time")
    .requiredOption("--config <file>", "settings, JSON: of the server that begins as primary; with --restore of any")
    .option("--if-missing", "nothing to do, and no error, where the record is there already", false)
    .option(
      "--restore",
      "put back a record that NATS has lost, or has an older copy of: every configured server is asked",
      false,
    )
    .option("--accept-loss", "with --restore: yes, what servers that do not answer may have is lost", false)
    .option("--results-stream", "make a JetStream stream over the service's results too, unless there is one", false)
    .option("--results-max-age <time>", "it keeps results for so long (default: 168h)", lasting("--results-max-age"))
    .option(
      "--results-max-bytes <bytes>",
      `and so many bytes of them (default: ${resultsLimits.maxBytes}); past either the oldest are dropped`,
      wholeNumber("--results-max-bytes", 1),
    )
    .addHelpText(
      "after",
      "\nExamples:\n  $ twinlog init --config alpha.json\n  $ twinlog init --config alpha.json --context ada --restore\n  $ twinlog init --config alpha.json --results-stream --results-max-age 720h\n",
    );
  return addAccessOptions(command, { hasConfig: true }).action(async (flags: InitFlags) => {
    const { config, ...logIn } = flags;
    const named = await readSettings(config);
    const access = await accessOf(world, logIn, { user: "administrator", base: named });
    for (const line of access.warnings) world.err(`twinlog: warning: ${line}\n`);
    const bus = await world.connect(access, () => undefined);
    try {
      await initialise({ world, bus, settings: settingsFor(named, access) }, access, flags);
    } finally {
      await bus.stop();
    }
  });
}

interface Init {
  readonly world: CommandWorld;
  readonly bus: Bus;
  readonly settings: Settings;
}

function settingsFor(settings: Settings, { nats, allowPlaintext }: Access): Settings {
  return { ...settings, nats: { ...nats, allowPlaintext } };
}

async function initialise(init: Init, { inboxPrefix }: Access, flags: InitFlags): Promise<void> {
  const { world, settings } = init;
  const { registry, line, close } = await openRegistry(settings, inboxPrefix ?? operatorInboxes(world.environment));
  try {
    await unlessForbidden(line, async () => {
      const found = await registry.read();
      const isRestorable = flags.restore && found.revision !== undefined;
      if (found.outcome === "unavailable" && !isRestorable) throw silence(settings, found.reason);
      if (flags.restore) await restore(init, registry, found, flags.acceptLoss);
      else await create(init, registry, found, flags.ifMissing || flags.resultsStream);
      if (flags.resultsStream) await makeResultsStream(init, line, flags);
      for (const { says } of await registry.warnings()) world.err(`warning: ${says}\n`);
    });
  } finally {
    await close();
  }
}

async function create(init: Init, registry: Registry, found: RegistryRead, ifMissing: boolean): Promise<void> {
  const { world, settings } = init;
  const { service, server } = settings;
  if (found.outcome === "missing") {
    const { standings, unanswered } = await heardBy(init);
    const refusal = whyNotFirst(standings, unanswered);
    if (refusal !== null) throw new CommandError(refusal);
    const answer = await registry.create(initialRecord(service, server, clock.randomId()));
    if (answer.outcome === "unknown") throw silence(settings, answer.reason);
    if (answer.outcome === "won") {
      await world.out(`service ${service} created; ${server} begins as its primary\n`);
      return;
    }
  }
  if (!ifMissing) throw new CommandError(`the service ${service} has a registry record already: start its servers`);
  await world.out(`service ${service} has its registry record already\n`);
}

async function makeResultsStream(
  { world, settings }: Init,
  line: Pick<NatsLine, "request">,
  flags: InitFlags,
): Promise<void> {
  const { service, limits, registry } = settings;
  const stream = new ResultsStream({ service, timeoutMs: limits.registryTimeoutMs, line });
  const { name, subject } = stream;
  const { resultsMaxAge: maxAgeMs = resultsLimits.maxAgeMs, resultsMaxBytes: maxBytes = resultsLimits.maxBytes } =
    flags;
  // NATS takes no window that is longer than a result lives.
  const duplicateMs = Math.min(resultsLimits.duplicateMs, maxAgeMs);
  const refused = (error: unknown) =>
    new CommandError(`NATS does not give the stream ${name}: ${(error as Error).message}`);
  const seen = await stream.look().catch((error: unknown) => Promise.reject(refused(error)));
  if (seen === null) {
    await stream.make({ maxAgeMs, maxBytes, duplicateMs }, registry.replicas).catch((error: unknown) => {
      throw refused(error);
    });
    await world.out(`stream ${name} keeps the results of ${service}\n`);
    return;
  }
  if (seen.subjects.length !== 1 || seen.subjects[0] !== subject)
    throw new CommandError(`the stream ${name} stands over ${seen.subjects.join(", ")}; wanted is ${subject} alone`);
  await world.out(`stream ${name} is there already\n`);
  if (seen.maxAgeMs === maxAgeMs && seen.maxBytes === maxBytes) return;
  world.err(
    `twinlog: warning: ${name} keeps ${seen.maxAgeMs} ms and ${seen.maxBytes} bytes, not ${maxAgeMs} and ${maxBytes}: \`nats stream edit ${name}\` changes it\n`,
  );
}

async function restore(init: Init, registry: Registry, found: RegistryRead, acceptsLoss: boolean): Promise<void> {
  const { world, settings } = init;
  const { standings } = await heardBy(init);
  const made = restoration({
    service: settings.service,
    standings,
    silent: silentOf(standings, namesOf(settings)),
    present: found.outcome === "found" ? found.record : null,
    acceptsLoss,
    writeId: `restore.${clock.randomId()}`,
    history: clock.randomId(),
    rules: shippedRules,
  });
  if (made.outcome === "refused") throw new CommandError(made.says);
  if (made.outcome === "write") await write(settings, registry, found.revision, made.record, made.taken);
  await world.out(`service ${settings.service}: ${made.says}\n`);
  if (made.outcome === "write") await world.out("servers find it within seconds: see `twinlog status`\n");
}

/**
 * Over what was read, and over nothing else; and not under a revision that a server knows from before, on which a question of it
 * may still land: then once more, under the next one.
 */
async function write(
  settings: Settings,
  registry: Registry,
  revision: number | undefined,
  record: RegistryRecord,
  taken: readonly number[],
): Promise<void> {
  let answer = revision === undefined ? await registry.create(record) : await registry.compareAndSet(record, revision);
  const isWritten = answer.outcome === "won";
  while (answer.outcome === "won" && taken.includes(answer.revision))
    answer = await registry.compareAndSet(record, answer.revision);
  // Whoever was quicker with the next revision has read this one, and gone on from there.
  if (isWritten || answer.outcome === "won") return;
  if (answer.outcome === "lost")
    throw new CommandError("somebody else wrote the registry's record meanwhile: look again");
  throw silence(settings, answer.reason);
}

async function heardBy({ bus, settings }: Init): Promise<Standings> {
  return await askStandings(bus, clock, settings.service, namesOf(settings));
}

const namesOf = ({ servers }: Settings): string[] => servers.map(({ name }) => name);

const silence = ({ nats }: Settings, reason: string): CommandError =>
  new CommandError(`NATS at ${nats.servers.map(shownUrl).join(", ")} did not answer: ${reason}; try again`);
