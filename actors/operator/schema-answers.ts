/**
 * The answers on `<service>.schema`. What always holds: what is told is the application of this server, made once; whoever asks,
 * and however often, no more answers leave in a tick than a named number; what is not told is told to be left out.
 */
import { type AnnouncedSchema, maxSchemaBytes } from "../../schemas/announced.ts";
import type { Settings } from "../../schemas/settings.ts";
import { announcedSchemas } from "../application/announced.ts";
import type { Application } from "../application/define.ts";
import { BoundedLines } from "../bounded-lines.ts";
import type { World } from "../world/ports.ts";

/** Answers in a tick (a heartbeat); who asks beyond that is not answered, and asks again. */
export const maxSchemaAnswers = 20;

export interface SchemaAnswersOptions {
  readonly settings: Pick<Settings, "service" | "server">;
  readonly world: Pick<World, "bus" | "clock" | "log">;
  readonly application: Application;
  readonly digest: string;
}

export class SchemaAnswers {
  readonly #options: SchemaAnswersOptions;
  readonly #made = new Map<boolean, Uint8Array>();
  readonly #lines: { readonly dropped: BoundedLines; readonly omitted: BoundedLines };
  #given = 0;

  constructor(options: SchemaAnswersOptions) {
    this.#options = options;
    const { clock } = options.world;
    this.#lines = { dropped: new BoundedLines(clock, 1), omitted: new BoundedLines(clock, 1) };
  }

  onTick(): void {
    this.#given = 0;
  }

  /** `hot`: whether this server runs requests now. */
  answer(reply: string, hot: boolean): void {
    const { bus, log } = this.#options.world;
    if (reply === "") return;
    this.#given += 1;
    if (this.#given > maxSchemaAnswers) {
      const line = this.#lines.dropped.next();
      if (line !== null) log.warn({ ...line }, "the schema is asked for too often: not every question is answered");
      return;
    }
    const whole = this.#made.get(hot) ?? this.#make(hot);
    this.#made.set(hot, whole);
    const takenBytes = Math.min(maxSchemaBytes, bus.room(reply));
    if (whole.length <= takenBytes) {
      bus.publish(reply, whole);
      return;
    }
    const omitted = `the schemas take ${whole.length} bytes, and at most ${takenBytes} are told`;
    const line = this.#lines.omitted.next();
    if (line !== null) log.warn({ ...line }, `${omitted}: commands leave the check of bodies to the service`);
    bus.publish(reply, this.#bytes({ hot, omitted }));
  }

  #make(hot: boolean): Uint8Array {
    return this.#bytes({ hot, schemas: announcedSchemas(this.#options.application) });
  }

  #bytes(told: Pick<AnnouncedSchema, "hot" | "schemas" | "omitted">): Uint8Array {
    const { settings, application, digest } = this.#options;
    const { service, server } = settings;
    const answer: AnnouncedSchema = { service, server, application: application.name, digest, ...told };
    return Buffer.from(JSON.stringify(answer));
  }
}
