/**
 * What may have been forgotten, for each client apart (rule 12): a request that is stamped at or before its floor is not
 * run. A floor is lifted by the stamps of that client's own requests and by nothing else, so that a clock that is fast
 * hurts its owner only.
 *
 * What always holds: the floor that a client is held to is at least the highest stamp of its requests that was ever
 * forgotten. At most `limit` clients have a floor of their own above the common one; past that, the lower half is dropped,
 * and the common floor is lifted to the highest that was dropped. What stands here follows from the requests that were
 * forgotten, in their order, and from nothing else: it is the same on all servers.
 *
 * Columns of numbers and one map: what is remembered of a client costs nothing for each of its requests.
 */
import { isArrival } from "../codec/record.ts";

/** Which floor follows when a request with this stamp is forgotten, or a floor dropped; ms since 1970 all. */
export interface FloorRules {
  floorAfter(floorMs: number, forgottenMs: number): number;
  commonAfter(commonMs: number, droppedMs: number): number;
  floorFor(ownMs: number, commonMs: number, highestMs: number): number;
}

/** As they are on disk: the clients' are those above the common one, in the order of their names. */
export interface SavedFloors {
  readonly commonMs: number;
  /** The highest stamp that was ever forgotten, of whomever; arrivals count too. */
  readonly highestMs: number;
  readonly clients: [client: string, floorMs: number][];
}

/** Nothing was ever forgotten. */
export const noFloors: SavedFloors = { commonMs: -1, highestMs: -1, clients: [] };
/** Of the limit that says how many clients have a floor of their own; for those who do not say. */
const usualLimit = 1024;
const firstCapacity = 16;

export class ClientFloors {
  readonly #limit: number;
  #commonMs: number;
  #highestMs: number;
  /** Clients with remembered requests, or a floor above the common one. */
  #slots = new Map<string, number>();
  #names: string[] = Array.from({ length: firstCapacity });
  #remembered = new Uint32Array(firstCapacity);
  #floors = new Float64Array(firstCapacity);
  #free: number[] = [];
  #used = 0;
  /** Slots whose floor is above the common one, in no order. */
  readonly #raised: Uint32Array;
  #raisedCount = 0;
  readonly #sorted: Float64Array;

  constructor(saved: SavedFloors = noFloors, limit = usualLimit) {
    this.#limit = limit;
    this.#commonMs = saved.commonMs;
    this.#highestMs = saved.highestMs;
    this.#raised = new Uint32Array(limit + 1);
    this.#sorted = new Float64Array(limit + 1);
    // Those of another limit may be more than there is room for.
    for (const [client, floorMs] of saved.clients) this.#raise(this.#slotOf(client), floorMs, Math.max);
  }

