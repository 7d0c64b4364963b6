/**
 * Connections that were accepted and have not greeted yet, the handshake of TLS included: strangers may be among them. What
 * always holds: each has the same time, from its acceptance on; they are few, in all and of one address, so that who comes
 * from one address does not take everybody's place; beyond that the one that waits longest gives way, since a peer needs a
 * moment and a stranger all the time that there is.
 */
import type { Socket } from "node:net";
import type { Timer } from "./ports.ts";

/** Besides two of each peer: one that is dying, and the next one. All peers may be behind one address. */
const strangersOfOneAddress = 4;
const strangersInAll = 16;
const eachPeers = 2;

export interface UngreetedOptions {
  readonly peers: number;
  readonly withinMs: number;
  after(delayMs: number, run: () => void): Timer;
  /** It has not greeted in time. */
  onLate(socket: Socket): void;
}

interface Waiting {
  readonly socket: Socket;
  readonly address: string;
  readonly deadline: Timer;
}

export class Ungreeted {
  readonly maxInAll: number;
  readonly maxOfOneAddress: number;
  readonly #options: UngreetedOptions;
  /** By the address and port that they come from: TLS hands out a socket of its own over the accepted one. */
  readonly #waiting = new Map<string, Waiting>();

  constructor(options: UngreetedOptions) {
    this.#options = options;
    this.maxInAll = strangersInAll + eachPeers * options.peers;
    this.maxOfOneAddress = strangersOfOneAddress + eachPeers * options.peers;
  }

  /** `isCrowded`: another one was closed for it. */
  admit(socket: Socket): { isCrowded: boolean } | null {
    const { remoteAddress: address } = socket;
    if (address === undefined) return null;
    const ofOne = [...this.#waiting].filter(([, each]) => each.address === address);
    const crowd = ofOne.length >= this.maxOfOneAddress ? ofOne : [...this.#waiting];
    const isCrowded = crowd === ofOne || this.#waiting.size >= this.maxInAll;
    const [oldest] = isCrowded ? crowd : [];
    if (oldest !== undefined) {
      this.#leave(oldest[0]);
      oldest[1].socket.destroy();
    }
    const key = keyOf(socket);
    const deadline = this.#options.after(this.#options.withinMs, () => {
      this.#waiting.delete(key);
      this.#options.onLate(socket);
    });
    const waiting = { socket, address, deadline };
    this.#waiting.set(key, waiting);
    socket.once("close", () => {
      if (this.#waiting.get(key) === waiting) this.#leave(key);
    });
    return { isCrowded };
  }

  /** It may stay for as long as it likes. */
  onGreeted(socket: Socket): void {
    this.#leave(keyOf(socket));
  }

  closeAll(): void {
    for (const { socket } of this.#waiting.values()) socket.destroy();
  }

  #leave(key: string): void {
    this.#waiting.get(key)?.deadline.cancel();
    this.#waiting.delete(key);
  }
}

function keyOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}
