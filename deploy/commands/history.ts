/**
 * `twinlog history`: what the registry's record was, revision by revision, as far as its bucket keeps old ones: when, who wrote it,
 * and what it changed. What always holds: what is told is read from the records, but for the gap of a failover, which the server
 * that took over remembers; why somebody wrote one is in no record, and is not guessed (`twinlog events` has it).
 */
import type { Command } from "commander";
import { MessageAnswer } from "../../schemas/jetstream.ts";
import { type RegistryRecord, readRegistryRecord } from "../../schemas/registry.ts";
import { RecentEvents, type ServerEvent } from "../../schemas/status.ts";
import { subjects } from "../../schemas/subjects.ts";
import { type Answers, ask, askAll } from "./ask.ts";
import { type CommonOptions, serviceCommand } from "./service-command.ts";
import { duration } from "./service-status.ts";
import { CommandError, type CommandWorld, parseService, wholeNumber } from "./world.ts";

interface HistoryFlags extends CommonOptions {
  json: boolean;
  bucket?: string;
  timeout: number;
}

/** One message of the bucket. `record`: a text says why it is none. */
export interface Revision {
  readonly revision: number;
  readonly at: string;
  readonly record: RegistryRecord | string | null;
  /** Where a server took over with it: for how long clients were without answers, at most. */
  readonly gapMs?: number;
}

/** How long servers are given to answer. */
const gatherMs = 400;
const messageNotFound = 10_037;
const streamNotFound = 10_059;
const helpText = `
The bucket keeps the last 64 revisions of a service (a server that is alone writes one every 10 s, so that these reach back
some ten minutes then). Why a record was written it does not say: see \`twinlog events\` and the servers' logs. For how long
a failover left clients without answers the server that took over remembers, while its process lives.
`;

export function historyCommand(world: CommandWorld): Command {
  return serviceCommand(world, "history", "show the registry's record, revision by revision: when, who, what changed", [
    "twinlog history",
    "twinlog history --json | jq .record.mode",
  ])
    .addHelpText("after", helpText)
    .option("--bucket <name>", "the registry's bucket (default: as --config says, or twinlog)", parseService)
    .option("--json", "every revision as one JSON document a line", false)
    .option("--timeout <ms>", "how long to wait for each answer", wholeNumber("--timeout", 1), 5_000)
    .action(async (flags: HistoryFlags) => {
      const { bucket = flags.access.settings?.registry.bucket ?? "twinlog" } = flags;
      const asked = { ...flags, bucket };
      const bus = await world.connect(flags.access, () => undefined);
      try {
        const revisions: Revision[] = [];
        for (;;) {
          const next = await read(world, bus, asked, (revisions.at(-1)?.revision ?? 0) + 1);
          if (next === null) break;
          revisions.push(next);
        }
        if (revisions.length === 0)
          throw new CommandError(`the registry has no record of ${flags.service} in the bucket ${bucket}`);
        const told = withGaps(revisions, await failovers(world, bus, flags.service, revisions));
        await world.out(flags.json ? told.map((each) => `${JSON.stringify(each)}\n`).join("") : historyText(told));
      } finally {
        await bus.stop();
      }
    });
}

/** The first of this service from a revision on; null: there is none. */
async function read(
  { clock }: CommandWorld,
  bus: Parameters<typeof ask>[0],
  { service, bucket, timeout }: HistoryFlags & { bucket: string },
  from: number,
): Promise<Revision | null> {
  const question = { seq: from, next_by_subj: `$KV.${bucket}.${service}` };
  const asked = await ask(bus, clock, `$JS.API.STREAM.MSG.GET.KV_${bucket}`, question, timeout);
  if (asked.outcome !== "answered")
    throw new CommandError(
      `the registry does not answer${asked.outcome === "nobody" ? ": JetStream is off, or has no leader" : ""}`,
    );
  const answer = MessageAnswer.safeParse(asked.data).data;
  if (answer === undefined) throw new CommandError("the registry's answer is not understood");
  if ("error" in answer) {
    const { err_code, description } = answer.error;
    if (err_code === messageNotFound || err_code === streamNotFound) return null;
    throw new CommandError(`the registry refuses: ${description ?? err_code}`);
  }
  const { seq, data, hdrs, time = "" } = answer.message;
  const isDeletion = hdrs !== undefined && /^KV-Operation:/im.test(Buffer.from(hdrs, "base64").toString());
  const record = isDeletion ? null : readRegistryRecord(Buffer.from(data ?? "", "base64").toString());
  return { revision: seq, at: time, record };
}

/** What servers that were the primary remember of failovers. */
async function failovers(
  { clock }: CommandWorld,
  bus: Parameters<typeof ask>[0],
  service: string,
  revisions: readonly Revision[],
): Promise<ServerEvent[]> {
  const names = new Set(primaries(revisions).map(({ primary }) => primary.server));
  const asked = [...names].map((name) => subjects.actor(service, name, "failover"));
  // Whoever may only read the registry is told what is in it.
  const { answers } = await askAll(bus, clock, asked, gatherMs).catch(noneWhereForbidden);
  return answers
    .flatMap((answer) => RecentEvents.safeParse(answer).data?.events ?? [])
    .filter(({ machine }) => machine === "failover");
}

