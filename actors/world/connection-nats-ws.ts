/**
 * A line to NATS over WebSockets: what clients in browsers use.
 */
import { dialWebSockets, type WebSocketAccess } from "./dial-nats-ws.ts";
import { BrokerLine, type LineOptions } from "./line-nats.ts";
import { PublishParts } from "./publish-parts.ts";

export interface WebSocketLineOptions extends Omit<LineOptions, "dial" | "outgoing" | "pace"> {
  readonly nats: WebSocketAccess;
}

/** A handheld's way to the broker may be long, and its radio asleep. */
const pace = { dialWithinMs: 10_000, readyWithinMs: 15_000, pingEveryMs: 2_000, pongWithinMs: 4_000 } as const;

export class WebSocketLine extends BrokerLine {
  constructor({ nats, ...options }: WebSocketLineOptions) {
    const { name, inboxPrefix, clock } = options;
    const dial = dialWebSockets({ nats, name, inboxPrefix, clock, withinMs: pace.dialWithinMs });
    super({ ...options, dial, outgoing: new PublishParts(), pace });
  }
}
