/**
 * Plays a script on the stage and writes down what the replicas wanted done. A script is blocks: commands, a line `----`, what came of
 * them, an empty line; `#` begins a comment. What always holds: what replicas want done is told, but for heartbeats, messages that
 * say nothing new, reads, and what the disk is asked beside `syncs`; a script that is played again comes out the same.
 *
 *   stage NAMES… / normal NAMES…   a new stage; `normal`: all are started and in sync. A word `baseMs=500` is a limit
 *   start, kill, gone, stop NAME   a life begins; the process dies unheard; the others are told that nobody is there; a clean stop
 *   switch NAME                    an operator asks the primary to hand over
 *   do NAME ID [slow]              client `c` asks; a slow handler ends with `finish NAME ID`
 *   tick N                         so many heartbeats' time passes
 *   cut A>B [LINK], heal           what A sends to B is lost; nothing is lost any more
 *   bus NAME on|off                the server has NATS, or not
 *   hold NAME KIND, release …      what the replica wants done of this kind waits (KIND: a type of the outbox)
 *   lose NAME                      the compare-and-set that it waits with is answered "lost"
 *   states, registry, logs         everybody's state; the registry's record; how far each log is and whether all are the same
 *   waits NAME                     what it says that it waits for
 */

import type { Outbox } from "../../machines/replica/outbox.ts";
import type { PeerMessage } from "../../schemas/peer-message.ts";
import { limits, Stage } from "./stage.ts";
import { describeRecord } from "./staged-server.ts";

const rule = "----";

/** The script as it reads when it is played now. */
export function play(script: string): string {
  const player = new Player();
  return script
    .trim()
    .split(/\n{2,}/)
    .map((block) => player.play(block))
    .join("\n\n")
    .concat("\n");
}

class Player {
  #stage = new Stage();
  /** What mirrors and confirms said in the course of this command. */
  readonly #told = new Map<string, string>();

  play(block: string): string {
    const [commands = ""] = block.split(`\n${rule}`);
    const lines = commands.split("\n");
    const isComment = (line: string) => line.startsWith("#");
    if (lines.every(isComment)) return commands;
    const came = lines.filter((line) => !isComment(line)).flatMap((line) => this.#come(line));
    return [...lines, rule, ...(came.length > 0 ? came : ["nothing"])].join("\n");
  }

  /** What comes of one command. */
  #come(line: string): string[] {
    this.#told.clear();
    const shown = this.#perform(line.split(" "), line);
    const answers = this.#stage.given.splice(0).map(({ server, text, duplicate }) => {
      const { id, ok, error, sequence } = JSON.parse(text);
      return `${server} answers ${id}: ${ok ? `ok at ${sequence}` : error.code}${duplicate ? " again" : ""}`;
    });
    return [...this.#stage.take(), ...answers, ...shown];
  }

  #perform([command = "", ...words]: string[], line: string): string[] {
    const stage = this.#stage;
    const [name = "", word = ""] = words;
    switch (command) {
      case "stage":
      case "normal":
        this.#stage = newStage(command, words);
        this.#stage.wordsFor = wordsBeside(this.#told);
        return [];
      case "start":
      case "kill":
      case "stop":
        stage[command](name);
        return [];
      case "gone":
        stage.tellGone(name);
        return [];
      case "switch": {
        const refused = stage.replica(name).onSwitch(stage.nowMs);
        this.#heard(name);
        return refused === null ? [] : [`refused: ${refused}`];
      }
      case "do":
        if (!stage.replica(name).takesRequests) return [`${name} takes no requests now`];
        stage.do(name, word, { isSlow: words[2] === "slow" });
        return [];
      case "finish":
        stage.finish(name, word);
        return [];
      case "tick":
        stage.tick(Number(name));
        return [];
      case "cut":
        stage.cuts.add(words.join(" "));
        return [];
      case "heal":
        stage.cuts.clear();
        return [];
      case "bus":
        stage.replica(name).onBus(word === "on", stage.nowMs);
        this.#heard(name);
        return [];
      case "hold":
        stage.server(name).held.add(word as Outbox["type"]);
        return [];
      case "release":
        stage.unhold(name, word as Outbox["type"]);
        return [];
      case "lose":
        stage.answerCas(name, stage.heldCas(name).record.writeId, { outcome: "lost" });
        return [];
      case "states":
        return [[...stage.servers.keys()].map((each, at) => `${each} ${stage.states()[at]}`).join(", ")];
      case "registry":
        return [describeRecord(stage.record)];
      case "logs":
        return [describeLogs(stage)];
      case "waits":
        return [stage.replica(name).waitingFor];
      default:
        throw new Error(`not a command: ${line}`);
    }
  }

  #heard(name: string): void {
    this.#stage.server(name).hasInput = true;
    this.#stage.run();
  }
}

function newStage(command: "stage" | "normal", words: readonly string[]): Stage {
  const servers = words.filter((word) => !word.includes("="));
  const changed = words.filter((word) => word.includes("=")).map((word) => word.split("="));
  const replica = { limits: { ...limits, ...Object.fromEntries(changed.map(([key, value]) => [key, Number(value)])) } };
  return command === "normal" ? Stage.normal({ servers, replica }) : new Stage({ servers, replica });
}

/** Mirrors and confirms with what they carry; one that says what the last one `told` is left out, and so are heartbeats. */
function wordsBeside(told: Map<string, string>): Stage["wordsFor"] {
  return (from, to, message) => {
    const words = wordsOf(from, to, message);
    if (message.type === "heartbeat") return null;
    if (message.type !== "mirror" && message.type !== "confirm") return words;
    const key = `${from} ${message.type} ${message.session}`;
    const isNew = told.get(key) !== words;
    told.set(key, words);
    return isNew ? words : null;
  };
}

function wordsOf(from: string, to: string, message: PeerMessage): string {
  if (message.type === "confirm") return `${from} confirms ${message.sequence} to ${to}`;
  if (message.type !== "mirror") return `${from} says ${message.type} to ${to}`;
  const { first, last, committed } = message;
  const records = last < first ? "nothing" : last === first ? `${first}` : `${first} to ${last}`;
  return `${from} mirrors ${records} to ${to}, committed ${committed}`;
}

function describeLogs(stage: Stage): string {
  const logs = [...stage.servers.values()].flatMap(({ name, replica }) =>
    replica === null ? [] : [{ name, log: replica.log }],
  );
  const areSame = new Set(logs.map(({ log }) => `${log.last} ${log.closed.hash}`)).size === 1;
  return `${logs.map(({ name, log }) => `${name} ${log.last}`).join(", ")}: ${areSame ? "the same" : "not the same"}`;
}
