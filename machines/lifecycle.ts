/**
 * The server's lifecycle: which role it plays and how it moves between roles (claims 2, 15-19, 26, 34). It is the
 * authority: rare events go through `transition`, and the actions that come back are what the replica does. No `after`,
 * no `invoke`: time arrives as events, so that every path can be generated and tested.
 *
 * Tags are what the hot path reads: `hot` (processes requests), `fenced` (neither acknowledges nor confirms, rule 2),
 * `held` (takes no new request), `following` (has a primary), `asking` (a compare-and-set is open that must be settled).
 */
import { type SnapshotFrom, setup } from "xstate";
import { stateName, stepsOf } from "./step.ts";

export type LifecycleEvent =
  | { type: "store.recovered" }
  | { type: "disk.failed" }
  | { type: "verdict.refuse" }
  | { type: "verdict.wait" }
  | { type: "verdict.claim" }
  | { type: "verdict.newHistory" }
  | { type: "verdict.join" }
  | { type: "verdict.member" }
  | { type: "disk.synced" }
  | { type: "cas.won.alone" }
  | { type: "cas.won.normal" }
  | { type: "cas.won.unchanged" }
  | { type: "cas.void.alone" }
  | { type: "cas.void.normal" }
  | { type: "cas.lost.named" }
  | { type: "cas.lost.unnamed" }
  | { type: "record.named" }
  | { type: "record.dropped" }
  | { type: "record.primaryChanged" }
  | { type: "deposed.named" }
  | { type: "deposed.unnamed" }
  | { type: "primary.lost.others" }
  | { type: "primary.lost.alone" }
  | { type: "primary.returned" }
  | { type: "handover.offered" }
  | { type: "handover.unsettled" }
  | { type: "backup.lost.alone" }
  | { type: "backup.lost.others" }
  | { type: "backup.returned" }
  | { type: "joiner.ready" }
  | { type: "base.due" }
  | { type: "pause.due" }
  | { type: "switch.requested" }
  | { type: "switch.failed" }
  | { type: "leave.unanswered" }
  | { type: "exit.allowed" };

const verdicts = {
  "verdict.refuse": "#server.refusing",
  "verdict.wait": "#server.waiting",
  "verdict.claim": "#server.claiming",
  "verdict.newHistory": "#server.renewing",
  "verdict.join": "#server.following.joining",
  "verdict.member": "#server.following.warm",
} as const;

/** Named: the newest record counts on this server's memory, so it keeps it and follows (rule 7). */
const deposals = { "deposed.named": "#server.following.warm", "deposed.unnamed": "#server.deposed" } as const;

/**
 * An open compare-and-set of a server that is not hot: lost but named (it keeps its memory), lost and not named. What it
 * may win stands with each state: only where everything was synced first can it win to be alone (rule 2).
 */
const lost = { "cas.lost.named": "#server.following.warm", "cas.lost.unnamed": "#server.deposed" } as const;
/** The same of a server that is no member: the start table again, with the record that was not ours. */
const lostClaim = { "cas.lost.named": "#server.consulting", "cas.lost.unnamed": "#server.consulting" } as const;

/**
 * The configuration was written again, or put back: what was open can not land, and the server is what that says, also where it
 * has nothing open: an operator may put back what was won unseen.
 */
const voids = { "cas.void.alone": "#server.hot.alone", "cas.void.normal": "#server.hot.normal" } as const;

/** No member: it may be told to stop, and let itself go where nobody does. */
const exits = { "exit.allowed": "#server.stopped", "leave.unanswered": "#server.leaving" } as const;

const say = () => {};
/** What the machine may say; the replica does it. */
const actions = {
  consult: say,
  syncAll: say,
  proposeClaim: say,
  proposeNewHistory: say,
  proposeTakeover: say,
  proposeRoles: say,
  proposeRemoval: say,
  proposeAddition: say,
  proposeBase: say,
  proposePause: say,
  leave: say,
  follow: say,
  unfollow: say,
  becomeHot: say,
  becomeCold: say,
  offerHandover: say,
  restart: say,
  exit: say,
  fail: say,
};
export type LifecycleAction = keyof typeof actions;

