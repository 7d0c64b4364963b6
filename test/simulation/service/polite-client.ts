/** A simulated client that has one request in flight at most, sends it once, and says what it was told. */

import type { Rng } from "../../../actors/testing/world/rng.ts";
import type { Bus, Clock } from "../../../actors/world/ports.ts";
import { noRespondersStatus } from "../../../actors/world/ports.ts";
import { subjects } from "../../../schemas/subjects.ts";
import type { Workload } from "./workloads.ts";

export interface PoliteClientOptions {
  readonly service: string;
  readonly name: string;
  readonly bus: Bus;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly workload: Workload;
}

/** The code of a refusal or failure; ok. */
export type OnTold = (told: string) => void;

export class PoliteClient {
  readonly #options: PoliteClientOptions;
  #made = 0;
  #onTold: OnTold = () => undefined;

  constructor(options: PoliteClientOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {
    const { bus, name } = this.#options;
    bus.subscribe(`_INBOX.${name}.*`, ({ subject, status, data }) => {
      if (status === noRespondersStatus || subject !== `_INBOX.${name}.${this.#made}`) return;
      const { ok, error } = JSON.parse(Buffer.from(data).toString()) as { ok: boolean; error?: { code: string } };
      this.#onTold(ok ? "ok" : (error?.code ?? ""));
    });
    await bus.start((connected) => {
      if (connected && this.#made === 0) this.#send();
    });
  }

  /** Now, or as soon as it is connected. */
  ask(onTold: OnTold): void {
    this.#onTold = onTold;
    if (this.#options.bus.connected()) this.#send();
  }

  #send(): void {
    const { bus, clock, name, rng, service, workload } = this.#options;
    this.#made += 1;
    const id = `${name}-${this.#made}`;
    const body = workload.body(rng, name, id, clock.wallMs());
    const envelope = Buffer.from(JSON.stringify({ client: name, id, body, issuedAt: clock.wallMs() }));
    const reply = `_INBOX.${name}.${this.#made}`;
    bus.publish(subjects.request(service, workload.key(body), name), envelope, undefined, reply);
  }
}
