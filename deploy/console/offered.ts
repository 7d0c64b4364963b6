/**
 * What an operator can do at a moment: each command with what it asks beforehand, and why not where it would be refused anyway. What
 * always holds: it is worked out from what servers say, and the page decides nothing; the server that is asked judges once more.
 */
import type { ServiceStatus } from "../../schemas/status.ts";
import type { MildVerb } from "../commands/operate.ts";
import { backupsOf, primaryOf } from "../commands/service-status.ts";

export interface OfferedAction {
  readonly verb: MildVerb;
  /** As its button says it. */
  readonly label: string;
  /** It can be given a time after which it ends. */
  readonly lasts: boolean;
  /** What the operator is asked before it is begun. */
  readonly question: string;
  /** What it means for clients. */
  readonly cost: string;
  /** Empty: it can be begun. */
  readonly why: string;
}

/** `isKnown`: what the servers said is of now. */
export function offeredActions({ servers, epoch, service }: ServiceStatus, isKnown: boolean): OfferedAction[] {
  const primary = primaryOf(servers, epoch);
  const [backup] = backupsOf(servers, epoch);
  const isPaused = primary?.troubles.some(({ code }) => code === "intake.paused") ?? false;
  const isHeld = servers.some(({ troubles }) => troubles.some(({ code }) => code === "failover.paused"));
  const unknown = isKnown ? "" : "what the servers do now is not known";
  const nobody = primary === undefined ? "nobody processes requests" : "";
  const from = primary?.name ?? "nobody";
  const first = (...reasons: string[]) => reasons.find((reason) => reason !== "") ?? "";
  return [
    {
      verb: "switch",
      label: "Switch",
      lasts: false,
      question: `Hand the primary's role from ${from} to ${backup?.name ?? "the backup"}?`,
      cost: "Clients wait for a moment, some tens of milliseconds; nothing is lost.",
      why: first(unknown, nobody, backup === undefined ? "no backup is in sync" : ""),
    },
    {
      verb: "pause",
      label: "Pause intake",
      lasts: true,
      question: `Pause the intake of ${service}?`,
      cost: "Requests are told BUSY, and clients of the library send them again; what runs is finished. Failover goes on.",
      why: first(unknown, nobody, isPaused ? "the intake is paused" : ""),
    },
    {
      verb: "resume",
      label: "Resume intake",
      lasts: false,
      question: `Let the intake of ${service} go on?`,
      cost: "Requests are taken again.",
      why: first(unknown, nobody, isPaused ? "" : "the intake is not paused"),
    },
    {
      verb: "pause-failover",
      label: "Pause failover",
      lasts: true,
      question: `Pause failover of ${service}?`,
      cost: "For maintenance: nobody takes over by himself. Where the primary dies nobody serves until failover goes on; where a backup dies the primary goes on alone.",
      why: first(unknown, nobody, isHeld ? "failover is paused" : ""),
    },
    {
      verb: "resume-failover",
      label: "Resume failover",
      lasts: false,
      question: `Let failover of ${service} go on?`,
      cost: "Where the primary is lost a backup takes over at once.",
      why: first(unknown, isHeld ? "" : "failover is not paused"),
    },
    {
      verb: "flush",
      label: "Flush",
      lasts: false,
      question: `Write the log to the disk now, on ${servers.map(({ name }) => name).join(" and ")}?`,
      cost: "Clients notice nothing.",
      why: first(unknown, servers.length === 0 ? "no server speaks" : ""),
    },
  ];
}
