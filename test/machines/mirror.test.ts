/**
 * The primary's view of a follower, state by state: a member only by the registry, a new start at every question, one end for each session.
 */
import test from "ava";
import {
  isMirrorComplete,
  isMirrorStalled,
  type MirrorEvent,
  mirrorMachine,
  mirrorStep,
  noMirror,
} from "../../machines/mirror.ts";
import { stateName } from "../../machines/step.ts";
import { checkSound, walk, walkPaths } from "./explore.ts";

const graph = walk(mirrorMachine);

test("every state and event is visited", (t) => {
  checkSound(t, graph);
});

test("on every path, a follower is a member only while the registry names it", (t) => {
  const naming = new Set(["follow.accepted.member", "member.added"]);
  walkPaths(t, mirrorMachine, false, (isNamed, { event, isTaken, from, to, after }) => {
    const isMember = after.hasTag("member");
    if (isMember !== (to === "open.inSync" || to === "open.stalled")) return "the tag member is wrong";
    if (isMember && !isNamed && !naming.has(event)) return "a member that nobody named";
    if (isMember && event === "member.removed") return "a member that was removed";
    if (from !== to && !isTaken) return "left without a reason";
    return { fact: isMember };
  });
  t.pass();
});

test("on every path, a session begins when its follower is accepted and ends once, and what has no session ends none", (t) => {
  walkPaths(t, mirrorMachine, false, (isOpen, { event, isTaken, to, actions }) => {
    const ends = actions.filter((action) => action === "endSession").length;
    if (ends > (isOpen ? 1 : 0)) return "the end of a session that was not open";
    const now = (isOpen && ends === 0) || (isTaken && event.startsWith("follow.accepted."));
    if (now !== to.startsWith("open.")) return "a session that the state does not show";
    return { fact: now };
  });
  t.pass();
});

test("a question starts anew from everywhere, and a session's end is heard everywhere", (t) => {
  for (const { from, event, to } of graph.steps) {
    if (event === "follow.asked") t.is(to, "asked", from);
    if (event === "session.ended") t.is(to, "none", from);
  }
});

test("only a member stalls, and only one that holds everything is complete", (t) => {
  for (const state of graph.states) {
    t.is(isMirrorStalled(state as never), stateName(state) === "open.stalled");
    t.is(isMirrorComplete(state as never), stateName(state) === "open.streaming");
  }
  for (const { from, event, to } of graph.steps) {
    if (to === "open.stalled") t.true(from === "open.stalled" || from === "open.inSync", from);
    if (to === "open.streaming") t.true(from === "open.streaming" || event === "tail.reached", from);
  }
});

test("a story: a joiner needs a snapshot, comes back for the rest, is added, stalls, recovers, is removed and catches up", (t) => {
  const story: [MirrorEvent["type"], string, string[]][] = [
    ["follow.asked", "asked", []],
    ["snapshot.needed", "snapshot", ["sendSnapshot"]],
    ["follow.asked", "asked", []],
    ["follow.accepted.joiner", "open.catchingUp", []],
    ["tail.reached", "open.streaming", []],
    ["member.added", "open.inSync", []],
    ["progress.stopped", "open.stalled", []],
    ["progress.made", "open.inSync", []],
    ["progress.stopped", "open.stalled", []],
    ["member.removed", "none", ["endSession"]],
    ["follow.asked", "asked", []],
    ["follow.declined", "none", []],
  ];
  let mirror = noMirror;
  for (const [type, name, said] of story) {
    const [next, actions] = mirrorStep(mirror, { type } as MirrorEvent);
    t.deepEqual([stateName(next), [...actions]], [name, said], type);
    mirror = next;
  }
});
