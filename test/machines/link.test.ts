/**
 * The supervision of links, state by state: what it concludes from the facts (rule 9; claims 3, 7).
 */
import test from "ava";
import {
  isLinkLost,
  type LinkConclusion,
  type LinkEvent,
  linkConclusion,
  linkForRecords,
  linkMachine,
  linkStep,
  newLink,
} from "../../machines/link.ts";
import { checkSound, walk, walkPaths } from "./explore.ts";

type Fact = "unproven" | "up" | "silent" | "closed";
type Facts = { main: Fact; failsafe: Fact; peer: LinkConclusion };

const graph = walk(linkMachine);
const factsOf = (snapshot: { value: unknown }) => snapshot.value as Facts;

/** The conclusions in plain words, written down a second time. */
function expected({ main, failsafe }: Facts): LinkConclusion {
  if (main === "up") return "main";
  if (failsafe === "up") return "failsafe";
  if (main === "closed" && failsafe === "closed") return "gone";
  return main === "unproven" || failsafe === "unproven" ? "unproven" : "none";
}

/** What an event says about one link: null if nothing. */
function factOf(event: string, link: "main" | "failsafe", before: Fact): Fact | null {
  if (event === "self.paused") return before === "up" ? "up" : "unproven";
  if (event === `${link}.heard`) return "up";
  if (event === "main.mute" && link === "main") return before === "up" ? "unproven" : before;
  if (event === "main.closed" && link === "main") return "closed";
  if (event === "failsafe.noResponders" && link === "failsafe") return "closed";
  if (event === `${link}.silent`) return before === "closed" ? "closed" : "silent";
  return null;
}

test("every state and event is visited; all sixteen pairs of facts can be", (t) => {
  checkSound(t, graph);
  t.is(graph.states.length, 16);
});

test("the conclusion follows from the two facts, in every state", (t) => {
  for (const state of graph.states) t.is(factsOf(state).peer, expected(factsOf(state)), JSON.stringify(state.value));
});

test("every event changes the facts that it speaks of, and no other", (t) => {
  for (const { before, event, after } of graph.steps)
    for (const link of ["main", "failsafe"] as const) {
      const fact = factsOf(before)[link];
      t.is(factsOf(after)[link], factOf(event, link, fact) ?? fact, `${JSON.stringify(before.value)} ${event}`);
    }
});

test("on no path is a peer lost before both links were closed or silent since this server last woke", (t) => {
  const spoken = { main: false, failsafe: false };
  walkPaths(t, linkMachine, spoken, (fact, { event, after }) => {
    const next = { ...fact };
    if (event === "self.paused") Object.assign(next, spoken);
    for (const link of ["main", "failsafe"] as const) {
      if (event === `${link}.heard`) next[link] = false;
      if (event === `${link}.silent`) next[link] = true;
    }
    if (event === "main.closed") next.main = true;
    if (event === "failsafe.noResponders") next.failsafe = true;
    return isLinkLost(after as never) && !(next.main && next.failsafe)
      ? "lost without a word against both links"
      : { fact: next };
  });
  t.pass();
});

test("a story: the main link is cut and mended, then the peer dies", (t) => {
  let link = newLink;
  const story: [LinkEvent["type"], LinkConclusion, "main" | "failsafe"][] = [
    ["failsafe.heard", "failsafe", "failsafe"],
    ["main.heard", "main", "main"],
    ["main.closed", "failsafe", "failsafe"],
    ["main.heard", "main", "main"],
    ["failsafe.noResponders", "main", "main"],
    ["main.closed", "gone", "failsafe"],
    ["self.paused", "unproven", "failsafe"],
    ["main.silent", "unproven", "failsafe"],
    ["failsafe.silent", "none", "failsafe"],
    ["main.closed", "none", "failsafe"],
    ["failsafe.noResponders", "gone", "failsafe"],
  ];
  for (const [type, conclusion, records] of story) {
    link = linkStep(link, { type } as LinkEvent);
    t.deepEqual([linkConclusion(link), linkForRecords(link)], [conclusion, records], type);
  }
});
