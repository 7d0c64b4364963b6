/**
 * The lifecycle, state by state and path by path, against the rules of PROTOCOL.md that are the machine's own. Each rule is said
 * here a second time, about all paths; a transition that is added or lost shows up as the path that breaks the rule.
 */
import test from "ava";
import { lifecycleMachine, lifecycleStep, startingLifecycle } from "../../machines/lifecycle.ts";
import { stateName } from "../../machines/step.ts";
import { checkSound, type Step, walk, walkPaths } from "./explore.ts";

const graph = walk(lifecycleMachine);

const wins = ["cas.won.alone", "cas.won.normal", "cas.won.unchanged"];
const voids = ["cas.void.alone", "cas.void.normal"];
const losses = ["cas.lost.named", "cas.lost.unnamed"];
const depositions = ["deposed.named", "deposed.unnamed"];
const settles = new Set([...wins, ...voids, ...losses, ...depositions]);

const proposals = ({ actions }: Step) => actions.filter((action) => /^(propose|leave$)/.test(action));
const taken = graph.steps.filter(({ isTaken }) => isTaken);

test("every state and event is visited", (t) => {
  checkSound(t, graph);
});

test("a disk error ends the server from everywhere (rule 14)", (t) => {
  for (const { before, from, event, to, actions } of graph.steps)
    if (event === "disk.failed" && before.status === "active")
      t.deepEqual([to, actions.at(-1)], ["failed", "fail"], from);
});

test("the final states are the three ways to end, and each says which it is, last", (t) => {
  const ends = new Map([
    ["restarting", "restart"],
    ["stopped", "exit"],
    ["failed", "fail"],
  ]);
  const final = graph.states.filter((state) => state.status === "done").map(stateName);
  t.deepEqual(final.toSorted(), [...ends.keys()].toSorted());
  for (const { to, actions, event } of taken) {
    const word = ends.get(to);
    if (word !== undefined) t.is(actions.at(-1), word, event);
    for (const other of ends.values()) if (other !== word) t.false(actions.includes(other), `${event} to ${to}`);
  }
});

test("only a won compare-and-set makes a server hot, and it was open (rule 1)", (t) => {
  for (const { before, after, from, event, actions } of taken) {
    const becomes = !before.hasTag("hot") && after.hasTag("hot");
    t.is(actions.includes("becomeHot"), becomes, `${from} ${event}`);
    if (!becomes) continue;
    t.true(wins.includes(event), `${from} ${event}`);
    t.true(before.hasTag("asking"), from);
  }
});

test("no word of the registry leaves a server asking for ever: each that can come is taken where a question is open (rule 3)", (t) => {
  for (const { before, from, event, isTaken } of graph.steps) {
    if (!before.hasTag("asking")) continue;
    const canCome = before.hasTag("hot") ? [...voids, ...depositions] : before.hasTag("fenced") ? losses : [];
    if (canCome.includes(event)) t.true(isTaken, `${from} ${event}`);
  }
});

test("a hot server is alone where that is put back, and is not where it is not, whatever it asks for or is about to (situation 142)", (t) => {
  for (const { before, from, event, isTaken } of graph.steps) {
    if (!before.hasTag("hot")) continue;
    if (event === "cas.void.alone") t.true(isTaken || from === "hot.alone", from);
    const isNormal = from === "hot.normal" || from === "hot.switching";
    if (event === "cas.void.normal") t.is(isTaken, !isNormal, from);
  }
});

test("on every path becomeHot and becomeCold take turns, follow and unfollow too, and nothing is hot while it follows", (t) => {
  walkPaths(t, lifecycleMachine, { hot: false, follows: false }, (fact, { actions, after }) => {
    const now = { ...fact };
    for (const action of actions) {
      if (action === "becomeHot" && now.hot) return "hot twice";
      if (action === "becomeCold" && !now.hot) return "cold twice";
      if (action === "follow" && now.follows) return "follows twice";
      if (action === "unfollow" && !now.follows) return "unfollows twice";
      if (action === "becomeHot" || action === "becomeCold") now.hot = action === "becomeHot";
      if (action === "follow" || action === "unfollow") now.follows = action === "follow";
      if (now.hot && now.follows) return "hot and follows";
    }
    if (now.hot !== after.hasTag("hot")) return "the tag hot is wrong";
    if (now.follows !== after.hasTag("following")) return "the tag following is wrong";
    return { fact: now };
  });
  t.pass();
});

