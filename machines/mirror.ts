/**
 * The primary's view of one follower's session (rules 4, 8, 10; claims 17, 18). What always holds: a follower is `inSync`
 * or `stalled` only while the registry names it; a new question (`follow.asked`) starts the session again from wherever it
 * was; every session that ends says so once. Records never pass through here, only what changes how they are sent.
 *
 *   none         no session              asked      it wants to follow; where the logs part is sought
 *   snapshot     gets everything anew    catchingUp gets the records that it lacks
 *   streaming    gets each record as it is made; it may be added
 *   inSync       a member: a commit waits for its confirm
 *   stalled      a member that confirms nothing: it slows the primary, and is removed soon
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
  /** All records up to the log's end are on their way to it. */
  | { type: "tail.reached" }
  | { type: "member.added" }
  | { type: "member.removed" }
  /** It was sent records, and confirmed none of them for longer than the limit. */
  | { type: "progress.stopped" }
  | { type: "progress.made" }
  /** The follower restarted or left, or this server is not primary any more. */
  | { type: "session.ended" };

export type MirrorAction = "seekFork" | "sendSnapshot" | "sendMissing" | "stream" | "reportStalled" | "endSession";

const say = () => {};
const ended = { target: "none", actions: "endSession" } as const;
const follows = { "follow.asked": { target: "asked" }, "session.ended": ended } as const;

export const mirrorMachine = setup({
  types: { events: {} as MirrorEvent, tags: {} as "streamed" | "member" },
  actions: {
    seekFork: say,
    sendSnapshot: say,
    sendMissing: say,
    stream: say,
    reportStalled: say,
    endSession: say,
  },
}).createMachine({
  id: "mirror",
  initial: "none",
  states: {
    none: { on: { "follow.asked": "asked" } },
    asked: {
      entry: "seekFork",
      on: {
        "follow.asked": { target: "asked", reenter: true },
        "follow.declined": ended,
        "follow.accepted.joiner": "catchingUp",
        "follow.accepted.member": { target: "inSync", actions: "sendMissing" },
        "snapshot.needed": "snapshot",
        "session.ended": ended,
      },
    },
    snapshot: { entry: "sendSnapshot", on: { ...follows, "progress.stopped": ended } },
    catchingUp: {
      entry: "sendMissing",
      on: { ...follows, "tail.reached": "streaming", "member.added": "inSync", "progress.stopped": ended },
    },
    streaming: {
      tags: ["streamed"],
      entry: "stream",
      on: { ...follows, "member.added": "inSync", "progress.stopped": ended },
    },
    inSync: {
      tags: ["streamed", "member"],
      entry: "stream",
      on: { ...follows, "member.removed": ended, "progress.stopped": "stalled" },
    },
    stalled: {
      tags: ["member"],
      entry: "reportStalled",
      on: { ...follows, "member.removed": ended, "progress.made": "inSync" },
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
