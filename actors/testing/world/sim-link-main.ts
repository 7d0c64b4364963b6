/**
 * The simulated main link: one TCP-like connection between two processes. In order within a connection; the peer hears
 * `closed` when a process is killed (its kernel closes), and nothing at all when it is paused, cut off or without power.
 *
 * What always holds: as with the real one, a kernel accepts for a paused process (situation 21), frames of a dead
 * process may still arrive, and a frame arrives whole or not at all.
 */
import type { Link, LinkDownReason, LinkHandlers } from "../../world/ports.ts";
import type { Rng } from "./rng.ts";
import { Pipe, type SimNetwork } from "./sim-network.ts";
import type { KillKind, SimProcess } from "./sim-process.ts";

const dialMs = 40;
/** Past this, `send` returns false. */
const maxWaitingBytes = 4 * 1024 * 1024;

class Connection {
  readonly a: SimLinkMain;
  readonly b: SimLinkMain;
  readonly #network: SimNetwork;
  readonly #ab: Pipe<Uint8Array>;
  readonly #ba: Pipe<Uint8Array>;
  isOpen = true;

  constructor(network: SimNetwork, a: SimLinkMain, b: SimLinkMain) {
    this.#network = network;
    this.a = a;
    this.b = b;
    this.#ab = this.#pipe(a, b);
    this.#ba = this.#pipe(b, a);
  }

  #pipe(from: SimLinkMain, to: SimLinkMain): Pipe<Uint8Array> {
    return new Pipe({
      network: this.#network,
      from: from.way,
      to: to.way,
      receiver: to.process,
      label: "link.main",
      deliver: (frame) => to.onFrame(from, frame),
    });
  }

  from(sender: SimLinkMain): Pipe<Uint8Array> {
    return sender === this.a ? this.#ab : this.#ba;
  }

  other(side: SimLinkMain): SimLinkMain {
    return side === this.a ? this.b : this.a;
  }

  /** One side's kernel closes: the other hears of it, unless the way is cut (then when it is free again). */
  closeFrom(side: SimLinkMain, kind: KillKind | "stop"): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    const other = this.other(side);
    const toOther = this.from(side);
    const network = this.#network;
    toOther.end(kind === "stop");
    this.from(other).end();
    const scheduler = network.scheduler;
    const hear = () => {
      if (network.isCut(side.way, other.way)) {
        const unwatch = network.whenHealed(() => {
          if (network.isCut(side.way, other.way)) return;
          unwatch();
          scheduler.after(network.rng.between(0, 200), other.process, "link.main", () => other.onClosed(this));
        });
      } else scheduler.after(0, other.process, "link.main", () => other.onClosed(this));
    };
    // A machine without power says nothing; its peer finds out when it next answers with a reset.
    const delayMs = kind === "machine" ? network.rng.between(500, 3_000) : network.latencyMs();
    scheduler.at(Math.max(toOther.drainedAtMs, scheduler.nowMs) + delayMs, null, "close", hear);
  }

  /** The connection times out or is reset on both sides, with no process dead. */
  reset(): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    this.#ab.end();
    this.#ba.end();
    for (const side of [this.a, this.b])
      this.#network.scheduler.after(this.#network.latencyMs(), side.process, "link.main", () => side.onClosed(this));
  }
}

/** Who listens, and the connections between them. */
export class SimMainNetwork {
  readonly network: SimNetwork;
  readonly #listening = new Map<string, SimLinkMain>();
  readonly #connections = new Set<Connection>();

  constructor(network: SimNetwork) {
    this.network = network;
  }

