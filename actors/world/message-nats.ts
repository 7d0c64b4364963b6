/**
 * Messages between the client library and the ports: what came in is decoded only as far as somebody looks, and headers
 * go out as bytes that were put together once.
 */
import type { Msg, MsgHdrs } from "nats";
import { utf8Bytes } from "../../schemas/utf8.ts";
import { must } from "./must.ts";
import type { BusHeaders, BusMessage } from "./ports.ts";

/** What we use of the library beyond its types: the bytes of subject, reply subject, headers and data. */
interface Sized {
  size(): number;
}

/** Headers that make more than this, with the message's subjects, are not read: anyone may send them, and reading costs more than sending. */
const maxHeaderBytes = 8 * 1024;

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

  /** Undefined also when they are too many or malformed: anyone may send anything, and the library throws at some of it. */
  #headers(): MsgHdrs | undefined {
    const message = this.#message;
    const bytes = (message as unknown as Sized).size() - message.data.length;
    if (bytes > maxHeaderBytes) return undefined;
    try {
      return message.headers;
    } catch {
      return undefined;
    }
  }
}

/** The library asks its headers object for nothing but the bytes. */
export function encodedHeaders(text: string): MsgHdrs {
  return { encode: () => utf8Bytes(text) } as unknown as MsgHdrs;
}

/** What ends a word of the protocol. Other white space is legal, and comes in reply subjects of others. */
const separator = /[ \t\r\n]/;

/** What stands before a message in the broker's protocol. `total`: bytes of headers and data. */
export function publishLine(subject: string, reply: string, headerBytes: number, total: number): string {
  must(subject.length > 0 && !separator.test(subject), "a subject has no spaces");
  must(!separator.test(reply), "a reply subject has no spaces");
  const target = reply === "" ? subject : `${subject} ${reply}`;
  return headerBytes === 0 ? `PUB ${target} ${total}\r\n` : `HPUB ${target} ${headerBytes} ${total}\r\n`;
}

/** Headers in the form of the protocol; "" for none. */
export function headerText(headers: BusHeaders | undefined): string {
  if (headers === undefined) return "";
  let text = "";
  for (const name in headers) {
    const value = headers[name] ?? "";
    must(!/[\r\n]/.test(value), `the header ${name} has more than one line`);
    text += `${name}: ${value}\r\n`;
  }
  return text === "" ? "" : `NATS/1.0\r\n${text}\r\n`;
}