test("on every path one compare-and-set is open at a time, and only its settlement or the server's end closes it (rule 3)", (t) => {
  walkPaths(t, lifecycleMachine, false, (isOpen, step) => {
    const proposed = proposals(step).length;
    const isTold = step.from === "following.unsettled" && step.event.startsWith("record.");
    const isClosed = settles.has(step.event) || step.event === "disk.failed" || isTold;
    if (proposed > 1) return "two proposals in one step";
    if (proposed === 1 && isOpen && !isClosed) return "a proposal while another is open";
    const isKept = step.event === "handover.unsettled";
    if (isOpen && step.isTaken && !isClosed && !isKept) return "an open compare-and-set was forgotten";
    const now = proposed === 1 || (isOpen && !(step.isTaken && isClosed));
    if (now !== step.after.hasTag("asking")) return "the tag asking is wrong";
    return { fact: now };
  });
  t.pass();
});

test("every open compare-and-set can be won in one way, and lost both with and without being named", (t) => {
  for (const state of graph.states.filter((state) => state.hasTag("asking"))) {
    const name = stateName(state);
    const known = new Set(taken.filter(({ before }) => before === state).map(({ event }) => event));
    // Alone or not, as it was.
    if (name === "hot.pausing") {
      t.is(wins.filter((event) => known.has(event)).length, 2, name);
      continue;
    }
    if (name === "following.unsettled") {
      // Won late, taken back, or another's record, which it follows.
      for (const event of ["cas.won.normal", "cas.won.unchanged", "record.named", "record.dropped"])
        t.true(known.has(event), `${name} ${event}`);
      continue;
    }
    t.is(wins.filter((event) => known.has(event)).length, 1, name);
    for (const loss of state.hasTag("hot") ? depositions : losses) t.true(known.has(loss), `${name} ${loss}`);
  }
});

test("on every path, what leaves a server alone was proposed after everything was synced behind a fence (rule 2)", (t) => {
  const leavesAlone = new Set(["claiming.asking", "renewing.asking", "candidate.asking", "hot.fencing.asking"]);
  walkPaths(t, lifecycleMachine, "" as "" | "syncing" | "synced", (fact, step) => {
    const { event, actions, before, to, isTaken, from } = step;
    let now = fact;
    if (isTaken && event === "disk.synced") now = fact === "syncing" && before.hasTag("fenced") ? "synced" : "";
    else if (isTaken) now = "";
    if (actions.includes("syncAll")) now = "syncing";
    if (proposals(step).length > 0 && leavesAlone.has(to) && now !== "synced") return "asks to be alone unsynced";
    const isRebase = from === "hot.rebasing" || from === "hot.pausing";
    if (isTaken && event === "cas.won.alone" && !isRebase && !leavesAlone.has(from)) return "won to be alone unsynced";
    return { fact: now };
  });
  t.pass();
});

test("what is won is what the server then is: alone, or one of two and more", (t) => {
  for (const { from, event, to } of taken) {
    if (/^cas\.(won|void)\.alone$/.test(event)) t.is(to, "hot.alone", from);
    if (/^cas\.(won|void)\.normal$/.test(event)) t.is(to, "hot.normal", from);
  }
});

test("while it syncs before a proposal, another's record turns it away: it never builds on what it has not judged", (t) => {
  for (const state of graph.states.filter((state) => stateName(state).endsWith(".syncing"))) {
    const away = state.hasTag("hot") ? depositions : losses;
    for (const event of away) {
      const step = taken.find(({ before, event: name }) => before === state && name === event);
      t.not(step, undefined, `${stateName(state)} ${event}`);
      t.is(step?.after.hasTag("asking"), false, `${stateName(state)} ${event}`);
    }
  }
});

test("a fence stands only where a server syncs, asks or has ended; while hot only until it is synced", (t) => {
  const fenced = graph.states.filter((state) => state.hasTag("fenced"));
  t.deepEqual(fenced.filter((state) => state.hasTag("hot")).map(stateName), ["hot.fencing.syncing"]);
  t.deepEqual(fenced.filter((state) => state.hasTag("following")).map(stateName), []);
});

