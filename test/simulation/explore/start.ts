/**
 * Where an exploration begins: all servers in normal mode with nothing under way, and then what the bounds say has happened
 * before. What always holds: it is the same state each time.
 */
import { ordinary } from "./choices.ts";
import type { Scope } from "./scope.ts";
import { SmallWorld } from "./world.ts";

const maxRounds = 100;

export function startOf(scope: Scope): SmallWorld {
  const world = new SmallWorld(scope);
  settle(world);
  if (!world.isNormal) throw new Error("the small world does not come to normal mode");
  world.forgetMessages();
  for (const event of scope.bounds.after) happen(world, event);
  world.beginCounting();
  return world;
}

function happen(world: SmallWorld, event: string): void {
  const [what, to = "", type] = event.split(" ");
  if (what === "settle") settle(world);
  else if (what === "give") {
    const { heartbeats, messages } = world.mailboxOf(to);
    for (const sent of [...heartbeats, ...messages])
      if (sent.message.type === type) world.take(`deliver ${to} ${sent.id}`);
  } else world.take(event);
}

/**
 * Whatever is ordinary happens, in rounds, until a round changes nothing. `isEnough`: asked before each round, with the state
 * that the world is in.
 */
export function settle(world: SmallWorld, isEnough: (facts: string) => boolean = () => false): void {
  let before = "";
  for (let round = 0; ; round += 1) {
    const facts = String(world.facts);
    if (facts === before || isEnough(facts)) return;
    if (round > maxRounds) throw new Error("there is no end of what is ordinary");
    before = facts;
    for (const choice of ordinary(world))
      if (ordinary(world).includes(choice) && !isOfTheDead(choice, world)) world.take(choice);
  }
}

/** Of a server that is down: a message may come again and again, and would bring its sender back for a moment each time. */
function isOfTheDead(choice: string, world: SmallWorld): boolean {
  const [what, which = "", id] = choice.split(" ");
  if (what === "land") {
    const { by, incarnation } = world.registry.byName(which);
    return world.server(by).replica?.self !== incarnation;
  }
  if (what !== "hear" && what !== "deliver") return false;
  return world.server(world.letter(Number(id)).from).replica === null;
}
