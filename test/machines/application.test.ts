/** The application process, state by state: when it is hot, when warm, and what it does on the way (claims 15, 16). */
import test from "ava";
import {
  type ApplicationEvent,
  applicationMachine,
  applicationStep,
  loadingApplication,
} from "../../machines/application.ts";
import { stateName } from "../../machines/step.ts";
import { checkSound, walk, walkPaths } from "./explore.ts";

test("every state and event is visited", (t) => {
  const graph = walk(applicationMachine);
  checkSound(t, graph);
  t.is(graph.states.length, 4);
});

test("on every path it is hot only with a loaded state, takes requests each time that it gets hot, and abandons them each time that it was", (t) => {
  const start = { isLoaded: false, isLoadDue: true, isTaking: false };
  walkPaths(t, applicationMachine, start, (fact, { event, to, actions }) => {
    const next = { ...fact };
    if (event === "state.outdated" || to === "loading") next.isLoaded = false;
    if (event === "state.loaded" && fact.isLoadDue) Object.assign(next, { isLoaded: true, isLoadDue: false });
    for (const action of actions) {
      if (action === "loadState") next.isLoadDue = true;
      if (action === "takeRequests") {
        if (next.isTaking) return "requests are taken twice";
        next.isTaking = true;
      }
      if (action === "abandonHandlers") {
        if (!next.isTaking) return "handlers are abandoned that were never begun";
        next.isTaking = false;
      }
    }
    if (to === "stopped") return next.isTaking ? "it stopped with handlers running" : { fact: start };
    if ((to === "hot" || to === "warm") && !next.isLoaded) return `${to} without the state`;
    if (to === "loading" && !next.isLoadDue) return "loading, but nobody loads";
    if (next.isTaking !== (to === "hot")) return "requests are taken when hot, and only then";
    return { fact: next };
  });
  t.pass();
});

test("a story: warm, hot at once on a takeover, deposed with what was never committed, warm again", (t) => {
  let snapshot = loadingApplication;
  const story: [ApplicationEvent["type"], string, string[]][] = [
    ["role.hot", "loading", []],
    ["state.loaded", "warm", []],
    ["role.hot", "hot", ["takeRequests"]],
    ["role.cold", "warm", ["abandonHandlers"]],
    ["state.outdated", "loading", ["loadState"]],
    ["state.loaded", "warm", []],
    ["role.hot", "hot", ["takeRequests"]],
    ["state.outdated", "loading", ["abandonHandlers", "loadState"]],
    ["state.outdated", "loading", ["loadState"]],
    ["stop", "stopped", []],
  ];
  for (const [type, state, said] of story) {
    const [next, actions] = applicationStep(snapshot, { type });
    t.deepEqual([stateName(next), [...actions]], [state, said], type);
    snapshot = next;
  }
});
