/**
 * The console of one service: what its servers say (watch.ts), served to operators' browsers (door.ts). What always holds: it
 * only reads; nothing of how NATS is logged in to reaches the page.
 */
import type { Bus, Clock } from "../../actors/world/ports.ts";
import { Door, type DoorLimits, doorLimits } from "./door.ts";
import { layoutInThread } from "./layout-thread.ts";
import { ConsoleWatch } from "./watch.ts";

export interface ConsoleOptions {
  readonly service: string;
  /** 0: any that is free. */
  readonly port: number;
  readonly clock: Clock;
  readonly limits?: DoorLimits;
}

export class Console {
  readonly #watch: ConsoleWatch;
  readonly #door: Door;

  private constructor(watch: ConsoleWatch, door: Door) {
    this.#watch = watch;
    this.#door = door;
  }

  /** Throws DoorError where it cannot listen. */
  static async open({ service, port, clock, limits = doorLimits }: ConsoleOptions, bus: Bus): Promise<Console> {
    const watch = new ConsoleWatch({
      service,
      clock,
      onView: (view) => door.onView(view),
      onEntry: (entry) => door.onEntry(entry),
    });
    const source = {
      view: () => watch.view,
      viewAt: (entry: number) => watch.timeline.viewAt(entry),
      entries: () => watch.timeline.entries,
      charts: layoutInThread,
    };
    const door = new Door(source, limits);
    await door.listen(port);
    watch.start(bus);
    return new Console(watch, door);
  }

  get url(): string {
    return this.#door.url;
  }

  onNats(connected: boolean): void {
    this.#watch.onNats(connected);
  }

  async close(): Promise<void> {
    this.#watch.stop();
    await this.#door.close();
  }
}