  listen(link: SimLinkMain): void {
    // Another process of a name that is taken listens where nobody dials.
    if (link.process.host === link.server) {
      if (this.#listening.get(link.server)?.process.isAlive === true) throw new Error(`${link.way}: address in use`);
      this.#listening.set(link.server, link);
    }
    link.process.whenKilled((kind) => this.leave(link, kind));
  }

  leave(link: SimLinkMain, kind: KillKind | "stop"): void {
    if (this.#listening.get(link.server) === link) this.#listening.delete(link.server);
    for (const connection of this.#connections) {
      if (connection.a !== link && connection.b !== link) continue;
      this.#connections.delete(connection);
      connection.closeFrom(link, kind);
    }
  }

  listener(server: string): SimLinkMain | undefined {
    return this.#listening.get(server);
  }

  connect(a: SimLinkMain, b: SimLinkMain): Connection | undefined {
    for (const known of this.#connections) {
      if ((known.a === a && known.b === b) || (known.a === b && known.b === a)) {
        if (known.isOpen) return undefined;
        this.#connections.delete(known);
      }
    }
    const connection = new Connection(this.network, a, b);
    this.#connections.add(connection);
    return connection;
  }

  /** Fault: a frame that was never sent comes over a connection, where there is one. */
  inject(from: string, to: string, frame: Uint8Array): void {
    for (const connection of this.#connections) {
      const sender = [connection.a, connection.b].find(({ server }) => server === from);
      if (sender === undefined || connection.other(sender).server !== to || !connection.isOpen) continue;
      connection.from(sender).send(frame, frame.length);
    }
  }

  /** Fault: a connection between two servers breaks though both live (situation 20). */
  reset(a: string, b: string): void {
    for (const connection of this.#connections) {
      const ends = `${connection.a.server} ${connection.b.server}`;
      if (ends !== `${a} ${b}` && ends !== `${b} ${a}`) continue;
      this.#connections.delete(connection);
      connection.reset();
    }
  }
}

export class SimLinkMain implements Link {
  readonly kind = "main";
  readonly isProven = true;
  readonly process: SimProcess;
  readonly server: string;
  /** Its name in the network: cutting `main:alpha>main:beta` leaves NATS alone. */
  readonly way: string;
  readonly #peers: readonly string[];
  readonly #net: SimMainNetwork;
  readonly #rng: Rng;
  readonly #connections = new Map<string, Connection>();
  readonly #told = new Map<string, "up" | LinkDownReason>();
  readonly #maxFrameBytes: number;
  #handlers: LinkHandlers | null = null;

  constructor(
    process: SimProcess,
    server: string,
    peers: readonly string[],
    net: SimMainNetwork,
    rng: Rng,
    maxFrameBytes: number,
  ) {
    this.#maxFrameBytes = maxFrameBytes;
    this.process = process;
    this.server = server;
    this.way = `main:${server}`;
    this.#peers = peers;
    this.#net = net;
    this.#rng = rng;
  }

  start(handlers: LinkHandlers): Promise<void> {
    return this.process.promise((settle) => {
      settle(0.1, () => {
        this.#net.listen(this);
        this.#handlers = handlers;
        for (const peer of this.#peers) this.#dialLater(peer, 0);
      });
    });
  }

  send(peer: string, parts: readonly Uint8Array[]): boolean {
    if (!this.process.boundary("link.main.send", "before")) return false;
    const connection = this.#connections.get(peer);
    if (connection === undefined) return false;
    const frame = join(parts);
    const pipe = connection.from(this);
    if (frame.length > this.#maxFrameBytes || pipe.waitingBytes > maxWaitingBytes) return false;
    this.process.scheduler.trace(frame);
    pipe.send(frame, frame.length);
    return this.process.boundary("link.main.send", "after");
  }

  bufferedBytes(peer: string): number {
    return this.#connections.get(peer)?.from(this).waitingBytes ?? 0;
  }

  maxFrameBytes(_peer: string): number {
    return this.#maxFrameBytes;
  }

  stop(): Promise<void> {
    return this.process.promise((settle) => {
      this.#handlers = null;
      this.#connections.clear();
      this.#told.clear();
      this.#net.leave(this, "stop");
      settle(0.1, () => undefined);
    });
  }

  onFrame(from: SimLinkMain, frame: Uint8Array): void {
    this.process.input("link.main.receive", () => this.#handlers?.onFrame(from.server, frame));
  }

  onClosed(connection: Connection): void {
    const peer = connection.other(this).server;
    if (this.#connections.get(peer) !== connection) return;
    this.#connections.delete(peer);
    this.#tell(peer, "closed");
    this.#dialLater(peer, dialMs);
  }

  #onConnected(connection: Connection): void {
    if (this.#handlers === null) return;
    const peer = connection.other(this).server;
    const old = this.#connections.get(peer);
    this.#connections.set(peer, connection);
    if (old !== undefined) this.#tell(peer, "closed");
    if (connection.isOpen) this.#tell(peer, "up");
  }

  /** Each change once; a refused dial after a closed connection is no change. */
  #tell(peer: string, state: "up" | LinkDownReason): void {
    const told = this.#told.get(peer);
    if (told === state || (told === "closed" && state === "refused")) return;
    this.#told.set(peer, state);
    if (state === "up") this.#handlers?.onUp(peer);
    else this.#handlers?.onDown(peer, state);
  }

  #dialLater(peer: string, delayMs: number): void {
    this.process.later(delayMs + this.#rng.between(0, dialMs), "dial", () => this.#dial(peer));
  }

  #dial(peer: string): void {
    if (this.#handlers === null || this.#connections.has(peer)) return;
    const { network } = this.#net;
    const { scheduler } = network;
    const there = `main:${peer}`;
    if (network.isCutEitherWay(this.way, there)) {
      this.#dialLater(peer, 5 * dialMs);
      return;
    }
    scheduler.after(2 * network.latencyMs(), null, "dial", () => {
      const listener = this.#net.listener(peer);
      if (!this.process.isAlive || network.isCutEitherWay(this.way, there)) return this.#dialLater(peer, dialMs);
      if (listener === undefined) {
        this.process.later(0, "link.main", () => this.#onRefused(peer));
        return;
      }
      if (listener.hasOther(this)) return this.#dialLater(peer, dialMs);
      const connection = this.#net.connect(this, listener);
      if (connection === undefined) return this.#dialLater(peer, dialMs);
      // At the same time on both sides: no frame can come before the connection that it came by.
      for (const side of [listener, this]) side.process.later(0, "link.main", () => side.#onConnected(connection));
    });
  }

  /** Another process of that name is connected and speaks: the newer one is refused. */
  hasOther({ server, process }: SimLinkMain): boolean {
    const other = this.#connections.get(server)?.other(this).process;
    return other !== undefined && other !== process && other.state === "running";
  }

  #onRefused(peer: string): void {
    if (this.#connections.has(peer)) return;
    this.#tell(peer, "refused");
    this.#dialLater(peer, 2 * dialMs);
  }
}

export function join(parts: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (const part of parts) length += part.length;
  const frame = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    frame.set(part, at);
    at += part.length;
  }
  return frame;
}
