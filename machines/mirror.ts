/**
 * The primary's view of one follower's session (rules 4, 8, 10; claims 17, 18). What always holds: a follower is `inSync`
 * or `stalled` only while the registry names it; a new question (`follow.asked`) ends the session before it; every session
 * ends once. The session itself is made by who accepts the follower, with what both logs agree on (replica/primary/progress.ts).
 * Records never pass through here, only what changes how they are sent.
 *
 *   none              nobody follows           asked      it wants to follow; where the logs part is sought
 *   snapshot          gets everything anew     open       is sent records, in a session:
 *   open.catchingUp   gets what it lacks       streaming  holds everything that counts, and may be added
 *   open.inSync       a member: a commit waits for its confirm
 *   open.stalled      a member that confirms nothing of what it was sent: it is removed
 */
import { type SnapshotFrom, setup } from "xstate";
import { stepsOf } from "./step.ts";

export type MirrorEvent =
  | { type: "follow.asked" }
  /** It runs something else, it is leaving, or this server cannot be followed now. */
  | { type: "follow.declined" }
  | { type: "follow.accepted.joiner" }
  /** The registry names this incarnation already: it followed the last primary, or an adding compare-and-set landed unseen. */
  | { type: "follow.accepted.member" }
  /** What it lacks is not in the log any more, or it is of another history. */
  | { type: "snapshot.needed" }
  /** It confirmed all that was acknowledged and all that this server inherited (rule 8). */
  | { type: "tail.reached" }
  | { type: "member.added" }
  | { type: "member.removed" }
  /** It was sent records, and confirmed none of them for longer than the limit. */
  | { type: "progress.stopped" }
  | { type: "progress.made" }
  /** The follower restarted or was let go, or this server is not primary any more. */
  | { type: "session.ended" };

/** endSession: nothing of it counts any more. */
export type MirrorAction = "sendSnapshot" | "endSession";

const say = () => {};
export const mirrorMachine = setup({
  types: { events: {} as MirrorEvent, tags: {} as "member" },
  actions: { sendSnapshot: say, endSession: say },
}).createMachine({
  id: "mirror",
  initial: "none",
  states: {
    none: { on: { "follow.asked": "asked" } },
    asked: {
      on: {
        "follow.asked": { target: "asked", reenter: true },
        "follow.declined": "none",
        "follow.accepted.joiner": "open.catchingUp",
        "follow.accepted.member": "open.inSync",
        "snapshot.needed": "snapshot",
        "session.ended": "none",
      },
    },
    snapshot: { entry: "sendSnapshot", on: { "follow.asked": "asked", "session.ended": "none" } },
    open: {
      initial: "catchingUp",
      exit: "endSession",
      on: { "follow.asked": "asked", "session.ended": "none" },
      states: {
        catchingUp: { on: { "tail.reached": "streaming", "member.added": "inSync" } },
        streaming: { on: { "member.added": "inSync" } },
        inSync: { tags: ["member"], on: { "member.removed": "#mirror.none", "progress.stopped": "stalled" } },
        stalled: { tags: ["member"], on: { "member.removed": "#mirror.none", "progress.made": "inSync" } },
      },
    },
  },
});

export type MirrorSnapshot = SnapshotFrom<typeof mirrorMachine>;

const steps = stepsOf<MirrorSnapshot, MirrorEvent, MirrorAction>(mirrorMachine);

export const noMirror: MirrorSnapshot = steps.initial;

/** One step: the next snapshot and what to do, in order. */
export const mirrorStep: (
  snapshot: MirrorSnapshot,
  event: MirrorEvent,
) => readonly [MirrorSnapshot, readonly MirrorAction[]] = steps.step;

/** It holds everything that counts: the adding compare-and-set may be sent. */
export function isMirrorComplete(snapshot: MirrorSnapshot): boolean {
  return snapshot.matches({ open: "streaming" });
}

export function isMirrorStalled(snapshot: MirrorSnapshot): boolean {
  return snapshot.matches({ open: "stalled" });
}
