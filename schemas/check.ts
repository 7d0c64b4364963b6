/**
 * The lines of `twinlog check`, and which trouble belongs to which. What always holds: each code of schemas/troubles.ts has its line,
 * and what a code costs is judged where `twinlog status` judges it, and nowhere else.
 */
import type { TroubleCode } from "./troubles.ts";

/** As monitoring programs (Nagios, Icinga) count them: the exit status is the place in this list. */
export const checkLevels = ["ok", "warning", "critical", "unknown"] as const;
export type CheckLevel = (typeof checkLevels)[number];

/** What each line asks, in the order in which they are told. */
export const checkKinds = {
  service: "does a primary process requests?",
  backup: "is a backup in sync that could take over?",
  servers: "does every configured server speak, once?",
  links: "are both links up, and as wide as records may be?",
  nats: "does every server reach NATS, and does it take what they say?",
  registry: "does the registry answer, and take changes?",
  "registry-version": "has the broker under the registry a version without known faults?",
  "registry-settings": "has the registry's bucket the settings that are wanted?",
  permissions: "does NATS let the servers do what they need?",
  disk: "is there room on the volumes of the data directories?",
  clocks: "do the clocks agree, with each other and with the time of requests?",
  certificates: "are certificates good for some time?",
  "last-backup": "is the last backup young enough (--backup-within)?",
  "results-stream": "does the stream over results keep them all (--results-stream: is there one)?",
  versions: "do all servers run the same program?",
  settings: "are settings that must be the same the same?",
  aside: "is no earlier store set aside, and room for one?",
  application: "does the application leave no errors that nobody handles?",
  log: "can servers write their logs?",
  others: "is there nothing that this program does not know?",
} as const;
export type CheckName = keyof typeof checkKinds;

export const checkOf = {
  "server.waiting": "servers",
  "disk.empty": "servers",
  "backup.lost": "backup",
  "backup.missing": "backup",
  "server.doubled": "servers",
  "backup.unfit": "backup",
  "program.old": "versions",
  "program.newer": "versions",
  "state.other": "service",
  "registry.refuses": "registry",
  "registry.frozen": "registry",
  "registry.silent": "registry",
  "nats.lost": "nats",
  "nats.refused": "nats",
  "nats.results": "nats",
  "peer.silent": "servers",
  "link.main": "links",
  "messages.unfit": "links",
  "peers.unproven": "links",
  "link.record": "links",
  "link.narrow": "links",
  "forbidden.results": "permissions",
  "forbidden.replies": "permissions",
  "forbidden.requests": "permissions",
  "forbidden.reads": "permissions",
  "forbidden.servers": "permissions",
  "forbidden.registry": "permissions",
  "forbidden.operators": "permissions",
  "broker.limits": "nats",
  "broker.omitted": "nats",
  "broker.narrow": "nats",
  "broker.cutOff": "nats",
  "stream.answers": "nats",
  "application.rejection": "application",
  "intake.paused": "service",
  "failover.paused": "backup",
  "clock.apart": "clocks",
  "time.apart": "clocks",
  "settings.differ": "settings",
  "stamps.refused": "clocks",
  "store.aside": "aside",
  "store.asideFull": "aside",
  "log.lost": "log",
  "primary.missing": "service",
  "server.silent": "servers",
} as const satisfies Record<TroubleCode, CheckName>;

export interface CheckLine {
  readonly name: CheckName;
  readonly level: CheckLevel;
  /** What is so, and what would help. */
  readonly says: string;
  /** Troubles (schemas/troubles.ts), or `check.NAME` where it is no server's; empty where all is well or nothing is known. */
  readonly codes: readonly string[];
  /** Where what to do is told: an entry of deploy/RUNBOOK.md; empty where nothing is to be done. */
  readonly see: string;
}

/** `check --json`. */
export interface ServiceCheck {
  readonly service: string;
  /** The worst of all lines: critical before warning before unknown. */
  readonly level: CheckLevel;
  readonly failoverReady: boolean;
  readonly checks: readonly CheckLine[];
}
