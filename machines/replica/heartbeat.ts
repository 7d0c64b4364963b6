/**
 * What a server tells every other one, over both links, every `heartbeatMs` and at once when it matters. What always
 * holds: beats are counted, so that an echo proves when it was heard; the primary tells the record that it has won; a server that
 * nobody counts on says nothing while another one speaks in its name.
 */
import type { Heartbeat } from "../codec/message.ts";
import { toldRemovals } from "./hold-off.ts";
import { type Namesakes, namesakeOf } from "./namesakes.ts";
import type { ReplicaView } from "./view.ts";

/** Main is closed and NATS has not said yet that nobody listens: ask again after this time. */
const doubtMs = 2;

export interface HeartbeatView extends ReplicaView {
  readonly life: number;
  readonly wallMs: number;
  readonly disk: string;
  readonly namesakes: Namesakes;
  readonly bus: { readonly connected: boolean };
}

export class Heartbeats {
  /** The newest beat that was sent. */
  beat = 0;

  clone(): Heartbeats {
    const copy = new Heartbeats();
    copy.beat = this.beat;
    return copy;
  }

  send(view: HeartbeatView): void {
    if (!view.rules.mayGoOnBeside(view.membership.isNamed, namesakeOf(view) !== null)) return;
    this.beat += 1;
    const message = heartbeat(this.beat, view);
    for (const peer of view.peers) view.out.push({ type: "send", to: peer.name, link: "both", message, payload: [] });
    if (view.peers.anyInDoubt(view.nowMs)) view.out.push({ type: "wake", afterMs: doubtMs });
  }
}

function heartbeat(beat: number, view: HeartbeatView): Heartbeat {
  const { own, membership } = view;
  const { known } = membership;
  const removals = view.hot ? toldRemovals(view.peers, view.nowMs) : undefined;
  const heard: Heartbeat["heard"] = {};
  for (const { name, heartbeat, mainBeat } of view.peers) {
    if (heartbeat !== null) heard[name] = { incarnation: heartbeat.incarnation, beat: heartbeat.beat, mainBeat };
  }
  return {
    type: "heartbeat",
    incarnation: view.self,
    life: view.life,
    disk: view.disk,
    beat,
    // 0: this server has not looked yet.
    ...(view.wallMs > 0 ? { wallMs: view.wallMs } : {}),
    heard,
    state: view.state,
    hot: view.hot,
    stopping: view.stopping,
    rereads: true,
    bus: view.bus.connected,
    registry: membership.isAnswered,
    epochSeen: membership.epochSeen,
    history: own.told,
    lastEpoch: own.log.lastEpoch,
    last: own.log.last,
    committed: own.committed,
    schema: view.options.schema,
    rememberClients: view.limits.rememberClients,
    ...(view.hot && known !== null ? { record: known.record, revision: known.revision } : {}),
    ...(removals === undefined ? {} : { removals }),
  };
}
