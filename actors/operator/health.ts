/**
 * What a server is good for now, as load balancers and orchestrators ask it. What always holds: it is worked out from the status,
 * when it is asked; it is what this server knows, a hint and no proof; where it says no, it says why. Nothing is told here but
 * what stands in the status, and of troubles their codes alone: their messages may name clients.
 */
import type { ServerStatus } from "../../schemas/status.ts";
import { costOf, type TroubleCode, troubleKinds } from "../../schemas/troubles.ts";

/** How a life stands, as it is asked. */
export interface LifeFacts {
  readonly status: ServerStatus;
  /** Since it last did what it does every `heartbeatMs`. */
  readonly beatAgeMs: number;
  /** It listens for requests. */
  readonly takesRequests: boolean;
  /** Connected to NATS. */
  readonly isConnected: boolean;
  /** Records that its primary has and this one has not; null where it follows nobody or does not know. */
  readonly lag: number | null;
}

/** "" where it is so; else why not. */
export interface Health {
  /** The process works. */
  readonly live: string;
  /** Its disk was read, and it takes part. */
  readonly up: string;
  /** It does its part: it serves, or it could take over. */
  readonly ready: string;
  /** It is the primary and processes requests. */
  readonly primary: string;
  /** It is a backup that could take over. */
  readonly backup: string;
}

/** A life that does nothing for so long hangs. Far longer than a pause that a machine may have. */
export const hungAfterMs = 30_000;

/** Null: the disk is being read, or the connections are being made. */
export function healthOf(facts: LifeFacts | null): Health {
  if (facts === null) {
    const why = "it starts: its disk is being read";
    return { live: "", up: why, ready: why, primary: why, backup: why };
  }
  const { beatAgeMs } = facts;
  if (beatAgeMs > hungAfterMs) {
    const why = `it hangs: nothing was done for ${Math.round(beatAgeMs / 1_000)} s`;
    return { live: why, up: why, ready: why, primary: why, backup: why };
  }
  const { state } = facts.status;
  const up = state === "stopped" || state === "failed" ? `it has ended (${state})` : "";
  const primary = up || whyNotServing(facts, ["intake.paused"]);
  const backup = up || whyNotBackup(facts);
  const isPrimary = facts.status.role === "primary";
  return {
    live: "",
    up,
    ready: primary === "" || backup === "" ? "" : isPrimary ? primary : backup,
    primary: primary || whyNotServing(facts, []),
    backup,
  };
}

/** `despite`: what costs the service and does not count. */
function whyNotServing({ status, takesRequests, isConnected }: LifeFacts, despite: readonly TroubleCode[]): string {
  const { role, state, application } = status;
  if (role !== "primary") return whyNoMember(status) || "it is a backup";
  if (application !== "hot") return "its application is not hot yet";
  if (!isConnected) return says("nats.lost");
  if (/^hot\.(fencing|removing)/.test(state)) return "it leaves out a backup that is lost, and waits for the registry";
  if (!takesRequests) return "it takes no requests now: its role is being handed over";
  const open = status.troubles.find(({ code }) => costOf(code) === "service" && !despite.some((one) => one === code));
  return open === undefined ? "" : says(open.code);
}

/** As `twinlog status` judges a backup (deploy/commands/service-status.ts). */
function whyNotBackup({ status, isConnected }: LifeFacts): string {
  const { role, state, application } = status;
  if (role !== "backup") return whyNoMember(status) || "it is the primary";
  if (application !== "warm") return "its application is not warm yet";
  if (state !== "following.warm") return `it changes its role (${state})`;
  if (!isConnected) return says("nats.lost");
  const open = status.troubles.find(({ code }) => costOf(code) !== "nothing" && code !== "intake.paused");
  return open === undefined ? "" : says(open.code);
}

function whyNoMember({ role, state, why, waitingFor }: ServerStatus): string {
  if (role !== "none") return "";
  return waitingFor === "" ? `it is no member (${state}): ${why}` : `it is no member and waits: ${waitingFor}`;
}

/** "" where its records are at most so many behind. */
export function whyBehind(lag: number | null, most: number): string {
  if (lag === null) return "its primary has not said yet how far it is";
  return lag > most ? `it is ${lag} records behind` : "";
}

function says(code: string): string {
  return Object.hasOwn(troubleKinds, code) ? troubleKinds[code as TroubleCode].says : code;
}