test("a fence that was not followed by a proposal can be lifted, in both roles (rule 2)", (t) => {
  for (const [from, event, to] of [
    ["hot.fencing.syncing", "backup.returned", "hot.normal"],
    ["candidate.syncing", "primary.returned", "following.warm"],
  ]) {
    const step = taken.find((each) => each.from === from && each.event === event);
    t.is(step?.to, to);
  }
});

test("deposed: named it follows with its memory, not named it syncs and starts again (rule 7)", (t) => {
  for (const { before, event, to, actions } of taken) {
    if (!before.hasTag("hot")) continue;
    if (event === "deposed.named") t.deepEqual([to, actions], ["following.warm", ["becomeCold", "follow"]]);
    if (event === "deposed.unnamed") t.deepEqual([to, actions], ["deposed", ["becomeCold", "syncAll"]]);
  }
  for (const state of graph.states.filter((state) => state.hasTag("hot")))
    for (const event of depositions) t.true(state.can({ type: event } as never), `${stateName(state)} ${event}`);
  const deposed = taken.filter(({ from }) => from === "deposed").map(({ event, to }) => [event, to]);
  t.deepEqual(deposed.toSorted(), [
    ["disk.failed", "failed"],
    ["disk.synced", "restarting"],
  ]);
});

test("a server exits on purpose only where it may: alone, following, or no member (clean stop)", (t) => {
  const allowed = taken.filter(({ event }) => event === "exit.allowed");
  t.true(allowed.every(({ to }) => to === "stopped"));
  t.deepEqual(
    allowed.filter(({ before }) => before.hasTag("asking")).map(({ from }) => from),
    [],
  );
  t.deepEqual(
    allowed.filter(({ before }) => before.hasTag("hot")).map(({ from }) => from),
    ["hot.alone"],
  );
});

test("the start table is asked wherever a server is no member, and every verdict has its state", (t) => {
  const verdicts = {
    "verdict.refuse": "refusing",
    "verdict.wait": "waiting",
    "verdict.claim": "claiming.syncing",
    "verdict.newHistory": "renewing.syncing",
    "verdict.join": "following.joining",
    "verdict.member": "following.warm",
  };
  for (const from of ["consulting", "waiting", "refusing"])
    for (const [event, to] of Object.entries(verdicts))
      t.is(graph.steps.find((step) => step.from === from && step.event === event)?.to, to, `${from} ${event}`);
  for (const { to, event, from } of taken)
    if (to === "consulting")
      t.true(["recovering", "claiming", "renewing", "following", "leaving"].includes(from.split(".")[0] ?? ""), event);
});

test("a planned switch has no degraded moment: intake is held, and both sides end normal or where they were", (t) => {
  const switching = graph.states.filter((state) => state.hasTag("held")).map(stateName);
  t.deepEqual(switching, ["hot.switching"]);
  const outcomes = taken.filter(({ from }) => from === "hot.switching").map(({ event, to }) => [event, to]);
  t.deepEqual(outcomes.toSorted(), [
    ["backup.lost.alone", "hot.fencing.syncing"],
    ["backup.lost.others", "hot.removing"],
    // An operator put back that it is.
    ["cas.void.alone", "hot.alone"],
    ["deposed.named", "following.warm"],
    ["deposed.unnamed", "deposed"],
    ["disk.failed", "failed"],
    ["switch.failed", "hot.normal"],
  ]);
});

test("a story: a takeover, alone, the old primary joins, and the roles are switched back", (t) => {
  const story = [
    ["store.recovered", "consulting", "consult"],
    ["verdict.join", "following.joining", "follow"],
    ["record.named", "following.warm", ""],
    ["primary.lost.alone", "candidate.syncing", "unfollow syncAll"],
    ["disk.synced", "candidate.asking", "proposeTakeover"],
    ["cas.won.alone", "hot.alone", "becomeHot"],
    ["joiner.ready", "hot.adding", "proposeAddition"],
    ["cas.won.normal", "hot.normal", ""],
    ["switch.requested", "hot.switching", "offerHandover"],
    ["deposed.named", "following.warm", "becomeCold follow"],
    ["exit.allowed", "stopped", "unfollow exit"],
  ] as const;
  let server = startingLifecycle;
  for (const [type, name, said] of story) {
    const [next, actions] = lifecycleStep(server, { type });
    t.deepEqual([stateName(next), actions.join(" ")], [name, said], type);
    server = next;
  }
});