export const lifecycleMachine = setup({
  types: { events: {} as LifecycleEvent, tags: {} as "hot" | "fenced" | "held" | "following" | "asking" },
  actions,
}).createMachine({
  id: "server",
  initial: "recovering",
  on: { "disk.failed": ".failed" },
  states: {
    recovering: { on: { "store.recovered": "consulting" } },
    consulting: { entry: "consult", on: { ...verdicts, ...exits } },
    waiting: { on: { ...verdicts, ...exits } },
    refusing: { on: { ...verdicts, ...exits } },
    /** It stops, and who may have asked for it is gone: it sees to it that nothing that names it can land (clean stop). */
    leaving: {
      tags: ["fenced", "asking"],
      entry: "leave",
      on: { "cas.won.unchanged": "consulting", ...lostClaim },
    },
    claiming: {
      initial: "syncing",
      tags: ["fenced"],
      states: {
        syncing: {
          entry: "syncAll",
          on: { "disk.synced": "asking", "exit.allowed": "#server.stopped", ...lostClaim },
        },
        asking: {
          tags: ["asking"],
          entry: "proposeClaim",
          on: { "cas.won.alone": "#server.hot.alone", ...lostClaim },
        },
      },
    },
    renewing: {
      initial: "syncing",
      tags: ["fenced"],
      states: {
        syncing: {
          entry: "syncAll",
          on: { "disk.synced": "asking", "exit.allowed": "#server.stopped", ...lostClaim },
        },
        asking: {
          tags: ["asking"],
          entry: "proposeNewHistory",
          on: { "cas.won.alone": "#server.hot.alone", ...lostClaim },
        },
      },
    },
    /** One session with one primary, kept when the joiner is taken in or the backup dropped. */
    following: {
      tags: ["following"],
      entry: "follow",
      exit: "unfollow",
      initial: "joining",
      on: { "record.primaryChanged": { target: "following", reenter: true } },
      states: {
        joining: {
          on: {
            "record.named": "warm",
            "primary.lost.alone": "#server.consulting",
            "primary.lost.others": "#server.consulting",
            ...exits,
          },
        },
        warm: {
          on: {
            "primary.lost.alone": "#server.candidate.syncing",
            "primary.lost.others": "#server.candidate.electing",
            "handover.offered": "#server.receiving",
            "record.dropped": "joining",
            "exit.allowed": "#server.stopped",
          },
        },
        /**
         * It asked for the role, and the registry has not settled that in time: its primary goes on. Both configurations have
         * the same members, so what it confirms counts in both; and where it is told late that it won, it has all of that.
         */
        unsettled: {
          tags: ["asking"],
          on: {
            "cas.won.normal": "#server.hot.normal",
            "cas.won.unchanged": "warm",
            "record.named": "warm",
            "record.dropped": "joining",
          },
        },
      },
    },
    candidate: {
      tags: ["fenced"],
      initial: "syncing",
      states: {
        syncing: {
          entry: "syncAll",
          on: { "disk.synced": "asking", "primary.returned": "#server.following.warm", ...lost },
        },
        asking: { tags: ["asking"], entry: "proposeTakeover", on: { "cas.won.alone": "#server.hot.alone", ...lost } },
        electing: {
          tags: ["asking"],
          entry: "proposeTakeover",
          on: { "cas.won.normal": "#server.hot.normal", ...lost },
        },
      },
    },
    receiving: {
      tags: ["fenced", "asking"],
      entry: "proposeRoles",
      on: { "cas.won.normal": "#server.hot.normal", "handover.unsettled": "#server.following.unsettled", ...lost },
    },
    hot: {
      tags: ["hot"],
      entry: "becomeHot",
      exit: "becomeCold",
      initial: "alone",
      on: { ...deposals, "cas.void.alone": "#server.hot.alone" },
      states: {
        normal: {
          on: {
            "backup.lost.alone": "fencing",
            "backup.lost.others": "removing",
            "joiner.ready": "adding",
            "switch.requested": "switching",
            "pause.due": "pausing",
          },
        },
        adding: { tags: ["asking"], entry: "proposeAddition", on: { "cas.won.normal": "normal", ...voids } },
        removing: {
          tags: ["asking"],
          entry: "proposeRemoval",
          on: { "cas.won.normal": "normal", ...voids },
        },
        fencing: {
          initial: "syncing",
          states: {
            syncing: {
              tags: ["fenced"],
              entry: "syncAll",
              on: {
                "disk.synced": "asking",
                "backup.returned": "#server.hot.normal",
                "cas.void.normal": "#server.hot.normal",
              },
            },
            asking: {
              tags: ["asking"],
              entry: "proposeRemoval",
              on: { "cas.won.alone": "#server.hot.alone", ...voids },
            },
          },
        },
        alone: {
          on: {
            "joiner.ready": "adding",
            "base.due": "rebasing",
            "pause.due": "pausing",
            "cas.void.normal": "normal",
            "exit.allowed": "#server.stopped",
          },
        },
        rebasing: {
          tags: ["asking"],
          entry: "proposeBase",
          on: { "cas.won.alone": "alone", ...voids },
        },
        /** The same configuration, with an operator's word about the intake or failover. */
        pausing: {
          tags: ["asking"],
          entry: "proposePause",
          on: { "cas.won.alone": "alone", "cas.won.normal": "normal", ...voids },
        },
        switching: {
          tags: ["held"],
          entry: "offerHandover",
          on: { "switch.failed": "normal", "backup.lost.alone": "fencing", "backup.lost.others": "removing" },
        },
      },
    },
    deposed: { tags: ["fenced"], entry: "syncAll", on: { "disk.synced": "restarting" } },
    restarting: { type: "final", entry: "restart" },
    stopped: { type: "final", entry: "exit" },
    failed: { type: "final", tags: ["fenced"], entry: "fail" },
  },
});

export type LifecycleSnapshot = SnapshotFrom<typeof lifecycleMachine>;

/** A state's value as its name with dots. */
type NameOf<Value> = Value extends string
  ? Value
  : { [Outer in keyof Value & string]: `${Outer}.${NameOf<NonNullable<Value[Outer]>>}` }[keyof Value & string];
export type LifecycleState = NameOf<LifecycleSnapshot["value"]>;

const steps = stepsOf<LifecycleSnapshot, LifecycleEvent, LifecycleAction>(lifecycleMachine);

/** A server that has just started. */
export const startingLifecycle: LifecycleSnapshot = steps.initial;

/** One step: the next snapshot and what to do, in order. An event that the state does not know changes nothing. */
export const lifecycleStep: (
  snapshot: LifecycleSnapshot,
  event: LifecycleEvent,
) => readonly [LifecycleSnapshot, readonly LifecycleAction[]] = steps.step;

/** As operators see it: `hot.normal`, `candidate.syncing`. */
export function lifecycleState(snapshot: LifecycleSnapshot): LifecycleState {
  return stateName(snapshot) as LifecycleState;
}