const noAnswers: Pick<Answers, "answers"> = { answers: [] };

function noneWhereForbidden(error: unknown): typeof noAnswers {
  if (error instanceof CommandError) return noAnswers;
  throw error;
}

const primaries = (revisions: readonly Revision[]): RegistryRecord[] =>
  revisions.flatMap(({ record }) => (record === null || typeof record === "string" ? [] : [record]));

/** Each at the revision with which that incarnation became the primary, the last of them before it was ready. */
export function withGaps(revisions: readonly Revision[], events: readonly ServerEvent[]): Revision[] {
  const told = [...revisions];
  for (const { incarnation, epoch, gapMs } of events) {
    const at = told.findLastIndex(({ record }, n) => {
      if (record === null || typeof record === "string") return false;
      const before = primaries(told.slice(0, n)).at(-1);
      const isFirst = before !== undefined && before.primary.incarnation !== incarnation;
      return record.primary.incarnation === incarnation && isFirst && record.epoch <= epoch;
    });
    const revision = told[at];
    if (revision !== undefined && gapMs !== undefined) told[at] = { ...revision, gapMs };
  }
  return told;
}

/** A line each; those of a server that is alone, which only say how far it is, in one. */
export function historyText(revisions: readonly Revision[]): string {
  const lines: { readonly revision: Revision; says: string; more: number; until: string }[] = [];
  let before: RegistryRecord | null = null;
  for (const revision of revisions) {
    const { record } = revision;
    const says =
      typeof record === "string" ? `no record: ${record}` : record === null ? "deleted" : changeText(record, before);
    const last = lines.at(-1);
    if (says === moved && last?.says === moved) Object.assign(last, { more: last.more + 1, until: revision.at });
    else lines.push({ revision, says: says + gapText(revision), more: 0, until: "" });
    if (record !== null && typeof record !== "string") before = record;
  }
  return lines
    .map(({ revision, says, more, until }) => lineText(revision, says + moreText(more, revision.at, until)))
    .join("");
}

const gapText = ({ gapMs }: Revision): string =>
  gapMs === undefined ? "" : `; clients were without answers for some ${gapMs} ms`;

const moved = "its base moved forward";

function moreText(more: number, at: string, until: string): string {
  return more === 0 ? "" : `, and ${more} times more within ${duration(Date.parse(until) - Date.parse(at))}`;
}

function lineText({ revision, at, record }: Revision, says: string): string {
  const time = at.replace(/\.(\d{3})\d*Z$/, ".$1Z");
  const head = `${time}  revision ${revision}`;
  if (record === null || typeof record === "string") return `${head}  ${says}\n`;
  return `${head}  epoch ${record.epoch}  ${record.mode}  primary ${record.primary.server}  by ${writerOf(record)}: ${says}\n`;
}

/** Servers sign with their incarnation and a number; commands otherwise. */
function writerOf({ writeId, inSync, primary }: RegistryRecord): string {
  if (writeId.startsWith("restore.")) return "`init --restore`";
  const signed = [primary, ...inSync].find(({ incarnation }) => writeId.startsWith(`${incarnation}.`));
  if (signed !== undefined) return signed.server;
  return writeId.includes(".") ? `incarnation ${writeId.split(".")[0]}` : "`init`";
}

function changeText(record: RegistryRecord, before: RegistryRecord | null): string {
  if (before === null) return record.epoch === 1 ? "created" : "the oldest that is kept";
  const said: string[] = [];
  const names = ({ inSync }: RegistryRecord) => inSync.map(({ server }) => server);
  if (record.restoredFrom !== undefined && record.restoredFrom !== before.restoredFrom)
    said.push("put back by an operator");
  if (record.history !== before.history) said.push(`a new history, ${record.history}`);
  if (record.primary.server !== before.primary.server)
    said.push(`${record.primary.server} in the place of ${before.primary.server}`);
  else if (record.primary.incarnation !== before.primary.incarnation) said.push(`${record.primary.server} anew`);
  for (const name of names(before)) if (!names(record).includes(name)) said.push(`${name} left out`);
  for (const name of names(record)) if (!names(before).includes(name)) said.push(`${name} taken in`);
  if ((record.left?.length ?? 0) > (before.left?.length ?? 0)) said.push("a server let itself go");
  if (record.pause !== undefined && before.pause === undefined) said.push("intake paused");
  if (record.pause === undefined && before.pause !== undefined) said.push("intake resumed");
  if (record.failoverPause !== undefined && before.failoverPause === undefined) said.push("failover paused");
  if (record.failoverPause === undefined && before.failoverPause !== undefined) said.push("failover resumed");
  if (said.length === 0 && record.base.sequence !== before.base.sequence) return moved;
  return said.length === 0 ? "the same configuration again" : said.join(", ");
}
