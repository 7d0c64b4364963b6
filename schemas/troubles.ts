/**
 * Every trouble that a server can have: what keeps a user from what was promised to him, while the server goes on. What
 * always holds: a code says one thing and costs one thing; a server shows its open troubles in its status, and
 * `twinlog status` derives from them whether a failover would work.
 */
import { z } from "zod";

/** What a trouble costs while it is open: the redundancy, the service, or nothing yet. */
export type TroubleCost = "failover" | "service" | "nothing";

export interface TroubleKind {
  /** For people, where the server's own message is not at hand: what it is, in a few words. */
  readonly says: string;
  readonly costs: TroubleCost;
}

/** Codes never change their meaning; tools that do not know one take it to cost the failover. */
export const troubleKinds = {
  "server.waiting": { says: "the server is no member and waits", costs: "failover" },
  "disk.empty": { says: "the data directory was empty, but the registry counts on what was in it", costs: "failover" },
  "backup.lost": { says: "no backup is in sync", costs: "failover" },
  "backup.missing": { says: "a configured backup is not in sync, another one is", costs: "nothing" },
  "server.doubled": { says: "two servers speak under one name", costs: "failover" },
  "backup.unfit": { says: "a backup does not reach NATS or the registry: it could not take over", costs: "failover" },
  "program.old": {
    says: "the server's program is older than the state: it keeps what it is given, and could not serve",
    costs: "failover",
  },
  "program.newer": {
    says: "the server's program is newer than the state: once it is the primary there is no way back",
    costs: "nothing",
  },
  "state.other": { says: "the state is not made as the primary's program has it: requests wait", costs: "service" },
  "registry.refuses": { says: "the registry answers and takes no change of mode", costs: "failover" },
  "registry.frozen": {
    says: "the registry lost its record or went back: no change of mode is possible",
    costs: "failover",
  },
  "registry.silent": { says: "the registry does not answer", costs: "failover" },
  "nats.lost": { says: "there is no connection to NATS", costs: "failover" },
  "nats.results": { says: "there is no connection to NATS for results: they wait", costs: "failover" },
  "nats.refused": { says: "NATS refuses the log-in", costs: "failover" },
  "peer.silent": { says: "another server is not heard", costs: "nothing" },
  "link.main": { says: "a main link is down: records go over NATS", costs: "nothing" },
  "messages.unfit": {
    says: "messages in another server's name do not fit, and are dropped: damaged, of another program, or a stranger's",
    costs: "nothing",
  },
  "peers.unproven": { says: "who speaks in another server's name is believed without a proof", costs: "nothing" },
  "link.record": { says: "a record is larger than the link to a backup takes", costs: "failover" },
  "link.narrow": { says: "a link takes smaller messages than a record may need", costs: "nothing" },
  "forbidden.results": { says: "NATS forbids this server to publish results: they wait", costs: "failover" },
  "forbidden.replies": { says: "NATS forbids this server to answer clients", costs: "service" },
  "forbidden.requests": { says: "NATS forbids this server to hear requests", costs: "service" },
  "forbidden.reads": {
    says: "NATS forbids this server to hear queries, or who asks for results again",
    costs: "failover",
  },
  "forbidden.servers": { says: "NATS forbids this server to speak with the others", costs: "failover" },
  "forbidden.registry": { says: "NATS forbids this server to use the registry", costs: "failover" },
  "forbidden.operators": {
    says: "NATS forbids this server to speak with operators or to announce itself",
    costs: "nothing",
  },
  "broker.limits": { says: "the broker takes less than records may have", costs: "nothing" },
  "broker.omitted": { says: "replies or results are larger than the broker takes", costs: "nothing" },
  "broker.narrow": { says: "what is said to operators is larger than the broker takes", costs: "nothing" },
  "broker.cutOff": { says: "the broker ends this server's connections again and again", costs: "failover" },
  "stream.answers": { says: "a JetStream stream answers clients before the service does", costs: "failover" },
  "application.rejection": {
    says: "promises of the application were rejected and nobody waited for them",
    costs: "nothing",
  },
  "intake.paused": { says: "an operator paused the intake of requests", costs: "service" },
  "failover.paused": { says: "an operator paused failover: nobody takes over", costs: "failover" },
  "clock.apart": { says: "a server's clock is far from another's", costs: "nothing" },
  "time.apart": {
    says: "the time by which requests and timers go is far from the primary's clock",
    costs: "nothing",
  },
  "settings.differ": { says: "a setting that must be the same on all servers is not", costs: "nothing" },
  "stamps.refused": { says: "clients' requests are refused for their stamps: clocks are wrong", costs: "nothing" },
  "store.aside": { says: "earlier stores of the server are set aside", costs: "nothing" },
  "store.asideFull": { says: "the server does not join: no further store may be set aside", costs: "failover" },
  "log.lost": { says: "lines of the log cannot be written", costs: "nothing" },
  // What no server can say of itself: `twinlog status` sees it from outside.
  "primary.missing": { says: "no server that speaks is the primary", costs: "service" },
  "server.silent": { says: "a configured server does not speak", costs: "failover" },
} as const satisfies Record<string, TroubleKind>;

export type TroubleCode = keyof typeof troubleKinds;

/** What an open trouble of this code costs, for those who may be older than the server that has it. */
export function costOf(code: string): TroubleCost {
  return Object.hasOwn(troubleKinds, code) ? troubleKinds[code as TroubleCode].costs : "failover";
}

/** As a status carries it. `code` may be one of a newer program. */
export const Trouble = z.object({
  code: z.string(),
  /** One line for a person: what is wrong and what would help. */
  message: z.string(),
  /** Wall clock of the server when it was raised, ms since 1970. */
  sinceMs: z.number(),
});
export type Trouble = z.infer<typeof Trouble>;
