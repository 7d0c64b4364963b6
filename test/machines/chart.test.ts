/**
 * Charts show what decides: every transition once, those without an event too.
 */
import test from "ava";
import { setup, stateIn } from "xstate";
import { type ChartEdge, type ChartState, chartMermaid, chartText, readChart } from "../../machines/chart.ts";
import { machines } from "../../machines/charts.ts";
import { leavesOf, walk } from "./explore.ts";

const say = () => {};

/** One of each kind of thing that a definition can hold. */
const door = setup({
  types: { events: {} as { type: "push" | "lock" | "fire" | "turn" } },
  actions: { creak: say, ring: say, click: say },
  guards: { isLocked: stateIn({ bolt: "out" }) },
}).createMachine({
  id: "door",
  type: "parallel",
  on: { fire: { actions: "ring" } },
  states: {
    leaf: {
      initial: "closed",
      states: {
        closed: { tags: ["safe"], on: { push: { target: "open", actions: ["creak"] } } },
        open: {
          entry: "click",
          always: { guard: "isLocked", target: "broken" },
          on: { push: "closed", turn: "closed" },
        },
        broken: { type: "final" },
      },
    },
    bolt: {
      initial: "in",
      states: { in: { on: { lock: "out" } }, out: { on: { lock: { target: "out", reenter: true } } } },
    },
  },
});

test("a machine as text", (t) => {
  t.is(
    chartText(door),
    [
      "door  (regions run side by side)",
      "  · fire / ring (stays)",
      "  leaf  (starts in closed)",
      "    closed  (tags safe)",
      "      · push / creak → leaf.open",
      "    open  (entry click)",
      "      · push → leaf.closed",
      "      · turn → leaf.closed",
      "      · always [isLocked] → leaf.broken",
      "    broken  (final)",
      "  bolt  (starts in in)",
      "    in",
      "      · lock → bolt.out",
      "    out",
      "      · lock → bolt.out again",
      "",
    ].join("\n"),
  );
});

test("a machine as Mermaid", (t) => {
  t.is(
    chartMermaid(door),
    [
      "stateDiagram-v2",
      '  state "leaf" as s_leaf {',
      "    [*] --> s_leaf_closed",
      '    state "closed" as s_leaf_closed',
      '    state "open" as s_leaf_open',
      '    state "broken" as s_leaf_broken',
      "    s_leaf_broken --> [*]",
      "  }",
      '  state "bolt" as s_bolt {',
      "    [*] --> s_bolt_in",
      '    state "in" as s_bolt_in',
      '    state "out" as s_bolt_out',
      "  }",
      '  state "any state" as any_state',
      "  any_state --> any_state : fire / ring",
      "  s_leaf_closed --> s_leaf_open : push / creak",
      "  s_leaf_open --> s_leaf_closed : push<br/>turn",
      "  s_leaf_open --> s_leaf_broken : always [isLocked]",
      "  s_bolt_in --> s_bolt_out : lock",
      "  s_bolt_out --> s_bolt_out : lock",
      "",
    ].join("\n"),
  );
});

function flatten(state: ChartState): { states: ChartState[]; edges: ChartEdge[] } {
  const inner = state.states.map(flatten);
  return {
    states: [state, ...inner.flatMap(({ states }) => states)],
    edges: [...state.edges, ...inner.flatMap(({ edges }) => edges)],
  };
}

for (const [name, { machine }] of Object.entries(machines)) {
  test(`${name}: every state is drawn, and every step that can be taken is an arrow`, (t) => {
    const { states, edges } = flatten(readChart(machine));
    const drawn = new Set(states.map(({ path }) => path));
    for (const leaf of leavesOf(machine)) t.true(drawn.has(leaf), leaf);
    for (const { isTaken, event, from } of walk(machine).steps) {
      if (!isTaken) continue;
      const paths = from.split(", ");
      const isDrawn = edges.some(
        (edge) =>
          edge.event === event && (edge.from === "" || paths.some((path) => `${path}.`.startsWith(`${edge.from}.`))),
      );
      t.true(isDrawn, `${from} ${event}`);
    }
  });
}

test("the link's conclusions, which have no event, are drawn", (t) => {
  const source = chartMermaid(machines.link?.machine ?? door);
  t.true(source.includes("s_peer_main --> s_peer_failsafe : always [isFailsafeOnly]"));
});
