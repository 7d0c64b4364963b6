/**
 * A registry that was lost, or is an older copy, put back by an operator (the registry record): what every configured server has
 * seen, made into the record to write, or the reason why not. Pure. What always holds: it is above every epoch that was seen, by
 * enough that what may have been asked for and seen by nobody is below it, and under a revision that no open question counts on; where nothing can be missing it has the configuration of
 * the newest record that any server knows, so that whoever that counts on goes on; else it begins a new history. No server does this
 * by itself.
 */
import { maxEpoch } from "../../../schemas/ranges.ts";
import type { Member, RegistryRecord } from "../../../schemas/registry.ts";
import type { Standing } from "../../../schemas/standing.ts";
import type { Rules } from "../rules.ts";
import { copyName } from "./copies.ts";

export interface RestorationFacts {
  readonly service: string;
  readonly standings: readonly Standing[];
  /** Configured servers that did not answer. */
  readonly silent: readonly string[];
  /** What the registry has now. */
  readonly present: RegistryRecord | null;
  /** An operator accepts what silent servers may have. */
  readonly acceptsLoss: boolean;
  /** Fresh ids. */
  readonly writeId: string;
  readonly history: string;
  readonly rules: Rules;
}

export type Restoration =
  | {
      readonly outcome: "write";
      readonly record: RegistryRecord;
      /** Revisions that servers know: written under one of these, it is written once more. */
      readonly taken: readonly number[];
      readonly says: string;
    }
  | { readonly outcome: "unneeded" | "refused"; readonly says: string };

/** Silent servers may have seen more than those that answer. */
const unseenBySilent = 1_000;

export function restoration(facts: RestorationFacts): Restoration {
  const { standings, silent, present, rules, acceptsLoss } = facts;
  const refused = (says: string): Restoration => ({ outcome: "refused", says });
  const twice = standings.find(({ server }, at) => standings.some((one, other) => other < at && one.server === server));
  if (twice !== undefined) return refused(`two servers named ${twice.server} answer: stop the one that is not meant`);
  if (standings.length === 0) return refused("no server answers: start them; they refuse, and say what they have seen");
  const seen = Math.max(...standings.map(({ epochSeen }) => epochSeen), present?.epoch ?? 0);
  if (present !== null && standings.every(({ epochSeen, frozen }) => epochSeen <= present.epoch && frozen === ""))
    return {
      outcome: "unneeded",
      says: `the registry's record is of epoch ${present.epoch}, and nobody has seen a newer one`,
    };
  if (!rules.mayRestore(silent.length, acceptsLoss))
    return refused(`${silent.join(", ")} does not answer, and may have seen more: start it, or add --accept-loss`);
  if (rules.restoredEpoch(seen) + unseenBySilent > maxEpoch)
    return refused(
      `epoch ${seen} was seen, and the last that a record can have is ${maxEpoch}: begin the service anew under another name`,
    );
  const known = [present, ...standings.map(({ record }) => record)].filter((record) => record !== null);
  const ofOneEpoch = newestRecords(known);
  const newestSeen = ofOneEpoch.find(({ primary }) => isLiving(primary, standings)) ?? ofOneEpoch[0] ?? null;
  const beside = newestSeen === null ? null : wonBeside(newestSeen, known, rules);
  const isOfBoth = beside !== null && newestSeen !== null && countsOnPartOf(beside, newestSeen);
  const newest = isOfBoth ? beside : newestSeen;
  const forks = beside === null || isOfBoth ? ofOneEpoch : [...ofOneEpoch, beside];
  if (!countOnTheSame(forks) && !acceptsLoss)
    return refused(
      `the registry went back and was written again: ${namesOf(forks)}, and either may have acknowledged what the other has not. add --accept-loss to go on with the newest copy, and to set the other aside`,
    );
  const missing = silent.filter((name) => newest?.inSync.some(({ server }) => server === name));
  if (
    countOnTheSame(forks) &&
    newest !== null &&
    isNewestSeen(newestSeen, standings) &&
    (missing.length === 0 || newest.durability === "disk")
  ) {
    const epoch = rules.restoredEpoch(seen) + (silent.length > 0 ? unseenBySilent : 0);
    // Where it was put back before, what matters is whose question it was then, and of which epoch.
    const { restoredFrom = newest.epoch } = newest;
    const previousWriteId = newest.restoredFrom === undefined ? newest.writeId : newest.previousWriteId;
    const record = { ...newest, epoch, writeId: facts.writeId, previousWriteId, restoredFrom };
    return {
      outcome: "write",
      record,
      taken: takenBy(standings),
      says: `restored as epoch ${epoch}, with the configuration of epoch ${newest.epoch}`,
    };
  }
  if (!acceptsLoss)
    return refused(
      `no server that answers knows the record of epoch ${seen}, the newest that was seen: add --accept-loss`,
    );
  return anew(facts, newest, rules.restoredEpoch(seen) + unseenBySilent);
}

