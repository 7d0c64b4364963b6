/**
 * A primary whose state is not made as its program has it makes it so before it takes requests (rule 19), a piece in each turn.
 * What always holds: no more is made than the backup and the disk keep up with; each record is applied to the state at once; what
 * is under way dies with the role, and whoever has the role next goes on behind what is on record.
 */
import type { Replica } from "../../machines/replica/replica.ts";
import type { Rules } from "../../machines/replica/rules.ts";
import type { Settings } from "../../schemas/settings.ts";
import type { World } from "../world/ports.ts";
import type { Application } from "./define.ts";
import { applyRecord, Migration } from "./migration.ts";
import { InSlices } from "./slices.ts";
import type { ApplicationState } from "./state.ts";
import type { Views } from "./views.ts";

export interface MigratingOptions {
  readonly application: Application;
  readonly settings: Settings;
  readonly world: Pick<World, "clock" | "bus" | "log">;
  readonly replica: Replica;
  readonly rules: Rules;
}

/** A record of a migration may have so many bytes, whatever the broker takes: the catalog is in each. */
const leastRecordBytes = 32 * 1024;

export class Migrating {
  readonly #options: MigratingOptions;
  readonly #recordBytesFor: (payloadBytes: number) => number;
  #migration: Migration | null = null;
  /** Of the state, when all but the last record are applied to it. */
  #views: InSlices<Views> | null = null;

  /** `recordBytesFor`: the largest record that a broker takes that takes so much. */
  constructor(options: MigratingOptions, recordBytesFor: (payloadBytes: number) => number) {
    this.#options = options;
    this.#recordBytesFor = recordBytesFor;
  }

  /** The role is gone. */
  drop(): void {
    this.#migration = null;
    this.#views = null;
  }

  /**
   * For at most `forMs`. "waits": for confirms, for the role to be handed over, or for a program that can make something of the
   * state. Throws MigrationError, and then nothing was logged.
   */
  step(state: ApplicationState, forMs: number): "goes on" | "waits" | "done" {
    if (state.whyUnreadable !== "") return "waits";
    const { application, world, replica } = this.#options;
    const { clock, log } = world;
    this.#migration ??= this.#begin(state);
    const migration = this.#migration;
    const untilMs = clock.nowMs() + forMs;
    const hasTime = () => clock.nowMs() < untilMs;
    if (!migration.make(hasTime)) return "goes on";
    while (replica.takesCatalog && hasTime()) {
      // Before the last record: with that one requests are taken, here and where this server says that it is ready.
      const views = migration.left === 1 ? this.#makeViews(state, hasTime) : undefined;
      if (views === null) break;
      const record = migration.next();
      if (record === undefined) break;
      replica.onCatalog(record, clock.nowMs(), clock.wallMs());
      applyRecord(state, record, views);
      if (!replica.isCurrent) continue;
      if (migration.rows > 0) log.info({ rows: migration.rows, to: application.version }, "the state is migrated");
      this.drop();
      return "done";
    }
    return replica.takesCatalog ? "goes on" : "waits";
  }

  /** Null: not whole yet. */
  #makeViews(state: ApplicationState, hasTime: () => boolean): Views | null {
    this.#views ??= new InSlices(state.makingViews());
    return this.#views.goOn(hasTime)?.value ?? null;
  }

  #begin(state: ApplicationState): Migration {
    const { application, settings, world, rules } = this.#options;
    // They are nobody's result: the broker's limit matters only where the failsafe link carries them.
    const brokerTakes = Math.max(leastRecordBytes, this.#recordBytesFor(world.bus.maxPayloadBytes()));
    const maxRecordBytes = rules.recordRoom(settings.limits.maxRecordBytes, brokerTakes);
    const { version } = state.catalog;
    if (version !== application.version) {
      const fields = { from: version, to: application.version };
      world.log.info(fields, "the state is migrated: requests wait until it is done");
    }
    return new Migration(state, application, { maxRecordBytes });
  }
}
