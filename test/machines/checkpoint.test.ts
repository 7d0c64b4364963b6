/**
 * The checkpoint agent, path by path: a store is scanned before it is used, what was begun ends before the store is closed, a failure is told once.
 */
import test from "ava";
import { checkpointMachine } from "../../machines/checkpoint/checkpoint-machine.ts";
import { checkSound, walk, walkPaths } from "./explore.ts";

const graph = walk(checkpointMachine);
const inUse = new Set(["fresh", "idle", "flushing", "stopping", "receiving", "adopting"]);

test("every state and event is visited; only a failed store is a dead end", (t) => {
  checkSound(t, graph, { deadEnds: ["failed"] });
});

test("on every path a store is scanned before it is used, after a snapshot was adopted too", (t) => {
  walkPaths(t, checkpointMachine, { open: false, scanned: false }, (fact, { event, actions, to }) => {
    const now = { ...fact };
    for (const action of actions) {
      if (action === "openStore" && now.open) return "opened twice";
      if (action === "openStore") Object.assign(now, { open: true, scanned: false });
      if (action === "scanStore") now.scanned = true;
      if (action === "closeStore") Object.assign(now, { open: false, scanned: false });
    }
    if (event === "snapshot.adopted" && to === "adopted") now.scanned = false;
    if (inUse.has(to) && !(now.open && now.scanned)) return "used before it was scanned";
    return { fact: now };
  });
  t.pass();
});

test("on every path a flush that has begun ends before the store is closed", (t) => {
  walkPaths(t, checkpointMachine, false, (isUnderWay, { event, isTaken, to, actions }) => {
    const begins = isTaken && event === "flush.begun";
    if (begins && isUnderWay) return "two at once";
    const ends = event === "store.failed" || (isTaken && event === "flush.ended");
    const now = begins || (isUnderWay && !ends);
    if (now && actions.includes("closeStore")) return "closed in the middle of a flush";
    if (now !== (to === "flushing" || to === "stopping")) return "what was begun was forgotten";
    return { fact: now };
  });
  t.pass();
});

test("on every path a failure is told at most once, and what failed is not used again", (t) => {
  walkPaths(t, checkpointMachine, { told: false, failed: false }, (fact, { event, isTaken, actions, to }) => {
    const told = actions.includes("reportFailure");
    if (told && fact.told) return "told twice";
    const failed = fact.failed || (isTaken && event === "store.failed");
    if (failed && to !== "failed") return "used after it failed";
    return { fact: { told: fact.told || told, failed } };
  });
  t.pass();
});

test("a snapshot that was not adopted leaves the agent where it was, and no side directory behind", (t) => {
  walkPaths(t, checkpointMachine, "", (from, { event, from: before, to, isTaken, actions }) => {
    if (event === "snapshot.begun" && isTaken) return { fact: before };
    if (event === "snapshot.dropped" && isTaken && to !== from) return `it was ${from}`;
    const leaves = before === "receiving" && to !== "receiving" && to !== "adopting";
    if (leaves && !actions.includes("dropSide")) return "a side directory stays behind";
    return { fact: to === "receiving" || to === "adopting" ? from : "" };
  });
  t.pass();
});
