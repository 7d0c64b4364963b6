/** The path to a state of the small world in the product's words, to be read without the code. */
import type { PeerMessage } from "../../../schemas/peer-message.ts";
import type { RegistryRecord } from "../../../schemas/registry.ts";
import type { SmallWorld } from "./world.ts";

/** What happened, one line a choice; what a server became by it is told after it. */
export function inWords(start: SmallWorld, choices: readonly string[]): string[] {
  const lines: string[] = [];
  let world = start;
  for (const choice of choices) {
    const then = world.clone();
    const text = words(choice, world);
    let isEnd = "";
    try {
      then.take(choice);
    } catch (error) {
      isEnd = `: ${(error as Error).message}`;
    }
    lines.push(`${text}${isEnd}${changes(world, then)}`);
    world = then;
  }
  return lines;
}

/** States that are different afterwards. */
function changes(before: SmallWorld, after: SmallWorld): string {
  const changed: string[] = [];
  for (const { name, replica } of after.servers) {
    const old = before.server(name).replica;
    if (replica !== null && replica.state !== old?.state) changed.push(`${name} is ${replica.state}`);
  }
  return changed.length === 0 ? "" : ` (${changed.join(", ")})`;
}

function words(choice: string, world: SmallWorld): string {
  const [what = "", which = "", more = ""] = choice.split(" ");
  switch (what) {
    case "land":
      return `the registry takes ${question(world.registry.byName(which))}`;
    case "answer":
      return `${world.registry.byName(which).by} is told that its question was ${world.registry.byName(which).answer?.outcome}`;
    case "timeout":
      return `the answer to ${question(world.registry.byName(which))} does not come in time`;
    case "hear":
      return `${which} hears ${world.letter(Number(more)).from}${heard(world.letter(Number(more)).message)}`;
    case "deliver": {
      const { from, message } = world.letter(Number(more));
      return `${which} gets from ${from}: ${said(message)}`;
    }
    case "look":
      return `${which} looks at what is due`;
    case "disk": {
      const [job] = world.server(which).jobs;
      return `${which}'s disk: ${Object.values(job ?? {}).join(" ")}`;
    }
    case "read":
      return `${which} reads epoch ${world.registry.at(Number(more)).epoch} in the registry`;
    case "poll":
    case "reread":
      return `${which} asks what the registry says`;
    case "miss":
      return `${which} learns from the kernel and NATS that nobody is there at ${more}`;
    case "snapshot":
      return `${which} takes a snapshot`;
    case "resend":
      return `request ${more} comes again, to ${which}`;
    case "request":
    case "query":
      return `a ${what} comes to ${which}`;
    case "switch":
      return `an operator asks ${which} to hand its role over`;
    case "late":
      return `for ${which} the switch takes too long`;
    case "stop":
      return `${which} is told to stop`;
    case "silence":
      return `${which} hears ${more === "" ? "nobody" : `nothing of ${more}`} for longer than the suspicion time`;
    case "crash":
      return `${which} crashes${more === "late" ? ", when its log was just written" : " and loses what is not on its disk"}`;
    case "fail":
      return `${which}'s disk fails`;
    case "start":
      return `${which} starts again`;
    default:
      return choice;
  }
}

function question({ by, record }: { by: string; record: RegistryRecord }): string {
  const members = record.inSync.map(({ incarnation }) => incarnation).join(" and ");
  return `${by}'s compare-and-set to epoch ${record.epoch} (${members}, primary ${record.primary.incarnation})`;
}

function said(message: PeerMessage): string {
  switch (message.type) {
    case "mirror":
      return message.last < message.first
        ? `no new records, ${message.committed} are committed, probe ${message.probe}`
        : `records ${message.first} to ${message.last} of epoch ${message.epoch}, ${message.committed} are committed`;
    case "confirm":
      return `it holds ${message.sequence} records in epoch ${message.epoch}${message.gap ? ", with a gap" : ""}, probe ${message.probe}`;
    case "accept":
      return `yes, from record ${message.sequence} on (${message.session})`;
    case "follow":
      return `wants to follow, has ${message.last} records (${message.session})`;
    case "decline":
      return `no: ${message.reason}`;
    case "handover":
      return `take the role, at record ${message.sequence}`;
    default:
      return message.type;
  }
}

function heard(message: PeerMessage): string {
  if (message.type !== "heartbeat") return "";
  const { incarnation, hot, epochSeen, stopping } = message;
  return ` (${incarnation}, has seen epoch ${epochSeen}${hot ? ", hot" : ""}${stopping ? ", stopping" : ""})`;
}
