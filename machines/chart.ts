/**
 * A machine as a picture: read from XState's own definition, so that what is drawn is what decides. What always holds: every
 * transition of the definition is drawn once, those without an event (`always`) too, each where it is declared; nothing
 * here knows a machine by name. The Mermaid text is a state diagram; regions that run side by side stand beside each other.
 */
import type { AnyStateMachine } from "xstate";

type Node = AnyStateMachine["root"];
type Transition = Node["always"] extends readonly (infer Each)[] | undefined ? Each : never;

export interface ChartState {
  /** The path from the machine's root, with dots; empty for the root. */
  readonly path: string;
  readonly name: string;
  readonly kind: "atomic" | "compound" | "parallel" | "final";
  /** Path of the state that it starts in. */
  readonly initial: string | undefined;
  readonly tags: readonly string[];
  readonly entry: readonly string[];
  readonly exit: readonly string[];
  readonly states: readonly ChartState[];
  readonly edges: readonly ChartEdge[];
}

export interface ChartEdge {
  readonly from: string;
  /** Path of the target; of the state itself where the transition only acts. */
  readonly to: string;
  /** Empty: taken as soon as the guard holds. */
  readonly event: string;
  readonly guard: string;
  readonly actions: readonly string[];
  /** Leaves the state and enters it again, with its exit and entry actions. */
  readonly reenters: boolean;
}

export function readChart(machine: AnyStateMachine): ChartState {
  return readState(machine.root, machine.id);
}

function readState(node: Node, name: string): ChartState {
  const path = node.path.join(".");
  const [initial] = node.type === "compound" ? (node.initial.target ?? []) : [];
  const byEvent = [...node.transitions.values()].flat();
  return {
    path,
    name,
    kind: node.type === "history" ? "atomic" : node.type,
    initial: initial?.path.join("."),
    tags: node.tags,
    entry: node.entry.map(nameOf),
    exit: node.exit.map(nameOf),
    states: Object.values(node.states).map((child) => readState(child, child.key)),
    edges: [...byEvent, ...(node.always ?? [])].map((transition) => readEdge(path, transition)),
  };
}

function readEdge(from: string, transition: Transition): ChartEdge {
  const [target] = transition.target ?? [];
  return {
    from,
    to: target === undefined ? from : target.path.join("."),
    event: transition.eventType,
    guard: transition.guard === undefined ? "" : nameOf(transition.guard),
    actions: transition.actions.map(nameOf),
    reenters: transition.reenter,
  };
}

/** Actions and guards are strings, objects with a type, or functions that were given no name in `setup`. */
function nameOf(part: unknown): string {
  if (typeof part === "string") return part;
  if (typeof part === "function") return part.name;
  return (part as { type?: string }).type ?? "";
}

/** `event [guard] / action, action`. */
function labelOf({ event, guard, actions }: ChartEdge): string {
  const when = event === "" ? "always" : event;
  return `${when}${guard === "" ? "" : ` [${guard}]`}${actions.length === 0 ? "" : ` / ${actions.join(", ")}`}`;
}

/** Lines for a terminal: each state with what it says, and its ways out below it. */
export function chartText(machine: AnyStateMachine): string {
  const lines: string[] = [];
  const visit = (state: ChartState, depth: number): void => {
    const indent = "  ".repeat(depth);
    const facts = [
      state.kind === "parallel" ? "regions run side by side" : "",
      state.kind === "final" ? "final" : "",
      state.initial === undefined ? "" : `starts in ${lastName(state.initial)}`,
      state.tags.length === 0 ? "" : `tags ${state.tags.join(", ")}`,
      state.entry.length === 0 ? "" : `entry ${state.entry.join(", ")}`,
      state.exit.length === 0 ? "" : `exit ${state.exit.join(", ")}`,
    ].filter((fact) => fact !== "");
    lines.push(`${indent}${state.name}${facts.length === 0 ? "" : `  (${facts.join("; ")})`}`);
    for (const edge of state.edges) {
      const way = edge.to !== edge.from ? ` → ${edge.to}` : edge.reenters ? ` → ${edge.to} again` : " (stays)";
      lines.push(`${indent}  · ${labelOf(edge)}${way}`);
    }
    for (const child of state.states) visit(child, depth + 1);
  };
  visit(readChart(machine), 0);
  return `${lines.join("\n")}\n`;
}

const lastName = (path: string): string => path.split(".").at(-1) ?? path;

/** A Mermaid state diagram. Ways between the same two states share one arrow. */
export function chartMermaid(machine: AnyStateMachine): string {
  const root = readChart(machine);
  const lines = ["stateDiagram-v2"];
  const edges: ChartEdge[] = [];
  const visit = (state: ChartState, depth: number): void => {
    const indent = "  ".repeat(depth);
    edges.push(...state.edges);
    if (state.states.length === 0) {
      lines.push(`${indent}state ${JSON.stringify(state.name)} as ${idOf(state.path)}`);
      if (state.kind === "final") lines.push(`${indent}${idOf(state.path)} --> [*]`);
      return;
    }
    if (state !== root) lines.push(`${indent}state ${JSON.stringify(state.name)} as ${idOf(state.path)} {`);
    const inner = state === root ? depth : depth + 1;
    if (state.initial !== undefined) lines.push(`${"  ".repeat(inner)}[*] --> ${idOf(state.initial)}`);
    for (const child of state.states) visit(child, inner);
    if (state !== root) lines.push(`${indent}}`);
  };
  visit(root, 1);
  const arrows = new Map<string, string[]>();
  for (const edge of edges) {
    const arrow = `${idOf(edge.from)} --> ${idOf(edge.to)}`;
    arrows.set(arrow, [...(arrows.get(arrow) ?? []), labelOf(edge)]);
  }
  if (root.edges.length > 0) lines.push(`  state "any state" as ${idOf("")}`);
  for (const [arrow, labels] of arrows) lines.push(`  ${arrow} : ${labels.join("<br/>")}`);
  return `${lines.join("\n")}\n`;
}

/** Mermaid's ids may not hold dots, and some words are its own. */
function idOf(path: string): string {
  return path === "" ? "any_state" : `s_${path.replaceAll(/[^A-Za-z0-9]/g, "_")}`;
}
