/**
 * A line to NATS over TCP: what servers, commands and clients on Node use.
 */
import { dialNats } from "./dial-nats.ts";
import { BrokerLine, type LineOptions } from "./line-nats.ts";
import type { NatsAccess } from "./log-in-nats.ts";
import { PublishBuffer } from "./publish-buffer.ts";

export interface NatsLineOptions extends Omit<LineOptions, "dial" | "outgoing" | "pace"> {
  readonly nats: NatsAccess;
}

/** Within a data center. */
const pace = { dialWithinMs: 1_000, readyWithinMs: 2_000, pingEveryMs: 500, pongWithinMs: 1_000 } as const;

export class NatsLine extends BrokerLine {
  constructor({ nats, ...options }: NatsLineOptions) {
    const { name, inboxPrefix, clock } = options;
    const dial = dialNats({ nats, name, inboxPrefix, clock, withinMs: pace.dialWithinMs });
    super({ ...options, dial, outgoing: new PublishBuffer(), pace });
  }
}
