/**
 * Stores that were set aside, because the history that goes on does not hold all of them (rules 7 and 18). What always
 * holds: this program removes none; where the bound on them is reached nothing takes a store's place whose content would
 * have to join them; and an operator is told of both.
 */
import type { Settings } from "../../schemas/settings.ts";
import type { Mailbox } from "../actor.ts";
import type { Troubles } from "../operator/troubles.ts";
import type { AsideCopy, StoreUsage, World } from "../world/ports.ts";

/** How often the copies are looked at while there are some: an operator removes them. */
const lookMs = 30_000;

export type AsideLimits = Pick<Settings["limits"], "maxAsideCopies" | "maxAsideBytes">;

/** A snapshot is not adopted: what would have to be set aside has no room. Nothing was changed. */
export class AsideFullError extends Error {
  override readonly name = "AsideFullError";
}

/** Null: there is room for this store beside the copies. */
export function whyNoRoom({ bytes, aside }: StoreUsage, limits: AsideLimits): string | null {
  const { maxAsideCopies, maxAsideBytes } = limits;
  const all = aside.reduce((sum, copy) => sum + copy.bytes, 0);
  if (aside.length >= maxAsideCopies)
    return `${aside.length} earlier stores are set aside already, and maxAsideCopies is ${maxAsideCopies}`;
  if (all + bytes > maxAsideBytes)
    return `with this store those set aside would take ${all + bytes} bytes, and maxAsideBytes is ${maxAsideBytes}`;
  return null;
}

function told(copies: readonly AsideCopy[], { dataDirectory, limits }: Settings): string {
  const bytes = copies.reduce((sum, copy) => sum + copy.bytes, 0);
  const names = copies.map(({ name }) => name).join(", ");
  return `${copies.length} earlier ${copies.length === 1 ? "store is" : "stores are"} set aside in ${dataDirectory} (${bytes} bytes: ${names}; at most ${limits.maxAsideCopies} and ${limits.maxAsideBytes} bytes may be), with records that this history may not hold: look with \`twinlog inspect\`, and remove what nobody needs`;
}

export class AsideWatch {
  readonly #options: { settings: Settings; world: World; mailbox: Mailbox; troubles: Troubles };
  #hasSome = false;
  #lookedMs = 0;

  constructor(options: { settings: Settings; world: World; mailbox: Mailbox; troubles: Troubles }) {
    this.#options = options;
  }

  /** When a life begins: copies come to be with an adoption, and that ends a life. */
  start(): void {
    this.#look();
  }

  onTick(): void {
    if (this.#hasSome && this.#options.world.clock.nowMs() - this.#lookedMs > lookMs) this.#look();
  }

  #look(): void {
    const { world, mailbox, settings, troubles } = this.#options;
    this.#lookedMs = world.clock.nowMs();
    const onUsage = ({ aside }: StoreUsage) => {
      this.#hasSome = aside.length > 0;
      troubles.set("store.aside", this.#hasSome ? told(aside, settings) : null);
    };
    // A store that fails says so by itself.
    mailbox.watch(world.store.usage(), onUsage, () => {});
  }
}
