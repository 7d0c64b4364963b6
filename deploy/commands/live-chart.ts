/**
 * `twinlog chart --live`: one machine of each server as it is now, the present state marked, with the ways out of it. What always
 * holds: it is drawn from the definition that decides and from the servers' own words; on a terminal it is painted in place,
 * elsewhere once for each change, without control sequences.
 */
import type { Bus } from "../../actors/world/ports.ts";
import { type ChartState, readChart } from "../../machines/chart.ts";
import { machines } from "../../machines/charts.ts";
import { ServerStatus } from "../../schemas/status.ts";
import { subjects } from "../../schemas/subjects.ts";
import { activeIn } from "../console/view.ts";
import { clearScreen } from "../plain-text.ts";
import { allowed, readJson } from "./ask.ts";
import { StatusGathering } from "./service-status.ts";
import type { CommandWorld } from "./world.ts";

export interface LiveChart {
  readonly service: string;
  /** By the name in `machines`. */
  readonly machine: string;
  /** One server alone; undefined: each that speaks. */
  readonly server: string | undefined;
}

/** How often it looks: servers speak four times a second by default. */
const lookMs = 100;
/** A look that comes so late judges nobody: this process was held up, and has not heard what was said meanwhile. */
const heldUpMs = 3 * lookMs;
const usualColumns = 100;

/** Until it is stopped. Throws CommandError where the broker forbids to listen. */
export async function showLiveChart(world: CommandWorld, bus: Bus, shown: LiveChart): Promise<void> {
  const { clock, stopped, terminal } = world;
  const gathering = new StatusGathering();
  const subscription = bus.subscribe(subjects.statuses(shown.service), ({ data }) => {
    const status = ServerStatus.safeParse(readJson(data)).data;
    if (status !== undefined) gathering.onStatus(status, clock.nowMs());
  });
  let painted = "";
  let lookedMs = clock.nowMs();
  try {
    while (!stopped.aborted) {
      const nowMs = clock.nowMs();
      const wasHeldUp = nowMs - lookedMs > heldUpMs;
      lookedMs = nowMs;
      const { servers } = gathering.conclude(shown.service, nowMs);
      const text = wasHeldUp ? painted : liveText(servers, shown, terminal?.columns ?? usualColumns);
      if (text !== painted) await world.out(terminal === null ? `${text}\n` : `${clearScreen}${text}`);
      painted = text;
      await allowed(bus, clock, lookMs, stopped);
    }
  } finally {
    subscription.stop();
  }
}

function liveText(servers: readonly ServerStatus[], { service, machine, server }: LiveChart, columns: number): string {
  const parts = servers
    .filter(({ name }) => server === undefined || name === server)
    .flatMap((status) => statesOf(status, machine).map((one) => chartNow(status.name, one, machine, columns)));
  if (parts.length > 0) return parts.join("\n");
  const nobody = server === undefined ? `no server of ${service} speaks` : `${server} does not speak`;
  return `${filled("", `${nobody} (goes on looking, until Ctrl-C)`.split(" "), columns).join("\n").trim()}\n`;
}

interface Present {
  /** To whom, of link and mirror; else empty. */
  readonly peer: string;
  readonly state: string;
  readonly why: string;
}

function statesOf({ state, why, application, machines: all }: ServerStatus, machine: string): Present[] {
  const toPeers = (told: readonly { readonly peer: string; readonly state: string }[] = []) =>
    told.map((one) => ({ peer: one.peer, state: one.state, why: "" }));
  switch (machine) {
    case "lifecycle":
      return [{ peer: "", state, why }];
    case "application":
      return [{ peer: "", state: all?.application ?? application, why: "" }];
    case "checkpoint":
      return all === undefined ? [] : [{ peer: "", state: all.checkpoint, why: "" }];
    case "link":
      return toPeers(all?.links);
    default:
      return toPeers(all?.mirrors);
  }
}

/** A line for each state of the machine, with those in it; `▶` stands before each that is active. */
function chartNow(server: string, { peer, state, why }: Present, machine: string, columns: number): string {
  const known = machines[machine];
  if (known === undefined) return "";
  const root = readChart(known.machine);
  const active = new Set(activeIn(state));
  const title = `${machine} of ${server}${peer === "" ? "" : ` to ${peer}`}: ${state}${why === "" ? "" : ` (${why})`}`;
  const width = Math.max(...root.states.map(({ name }) => name.length)) + 2;
  const lines = root.states.flatMap((one) => {
    const words = one.states.flatMap((inner) => wordsOf(inner, active));
    return filled(`${marked(one, active)}`.padEnd(width), words, columns);
  });
  const ways = nodesOf(root)
    .filter(({ path }) => path === "" || active.has(path))
    .flatMap(({ edges }) => edges)
    .map(({ event, to }) => `  · ${event === "" ? "always" : event} → ${to}`);
  const out = ways.length === 0 ? ["no way out"] : ["ways out:", ...new Set(ways)];
  const [first = "", ...rest] = title.split(" ");
  return `${[...filled(first, rest, columns), ...lines, ...out].join("\n")}\n`;
}

const marked = ({ path, name }: ChartState, active: ReadonlySet<string>): string =>
  `${active.has(path) ? "▶" : " "}${name}`;

/** With what is in it, in brackets. */
function wordsOf(state: ChartState, active: ReadonlySet<string>): string[] {
  const inner = state.states.flatMap((one) => wordsOf(one, active));
  return [inner.length === 0 ? marked(state, active) : `${marked(state, active)} (${inner.join(" ")} )`];
}

const nodesOf = (state: ChartState): ChartState[] => [state, ...state.states.flatMap(nodesOf)];

/** Between words; what follows stands below the first. */
function filled(head: string, words: readonly string[], columns: number): string[] {
  const lines: string[] = [];
  let line = head;
  for (const word of words) {
    if (line.length + 1 + word.length > columns && line.trim() !== "") {
      lines.push(line);
      line = " ".repeat(head.length);
    }
    line = `${line} ${word}`;
  }
  return [...lines, line].map((each) => each.trimEnd());
}
