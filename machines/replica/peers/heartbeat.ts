/**
 * What a server tells every other one, over both links, every `heartbeatMs` and at once when it matters. What always
 * holds: beats are counted, so that an echo proves when it was heard; the primary tells the record that it has won; a server that
 * nobody counts on says nothing while another one speaks in its name.
 */
import type { Heartbeat } from "../../../schemas/peer-message.ts";
import type { Core } from "../core.ts";
import { toldRemovals } from "./rejoin-backoff.ts";

/** Main is closed and NATS has not said yet that nobody listens: ask again after this time. */
const doubtMs = 2;

export class Heartbeats {
  private readonly core: Core;
  private newest = 0;

  constructor(core: Core) {
    this.core = core;
  }

  /** The newest beat that was sent. */
  get beat(): number {
    return this.newest;
  }

  send(): void {
    const { core } = this;
    const { peers, outbox, rules, membership } = core;
    if (!rules.mayGoOnBeside(membership.isNamed, core.namesake !== null)) return;
    this.newest += 1;
    const message = heartbeat(this.newest, core);
    for (const { name } of peers) outbox.push({ type: "send", to: name, link: "both", message, payload: [] });
    if (peers.anyInDoubt(core.nowMs)) outbox.push({ type: "wake", afterMs: doubtMs });
  }
}

/** What is said of the own program, where it is known (rule 19). */
export function toldProgram({ options, unreadable }: Core): Pick<Heartbeat, "program"> {
  const { program } = options;
  if (program === undefined) return {};
  return { program: { application: program.application, version: program.version, reads: unreadable === "" } };
}

function heartbeat(beat: number, core: Core): Heartbeat {
  const { own, membership } = core;
  const { known } = membership;
  const removals = core.hot ? toldRemovals(core.peers, core.nowMs) : undefined;
  const heard: Heartbeat["heard"] = {};
  for (const { name, heartbeat, mainBeat } of core.peers) {
    if (heartbeat !== null) heard[name] = { incarnation: heartbeat.incarnation, beat: heartbeat.beat, mainBeat };
  }
  return {
    type: "heartbeat",
    incarnation: core.self,
    life: core.startCount,
    disk: core.disk,
    beat,
    ...(core.wallMs > 0 ? { wallMs: core.wallMs } : {}),
    heard,
    state: core.state,
    hot: core.hot,
    stopping: core.stopping,
    rereads: true,
    heedsPause: true,
    bus: core.bus.connected,
    registry: membership.isAnswered,
    epochSeen: membership.epochSeen,
    history: own.told,
    lastEpoch: own.log.lastEpoch,
    last: own.log.last,
    committed: own.committed,
    schema: core.options.schema,
    ...toldProgram(core),
    rememberClients: core.limits.rememberClients,
    ...(core.hot && known !== null ? { record: known.record, revision: known.revision } : {}),
    ...(removals === undefined ? {} : { removals }),
  };
}
