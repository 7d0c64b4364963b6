/**
 * The supervision of the links to one peer (rule 9; claims 3, 7). Two regions keep the newest fact about each link, the
 * third draws the conclusion. What always holds: the conclusion follows from the two facts alone, in the same step;
 * `gone` needs both the kernel's word (main closed or refused) and NATS's (no responders), `none` silence on both links;
 * and after a pause of this very server only what is heard anew counts, so that it never judges by its own sleep. It does
 * nothing but conclude: the replica reads the conclusion whenever it looks at what is due, and resends where a session's link
 * is not the one for records any more, so nothing hangs on a change being noticed.
 *
 *   main       the main link is up: records go there
 *   failsafe   the main link is lost, NATS is alive: records go over NATS
 *   unproven   neither is known to work, and the measure of silence still runs
 *   none       both are silent
 *   gone       nobody is there: act at once
 */
import { and, not, type SnapshotFrom, setup, stateIn } from "xstate";
import { stepsOf } from "./step.ts";

export type LinkEvent =
  /** A frame came. */
  | { type: "main.heard" }
  | { type: "failsafe.heard" }
  /** The peer's kernel closed the connection, or refused one. */
  | { type: "main.closed" }
  /** NATS says that nobody listens for the peer. */
  | { type: "failsafe.noResponders" }
  /** Nothing was heard on this link for longer than the suspicion time. */
  | { type: "main.silent" }
  | { type: "failsafe.silent" }
  /** What the peer says shows that nothing of ours reaches it over the main link any more. */
  | { type: "main.mute" }
  /** A tick of this server came late: the measure starts again. */
  | { type: "self.paused" };

export type LinkConclusion = "main" | "failsafe" | "unproven" | "none" | "gone";

const conclusions = [
  { guard: "isMainUp", target: "main" },
  { guard: "isFailsafeOnly", target: "failsafe" },
  { guard: "isGone", target: "gone" },
  { guard: "isUnproven", target: "unproven" },
  { guard: "isSilent", target: "none" },
] as const;

/** To every conclusion but the one that is drawn already. */
const instead = (drawn: LinkConclusion) => conclusions.filter(({ target }) => target !== drawn);

const isMainUp = stateIn({ main: "up" });
const isFailsafeUp = stateIn({ failsafe: "up" });
const isGone = and([stateIn({ main: "closed" }), stateIn({ failsafe: "closed" })]);
const isSilent = and([
  not(isMainUp),
  not(isFailsafeUp),
  not(isGone),
  not(stateIn({ main: "unproven" })),
  not(stateIn({ failsafe: "unproven" })),
]);

export const linkMachine = setup({
  types: { events: {} as LinkEvent },
  guards: {
    isMainUp,
    isFailsafeOnly: and([not(isMainUp), isFailsafeUp]),
    isGone,
    isSilent,
    isUnproven: and([not(isMainUp), not(isFailsafeUp), not(isGone), not(isSilent)]),
  },
}).createMachine({
  id: "link",
  type: "parallel",
  states: {
    main: {
      initial: "unproven",
      states: {
        unproven: { on: { "main.heard": "up", "main.closed": "closed", "main.silent": "silent" } },
        up: { on: { "main.closed": "closed", "main.silent": "silent", "main.mute": "unproven" } },
        silent: { on: { "main.heard": "up", "main.closed": "closed", "self.paused": "unproven" } },
        closed: { on: { "main.heard": "up", "self.paused": "unproven" } },
      },
    },
    failsafe: {
      initial: "unproven",
      states: {
        unproven: {
          on: { "failsafe.heard": "up", "failsafe.noResponders": "closed", "failsafe.silent": "silent" },
        },
        up: { on: { "failsafe.noResponders": "closed", "failsafe.silent": "silent" } },
        silent: { on: { "failsafe.heard": "up", "failsafe.noResponders": "closed", "self.paused": "unproven" } },
        closed: { on: { "failsafe.heard": "up", "self.paused": "unproven" } },
      },
    },
    peer: {
      initial: "unproven",
      states: {
        unproven: { always: instead("unproven") },
        main: { always: instead("main") },
        failsafe: { always: instead("failsafe") },
        none: { always: instead("none") },
        gone: { always: instead("gone") },
      },
    },
  },
});

export type LinkSnapshot = SnapshotFrom<typeof linkMachine>;

const steps = stepsOf<LinkSnapshot, LinkEvent, never>(linkMachine);

/** Nothing is known yet. */
export const newLink: LinkSnapshot = steps.initial;

/** One step: the next snapshot. */
export function linkStep(snapshot: LinkSnapshot, event: LinkEvent): LinkSnapshot {
  return steps.step(snapshot, event)[0];
}

export function linkConclusion(snapshot: LinkSnapshot): LinkConclusion {
  return snapshot.value.peer;
}

/** The link for records: main while it is up, else NATS. */
export function linkForRecords(snapshot: LinkSnapshot): "main" | "failsafe" {
  return snapshot.value.peer === "main" ? "main" : "failsafe";
}

/** Not to be reckoned with: silent on both links, or nobody there. */
export function isLinkLost(snapshot: LinkSnapshot): boolean {
  return snapshot.value.peer === "none" || snapshot.value.peer === "gone";
}

export function isLinkUp(snapshot: LinkSnapshot, link: "main" | "failsafe"): boolean {
  return snapshot.value[link] === "up";
}

/** The peer's kernel said so, and nothing came over a new connection since. */
export function isMainClosed(snapshot: LinkSnapshot): boolean {
  return snapshot.value.main === "closed";
}
