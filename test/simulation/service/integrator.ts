/** A simulated integrator: the shipped results reader, every event of which goes into the history. */
import { type ResultsReader, readResults } from "../../../actors/client/results.ts";
import type { Recorder } from "../../../actors/testing/recorder.ts";
import type { Bus, Clock } from "../../../actors/world/ports.ts";

export class Integrator {
  /** By history: the highest result number so far. */
  readonly last = new Map<string, number>();
  /** Results that can no longer be had, as the reader says. */
  forgotten = 0;
  readonly #name: string;
  readonly #recorder: Recorder;
  readonly #bus: Bus;
  readonly #open: () => ResultsReader;
  #reader: ResultsReader | null = null;

  constructor(options: { service: string; name: string; bus: Bus; clock: Clock; recorder: Recorder }) {
    this.#name = options.name;
    this.#recorder = options.recorder;
    this.#bus = options.bus;
    this.#open = () => readResults({ service: options.service, bus: options.bus, clock: options.clock });
  }

  async start(): Promise<void> {
    await this.#bus.start((connected) => this.#reader?.onBusState(connected));
    this.#reader = this.#open();
    this.#read(this.#reader).catch(() => {
      this.forgotten += 1;
    });
  }

  async #read(reader: ResultsReader): Promise<void> {
    for await (const event of reader) {
      if (event.type === "history") {
        const { history: to, previous } = event;
        if (previous !== undefined)
          this.#recorder.record({
            type: "movedOn",
            integrator: this.#name,
            from: previous.history,
            last: previous.last,
            to,
          });
        continue;
      }
      const { history, result: number, sequence, epoch } = event;
      this.last.set(history, number);
      this.#recorder.record({
        type: "result",
        integrator: this.#name,
        history,
        number,
        sequence,
        epoch,
        bytes: Buffer.from(event.bytes).toString(),
      });
    }
  }
}
