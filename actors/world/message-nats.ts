/**
 * Messages between the client library and the ports: what came in is decoded only as far as somebody looks, and headers
 * go out as bytes that were put together once.
 */
import type { Msg, MsgHdrs } from "nats";
import type { BusHeaders, BusMessage } from "./ports.ts";

/** A message of the bus, decoded as far as somebody looks. */
export class LineMessage implements BusMessage {
  readonly #message: Msg;

  constructor(message: Msg) {
    this.#message = message;
  }

  get subject(): string {
    return this.#message.subject;
  }

  get data(): Uint8Array {
    return this.#message.data;
  }

  get reply(): string {
    return this.#message.reply ?? "";
  }

  get status(): number | undefined {
    const code = this.#headers()?.code ?? 0;
    return code === 0 ? undefined : code;
  }

  get headers(): BusHeaders | undefined {
    const found = this.#headers();
    return found === undefined ? undefined : Object.fromEntries(found.keys().map((name) => [name, found.get(name)]));
  }

  /** Undefined also when they are malformed: anyone may send anything, and the library throws at some of it. */
  #headers(): MsgHdrs | undefined {
    try {
      return this.#message.headers;
    } catch {
      return undefined;
    }
  }
}

/** The library asks its headers object for nothing but the bytes. */
export function encodedHeaders(text: string): MsgHdrs {
  return { encode: () => Buffer.from(text) } as unknown as MsgHdrs;
}
