/**
 * The console of one service: what its servers say (watch.ts), served to operators' browsers (door.ts), and, where operators can log
 * in, what they do there (desk.ts, actions.ts). What always holds: nothing of how NATS is logged in to reaches the page; it watches
 * over one connection and acts over another, so that without operators there is nothing here that could act.
 */
import type { Bus, Clock } from "../../actors/world/ports.ts";
import { Actions } from "./actions.ts";
import { Desk } from "./desk.ts";
import { Door, type DoorLimits, doorLimits } from "./door.ts";
import { layoutInThread } from "./layout-thread.ts";
import { type SessionLimits, sessionLimits } from "./sessions.ts";
import { ConsoleWatch } from "./watch.ts";

export interface ConsoleOptions {
  readonly service: string;
  readonly host: string;
  /** 0: any that is free. */
  readonly port: number;
  readonly tls: { readonly cert: string; readonly key: string } | null;
  readonly clock: Clock;
  /** Null: nobody acts here. */
  readonly operators: Operators | null;
  /** A line for whoever runs the console. */
  log(line: string): void;
  readonly limits?: DoorLimits;
}

export interface Operators {
  readonly passwordsFile: string;
  /** With what the role operator may do. */
  readonly bus: Bus;
  readonly limits?: Partial<SessionLimits>;
}

export class Console {
  readonly #watch: ConsoleWatch;
  readonly #door: Door;

  private constructor(watch: ConsoleWatch, door: Door) {
    this.#watch = watch;
    this.#door = door;
  }

  /** Throws DoorError where it cannot listen, or may not. */
  static async open(options: ConsoleOptions, bus: Bus): Promise<Console> {
    const { service, host, port, tls, clock, operators, log, limits = doorLimits } = options;
    const watch = new ConsoleWatch({
      service,
      clock,
      onView: (view) => door.onView(view),
      onEntry: (entry) => door.onEntry(entry),
      onSample: (sample) => door.onSample(sample),
      onMark: (mark) => door.onMark(mark),
    });
    const source = {
      view: () => watch.view,
      viewAt: (entry: number) => watch.timeline.viewAt(entry),
      entries: () => watch.timeline.entries,
      series: () => watch.series.told,
      charts: layoutInThread,
    };
    const actions = operators === null ? null : begin(operators);
    const door = new Door(source, { limits, host, tls, ...actions });
    await door.listen(port);
    watch.start(bus);
    return new Console(watch, door);

    function begin({ bus: operatorBus, passwordsFile, limits: changed = {} }: Operators) {
      const acting = new Actions({
        service,
        clock,
        bus: operatorBus,
        view: () => watch.view,
        onAction: (action) => {
          door.onAction(action);
          watch.onAction(action);
        },
      });
      const desk = new Desk({ clock, actions: acting, passwordsFile, limits: { ...sessionLimits, ...changed }, log });
      return { desk, action: () => acting.last };
    }
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
