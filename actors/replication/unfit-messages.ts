/**
 * Messages in a peer's name that do not fit: damaged, of another program, or nobody's. What always holds: each is dropped and
 * counted, and nothing was done for it; each kind of cause is logged once in `quietMs` at most, with how many came since; the
 * trouble is open while the last is no older than that.
 */
import type { MessageFault } from "../../machines/codec/message.ts";
import type { LinkName } from "../../schemas/link.ts";
import type { Troubles } from "../operator/troubles.ts";
import type { Clock, Log } from "../world/ports.ts";

const quietMs = 60_000;

const named: Record<LinkName, string> = { main: "the main link", failsafe: "NATS" };

/** `message`: for people. */
export interface Unfit {
  /** unproven: nothing shows that it is that peer's. */
  readonly fault: MessageFault | "unproven";
  readonly type: string;
  readonly message: string;
}

export class UnfitMessages {
  readonly #world: { readonly clock: Clock; readonly log: Log };
  readonly #troubles: Pick<Troubles, "set">;
  /** By peer, link, type and fault, of which there are few. */
  readonly #told = new Map<string, { atMs: number; leftOut: number }>();
  #count = 0;
  #last: { readonly atMs: number; readonly says: string } | null = null;

  constructor(world: { readonly clock: Clock; readonly log: Log }, troubles: Pick<Troubles, "set">) {
    this.#world = world;
    this.#troubles = troubles;
  }

  /** In this life. */
  get count(): number {
    return this.#count;
  }

  note(peer: string, link: LinkName, { fault, type, message }: Unfit): void {
    const { clock, log } = this.#world;
    const nowMs = clock.nowMs();
    this.#count += 1;
    this.#last = { atMs: nowMs, says: `in ${peer}'s name, over ${named[link]}: ${message}` };
    const kind = `${peer} ${link} ${type} ${fault}`;
    const before = this.#told.get(kind);
    if (before !== undefined && nowMs - before.atMs < quietMs) {
      before.leftOut += 1;
      return;
    }
    const leftOut = before?.leftOut ?? 0;
    this.#told.set(kind, { atMs: nowMs, leftOut: 0 });
    const fields = { peer, link, fault, error: message, dropped: this.#count };
    log.warn(leftOut > 0 ? { ...fields, leftOut } : fields, "a message from a peer does not fit, and was dropped");
  }

  onTick(): void {
    const last = this.#last;
    if (last === null) return;
    const isOver = this.#world.clock.nowMs() - last.atMs >= quietMs;
    if (isOver) this.#last = null;
    this.#troubles.set("messages.unfit", isOver ? null : this.#says(last.says));
  }

  #says(last: string): string {
    return `messages between servers that do not fit were dropped (${this.#count}), the last one ${last}; look at that server's program, and at who may publish on the servers' subjects`;
  }
}
