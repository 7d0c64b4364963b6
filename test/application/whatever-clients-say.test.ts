/**
 * Whatever bytes a client sends, on whatever subject: the door gives a request that fits, or a refusal that is a reply of this
 * service, and nothing else is thrown. The same for a settings file that a person wrote.
 */
import { isUtf8 } from "node:buffer";
import test from "ava";
import * as fc from "fast-check";
import { BodyParser } from "../../actors/application/body.ts";
import { parseQuery, parseRequest } from "../../actors/application/front.ts";
import { exchange } from "../../actors/applications/exchange/exchange.ts";
import { type BusMessage, noWatchdog } from "../../actors/world/ports.ts";
import { parseJson } from "../../deploy/json-text.ts";
import { Reply } from "../../schemas/envelope.ts";
import { Settings } from "../../schemas/settings.ts";
import { encodeToken } from "../../schemas/subjects.ts";
import { runs } from "../helpers/property-runs.ts";

const maxBytes = 4_096;
const parser = new BodyParser(exchange);
const guard = { watchdog: noWatchdog, endedByBody: () => false, isKnown: () => false };

const order = { type: "limit", symbol: "BTC", order: "o1", side: "buy", price: 1, quantity: 1 };
/** Values that turn up where another one is meant. */
const odd = fc.oneof(
  fc.constantFrom(null, true, -0, 1e308, 2 ** 53, "", "__proto__", "\ud800", [], {}, "x".repeat(300)),
  fc.jsonValue({ maxDepth: 3 }),
);
const text = fc.oneof(fc.constantFrom("alice", "BTC", "é", "\u0000", "=", ".", "*"), fc.string({ maxLength: 200 }));
const envelope = fc.record(
  {
    client: fc.oneof(text, odd),
    id: fc.oneof(text, odd),
    body: fc.oneof(fc.constant(order), odd),
    after: fc.oneof(text, odd),
    issuedAt: odd,
    resend: odd,
    extra: odd,
  },
  { requiredKeys: ["client"] },
);
const data = fc.oneof(
  fc.uint8Array({ maxLength: 300 }),
  envelope.map((value) => Buffer.from(JSON.stringify(value))),
  envelope.chain((value) => {
    const bytes = Buffer.from(JSON.stringify(value));
    return fc.nat(bytes.length).map((length) => bytes.subarray(0, length));
  }),
  fc.constantFrom(0xff, 0x5c).map((byte) => {
    // A byte within the body's text, and a message that is longer than one may be.
    const bytes = Buffer.from(JSON.stringify({ client: "alice", id: "1", body: { ...order, order: "oxx" } }));
    bytes[bytes.indexOf("oxx") + 1] = byte;
    return byte === 0xff
      ? bytes
      : Buffer.from(`{"client":"alice","id":"1","body":${JSON.stringify(order)}}`.padEnd(maxBytes + 1));
  }),
);
const subject = fc.oneof(
  fc.tuple(text, text).map(([key, client]) => `exchange.request.${encodeToken(key)}.${encodeToken(client)}`),
  text.map((client) => `exchange.request.BTC.${encodeToken(client)}`),
  fc.string({ maxLength: 40 }),
);

function messageOf(on: string, bytes: Uint8Array): BusMessage {
  return { subject: on, data: bytes, reply: "_INBOX.x", status: undefined, headers: undefined };
}

function isReply(bytes: Uint8Array): boolean {
  const reply = Reply.parse(JSON.parse(Buffer.from(bytes).toString()));
  return !reply.ok && !reply.error.executed && bytes.length < maxBytes;
}

test("requests and queries of any bytes are parsed, or refused in a reply", (t) => {
  t.notThrows(() =>
    fc.assert(
      fc.property(subject, data, (on, bytes) => {
        const request = parseRequest(messageOf(on, bytes), parser, maxBytes, guard);
        const query = parseQuery(messageOf(on.replace(".request.", ".query."), bytes), maxBytes);
        const isRead = bytes.length <= maxBytes && isUtf8(bytes);
        for (const parsed of [request, query]) if (parsed.ok ? !isRead : !isReply(parsed.refusal)) return false;
        return !request.ok || (request.value.key.length <= 128 && request.value.client.length <= 128);
      }),
      { numRuns: runs(4_000) },
    ),
  );
});

test("what is well formed comes through, so that the others are refused for a reason", (t) => {
  const bytes = Buffer.from(JSON.stringify({ client: "alice", id: "1", body: order }));
  t.true(parseRequest(messageOf("exchange.request.BTC.alice", bytes), parser, maxBytes, guard).ok);
});

test("a request or query in whose envelope another client stands than in its subject is refused", (t) => {
  const bytes = Buffer.from(JSON.stringify({ client: "alice", id: "1", body: order }));
  for (const client of ["bob", "Alice", "alice=2E", "alice.bob", "*", ""]) {
    const on = messageOf(`exchange.request.BTC.${client}`, bytes);
    const asked = messageOf(`exchange.query.BTC.${client}`, bytes);
    for (const parsed of [parseRequest(on, parser, maxBytes, guard), parseQuery(asked, maxBytes)]) {
      t.false(parsed.ok, client);
      if (!parsed.ok) t.regex(Buffer.from(parsed.refusal).toString(), /INVALID_REQUEST.*last token/);
    }
  }
  t.true(parseQuery(messageOf("exchange.query.BTC.alice", bytes), maxBytes).ok);
});

const settings = {
  service: "exchange",
  server: "alpha",
  servers: [{ name: "alpha", port: 7000 }],
  dataDirectory: "data",
};

test("a settings file of any text is read, or refused in words", (t) => {
  const value = fc.oneof(
    odd,
    fc
      .tuple(fc.constantFrom(...Object.keys(settings), "limits", "nats", "mainLink", "confirm"), odd)
      .map(([name, other]) => ({ ...settings, [name]: other })),
  );
  const file = fc.oneof(
    fc.uint8Array({ maxLength: 100 }),
    value.map((given) => Buffer.from(JSON.stringify(given) ?? "")),
  );
  t.notThrows(() =>
    fc.assert(
      fc.property(file, (bytes) => {
        let json: unknown;
        try {
          json = parseJson(bytes);
        } catch (error) {
          return error instanceof Error && error.message.length > 0;
        }
        const read = Settings.safeParse(json);
        return read.success || read.error.issues.length > 0;
      }),
      { numRuns: runs(2_000) },
    ),
  );
  t.true(Settings.safeParse(settings).success);
});