/** What may have been acknowledged elsewhere is given up: the newest copy goes on alone, as a new history. */
function anew(
  { service, standings, writeId, history, rules }: RestorationFacts,
  newest: RegistryRecord | null,
  epoch: number,
): Restoration {
  const best = standings.reduce((one, other) => (rules.isNewerCopy(other, one) ? other : one));
  const nobody = { server: best.server, incarnation: "none" };
  const counted = best.disk === "" ? nobody : { ...nobody, disk: best.disk };
  const record: RegistryRecord = {
    service,
    history,
    epoch,
    mode: "primary-only",
    writeId,
    previousWriteId: newest?.writeId ?? "",
    primary: nobody,
    inSync: [counted],
    durability: "disk",
    base: { sequence: best.last, hash: best.hash },
    schema: newest?.schema ?? "",
    ...(newest?.application === undefined ? {} : { application: newest.application }),
    restoredFrom: best.memberEpoch,
  };
  return {
    outcome: "write",
    record,
    taken: takenBy(standings),
    says: `restored as epoch ${epoch}: ${copyName(best)} goes on, as a new history`,
  };
}

const takenBy = (standings: readonly Standing[]): number[] => standings.map(({ revision }) => revision);

/** The records of the newest epoch that is known: more than one where the registry went back and was written again. */
function newestRecords(known: readonly RegistryRecord[]): RegistryRecord[] {
  const epoch = Math.max(...known.map((record) => record.epoch));
  const newest = new Map<string, RegistryRecord>();
  for (const record of known)
    if (record.epoch === epoch && !newest.has(record.writeId)) newest.set(record.writeId, record);
  // Who let itself go wrote the same again, in its epoch: the last of these has them all.
  const gone = ({ left }: RegistryRecord) => left?.length ?? 0;
  return [...newest.values()].sort((one, other) => gone(other) - gone(one));
}

/** The newest record only put back an earlier one; the registry went back past it, and there a server won another, of an epoch in between. */
function wonBeside(
  { history, restoredFrom, epoch }: RegistryRecord,
  known: readonly RegistryRecord[],
  rules: Rules,
): RegistryRecord | null {
  if (restoredFrom === undefined) return null;
  const won = known.filter(
    (record) =>
      record.history === history &&
      record.restoredFrom === undefined &&
      rules.isWonBeside(record.epoch, restoredFrom, epoch),
  );
  return won.toSorted((one, other) => other.epoch - one.epoch)[0] ?? null;
}

/** Whoever the first counts on is counted on by both, and has all that was acknowledged under either. */
const countsOnPartOf = (record: RegistryRecord, { inSync }: RegistryRecord): boolean =>
  record.inSync.every((member) => inSync.some(({ incarnation }) => incarnation === member.incarnation));

/**
 * Who is in both of two records of one epoch has all that was acknowledged under either; who is in one only may lack what the other
 * one's members acknowledged.
 */
const countOnTheSame = (ofOneEpoch: readonly RegistryRecord[]): boolean =>
  new Set(ofOneEpoch.map(({ inSync }) => JSON.stringify(inSync.map(({ incarnation }) => incarnation).sort()))).size <=
  1;

const isLiving = ({ incarnation }: Member, standings: readonly Standing[]): boolean =>
  standings.some((standing) => standing.incarnation === incarnation);

function namesOf(forks: readonly RegistryRecord[]): string {
  const epochs = [...new Set(forks.map(({ epoch }) => epoch))];
  const which = epochs.length === 1 ? `are both of epoch ${epochs[0]}` : `are of the epochs ${epochs.join(" and ")}`;
  return `${forks.map(recordName).join(" and ")} ${which}`;
}

const recordName = ({ primary, inSync }: RegistryRecord): string =>
  `${primary.server}'s (in sync: ${inSync.map(({ server }) => server).join(", ")})`;

/** No server that answers has seen an epoch whose record nobody knows. */
function isNewestSeen(newest: RegistryRecord | null, standings: readonly Standing[]): boolean {
  return newest !== null && standings.every(({ epochSeen }) => epochSeen <= newest.epoch);
}

/**
 * What `init` must not write over: somebody has seen more than a service that was never begun. Who runs and does not answer may
 * have: a server that has stood still for a while goes on with what it knew.
 */
export function whyNotFirst(standings: readonly Standing[], unanswered: readonly string[]): string | null {
  const seen = standings.filter(({ epochSeen }) => epochSeen > 0);
  const names = seen.map(({ server, epochSeen }) => `${server} (epoch ${epochSeen})`);
  if (seen.length > 0)
    return `the registry has no record, but servers of this service have seen one: ${names.join(", ")}. It was lost: put it back with \`twinlog init --restore\``;
  if (unanswered.length > 0)
    return `the registry has no record, and ${unanswered.join(", ")} does not answer, though NATS knows it: it may have seen one. Try again, or stop it`;
  return null;
}