  get commonMs(): number {
    return this.#commonMs;
  }
  get highestMs(): number {
    return this.#highestMs;
  }
  /** How many clients have a floor of their own. */
  get count(): number {
    return this.#raisedCount;
  }
  get saved(): SavedFloors {
    const clients: [string, number][] = [];
    for (let at = 0; at < this.#raisedCount; at += 1) {
      const slot = this.#raised[at] ?? 0;
      clients.push([this.#names[slot] as string, this.#floors[slot] ?? 0]);
    }
    clients.sort(([one], [other]) => (one < other ? -1 : 1));
    return { commonMs: this.#commonMs, highestMs: this.#highestMs, clients };
  }

  /** A request of this client is remembered: the slot that `forget` is to be told. */
  remember(client: string): number {
    const slot = this.#slotOf(client);
    this.#remembered[slot] = (this.#remembered[slot] ?? 0) + 1;
    return slot;
  }

  /** A request of the client in `slot` is forgotten. Where it had no stamp, nothing is promised once it is forgotten. */
  forget(slot: number, stampMs: number, rules: Pick<FloorRules, "floorAfter" | "commonAfter">): void {
    if (stampMs > this.#highestMs) this.#highestMs = stampMs;
    this.#remembered[slot] = (this.#remembered[slot] ?? 0) - 1;
    const beforeMs = this.#floors[slot] ?? -1;
    const floorMs = isArrival(stampMs) ? beforeMs : rules.floorAfter(Math.max(beforeMs, this.#commonMs), stampMs);
    if (floorMs > this.#commonMs) this.#raise(slot, floorMs, rules.commonAfter);
    else if ((this.#remembered[slot] ?? 0) === 0) this.#release(slot);
  }

  /** A request of this client, issued at or before it, may have been forgotten. -1: none ever was. */
  floorFor(client: string, rules: Pick<FloorRules, "floorFor">): number {
    const slot = this.#slots.get(client);
    const ownMs = slot === undefined ? -1 : (this.#floors[slot] ?? -1);
    return rules.floorFor(ownMs, this.#commonMs, this.#highestMs);
  }

  nameOf(slot: number): string {
    return this.#names[slot] as string;
  }

  #slotOf(client: string): number {
    const known = this.#slots.get(client);
    if (known !== undefined) return known;
    let slot = this.#free.pop();
    if (slot === undefined) {
      if (this.#used === this.#names.length) this.#grow();
      slot = this.#used;
      this.#used += 1;
    }
    this.#names[slot] = client;
    this.#remembered[slot] = 0;
    this.#floors[slot] = -1;
    this.#slots.set(client, slot);
    return slot;
  }

  #release(slot: number): void {
    this.#slots.delete(this.#names[slot] as string);
    this.#names[slot] = "";
    this.#free.push(slot);
  }

  #raise(slot: number, floorMs: number, commonAfter: FloorRules["commonAfter"]): void {
    const isNew = (this.#floors[slot] ?? -1) <= this.#commonMs;
    this.#floors[slot] = floorMs;
    if (!isNew) return;
    this.#raised[this.#raisedCount] = slot;
    this.#raisedCount += 1;
    if (this.#raisedCount > this.#limit) this.#dropLower(commonAfter);
  }

  /** Half at once, so that each costs little. */
  #dropLower(commonAfter: FloorRules["commonAfter"]): void {
    const count = this.#raisedCount;
    const sorted = this.#sorted.subarray(0, count);
    for (let at = 0; at < count; at += 1) sorted[at] = this.#floors[this.#raised[at] ?? 0] ?? 0;
    sorted.sort();
    const droppedMs = sorted[Math.ceil(count / 2) - 1] ?? 0;
    this.#commonMs = commonAfter(this.#commonMs, droppedMs);
    let kept = 0;
    for (let at = 0; at < count; at += 1) {
      const slot = this.#raised[at] ?? 0;
      if ((this.#floors[slot] ?? 0) > droppedMs) {
        this.#raised[kept] = slot;
        kept += 1;
        continue;
      }
      this.#floors[slot] = -1;
      if ((this.#remembered[slot] ?? 0) === 0) this.#release(slot);
    }
    this.#raisedCount = kept;
  }

  #grow(): void {
    const capacity = this.#names.length * 2;
    const remembered = new Uint32Array(capacity);
    const floors = new Float64Array(capacity);
    remembered.set(this.#remembered);
    floors.set(this.#floors);
    this.#remembered = remembered;
    this.#floors = floors;
    this.#names.length = capacity;
  }

  clone(): ClientFloors {
    const copy = new ClientFloors(noFloors, this.#limit);
    copy.#commonMs = this.#commonMs;
    copy.#highestMs = this.#highestMs;
    copy.#slots = new Map(this.#slots);
    copy.#names = [...this.#names];
    copy.#remembered = this.#remembered.slice();
    copy.#floors = this.#floors.slice();
    copy.#free = [...this.#free];
    copy.#used = this.#used;
    copy.#raised.set(this.#raised);
    copy.#raisedCount = this.#raisedCount;
    return copy;
  }
}
