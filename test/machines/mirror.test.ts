/**
 * The primary's view of a follower, state by state: a member only by the registry, a new start at every question, one end for each session.
 */
import test from "ava";
import { type MirrorEvent, mirrorMachine, mirrorStep, noMirror } from "../../machines/mirror.ts";
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
    if (isMember !== (to === "inSync" || to === "stalled")) return "the tag member is wrong";
    if (isMember && !isNamed && !naming.has(event)) return "a member that nobody named";
    if (from === "stalled" && to !== "stalled" && !isTaken) return "left without a reason";
    return { fact: isMember };
  });
  t.pass();
});

test("on every path, a session that began ends once, and what has no session ends none", (t) => {
  walkPaths(t, mirrorMachine, false, (isOpen, { event, to, actions }) => {
    const ends = actions.filter((action) => action === "endSession").length;
    if (ends > 0 && !isOpen) return "the end of a session that was not open";
    if (isOpen && to === "none" && ends !== 1) return "a session ended without a word";
    if (to !== "none" && ends !== 0) return "a session went on after its end";
    if (!isOpen && to !== "none" && event !== "follow.asked") return "a session that nobody asked for";
    return { fact: to !== "none" };
  });
  t.pass();
});

test("a question starts the session again from everywhere", (t) => {
  for (const { event, to, actions } of graph.steps)
    if (event === "follow.asked") t.deepEqual([to, actions], ["asked", ["seekFork"]]);
});

test("a session's end is heard everywhere, and a removed member is followed no more", (t) => {
  for (const { from, event, to } of graph.steps) {
    if (event === "session.ended") t.is(to, "none", from);
    if (event === "member.removed" && (from === "inSync" || from === "stalled")) t.is(to, "none", from);
  }
});

test("only where the record's bytes follow at once is it tagged streamed", (t) => {
  const streamed = graph.states.filter((state) => state.hasTag("streamed")).map(stateName);
  t.deepEqual(streamed.toSorted(), ["inSync", "streaming"]);
});

test("a story: a joiner needs a snapshot, comes back for the rest, is added, stalls, recovers and is removed", (t) => {
  const story: [MirrorEvent["type"], string, string[]][] = [
    ["follow.asked", "asked", ["seekFork"]],
    ["snapshot.needed", "snapshot", ["sendSnapshot"]],
    ["follow.asked", "asked", ["seekFork"]],
    ["follow.accepted.joiner", "catchingUp", ["sendMissing"]],
    ["tail.reached", "streaming", ["stream"]],
    ["member.added", "inSync", ["stream"]],
    ["progress.stopped", "stalled", ["reportStalled"]],
    ["progress.made", "inSync", ["stream"]],
    ["progress.stopped", "stalled", ["reportStalled"]],
    ["member.removed", "none", ["endSession"]],
  ];
  let mirror = noMirror;
  for (const [type, name, said] of story) {
    const [next, actions] = mirrorStep(mirror, { type } as MirrorEvent);
    t.deepEqual([stateName(next), [...actions]], [name, said], type);
    mirror = next;
  }
});
