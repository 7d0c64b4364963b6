/**
 * What the servers of a service say of themselves, with the time at which it was heard: who is primary, and whether
 * everything is normal again since a moment. What always holds: nothing that was said before that moment counts for it.
 */
import { setTimeout as delay } from "node:timers/promises";
import type { Bus, Subscription } from "../../actors/world/ports.ts";
import { ServerStatus } from "../../schemas/status.ts";
import { subjects } from "../../schemas/subjects.ts";
import { readJson } from "../commands/ask.ts";

const lookEveryMs = 5;
/** Servers speak a few times a second. */
const spokenWithinMs = 2_000;

export class PairWatch {
  readonly #heard = new Map<string, { status: ServerStatus; atMs: number }>();
  readonly #subscription: Subscription;

  constructor(bus: Bus, service: string) {
    this.#subscription = bus.subscribe(subjects.statuses(service), ({ data }) => {
      const status = ServerStatus.safeParse(readJson(data)).data;
      if (status !== undefined) this.#heard.set(status.name, { status, atMs: performance.now() });
    });
  }

  get servers(): ServerStatus[] {
    return [...this.#heard.values()].map(({ status }) => status).sort((one, other) => (one.name < other.name ? -1 : 1));
  }

  get primary(): ServerStatus | undefined {
    const primaries = this.servers.filter(({ role }) => role === "primary");
    return primaries.reduce<ServerStatus | undefined>(
      (best, status) => (best === undefined || status.epoch > best.epoch ? status : best),
      undefined,
    );
  }

  status(server: string): ServerStatus | undefined {
    return this.#heard.get(server)?.status;
  }

  /** One hot primary, all others its backups with both links up, of one epoch, all said after `sinceMs`. */
  isNormal(sinceMs: number): boolean {
    const heard = [...this.#heard.values()];
    const epoch = heard[0]?.status.epoch;
    const isOne = heard.every(
      ({ status, atMs }) =>
        atMs > sinceMs && status.mode === "normal" && status.epoch === epoch && status.links.main === "up",
    );
    const hot = heard.filter(({ status }) => status.role === "primary" && status.application === "hot");
    const backups = heard.filter(({ status }) => status.role === "backup");
    return isOne && heard.length > 1 && hot.length === 1 && backups.length === heard.length - 1;
  }

  /** False when it is not normal within the time, or we are stopped. */
  async untilNormal(sinceMs: number, withinMs: number, stopped: AbortSignal): Promise<boolean> {
    const fromMs = performance.now();
    while (!this.isNormal(sinceMs)) {
      if (stopped.aborted || performance.now() - fromMs > withinMs) return false;
      await delay(lookEveryMs);
    }
    return true;
  }

  /** What each server says now, for those who wait in vain. */
  get saying(): string {
    const lines = this.servers.map(({ name, state, waitingFor, why }) => {
      const silentMs = performance.now() - (this.#heard.get(name)?.atMs ?? 0);
      if (silentMs > spokenWithinMs) return `${name} has said nothing for ${(silentMs / 1_000).toFixed(0)} s`;
      return `${name} is ${state} (${waitingFor || why})`;
    });
    return lines.length === 0 ? "no server speaks" : lines.join("; ");
  }

  stop(): void {
    this.#subscription.stop();
  }
}
