/**
 * Messages that are no requests: each must be refused as INVALID_REQUEST, on the door of client `eve` and key `BTC`.
 */

export const order = (name: string) => ({
  type: "limit",
  symbol: "BTC",
  order: name,
  side: "buy",
  price: 1,
  quantity: 1,
});
export const envelope = (change: Record<string, unknown> = {}) => ({
  client: "eve",
  id: "1",
  body: order("o"),
  ...change,
});
export const deep = (levels: number) => "[".repeat(levels) + "]".repeat(levels);
const deepObject = (levels: number) => `${'{"a":'.repeat(levels)}1${"}".repeat(levels)}`;
export const withBody = (body: string) => `{"client":"eve","id":"1","body":${body}}`;
export const good = JSON.stringify(envelope());

export const messages: readonly [what: string, data: string | Uint8Array][] = [
  ["nothing at all", ""],
  ["a truncated envelope", good.slice(0, -1)],
  ["half an envelope", good.slice(0, good.length / 2)],
  ["two envelopes", good + good],
  ["something behind it", `${good}x`],
  ["no JSON", "order, please"],
  ["zero bytes", new Uint8Array(100)],
  ["random bytes", Uint8Array.from({ length: 500 }, (_, index) => (index * 167 + 13) % 256)],
  ["invalid UTF-8", Buffer.concat([Buffer.from('{"client":"eve'), Buffer.from([0xff, 0xc0, 0x80]), Buffer.from('"}')])],
  [
    "an overlong encoding",
    Buffer.concat([Buffer.from(good.slice(0, -1)), Buffer.from([0xc0, 0xaf]), Buffer.from("}")]),
  ],
  ["a byte-order mark of another encoding", Buffer.from(`\ufeff${good}`, "utf16le")],
  ["null", "null"],
  ["a number", "7"],
  ["a list", "[]"],
  ["a text", '"eve"'],
  ["an empty object", "{}"],
  ["no client", JSON.stringify(envelope({ client: undefined }))],
  ["no id", JSON.stringify(envelope({ id: undefined }))],
  ["no body", JSON.stringify(envelope({ body: undefined }))],
  ["an empty id", JSON.stringify(envelope({ id: "" }))],
  ["an id that is a number", JSON.stringify(envelope({ id: 1 }))],
  ["an id with a control character", JSON.stringify(envelope({ id: "a\u0000b" }))],
  ["an id with a lone surrogate", '{"client":"eve","id":"\\ud800","body":{}}'],
  ["an id that is too long", JSON.stringify(envelope({ id: "x".repeat(129) }))],
  ["an after that is a list", JSON.stringify(envelope({ after: [] }))],
  ["a stamp that is a text", JSON.stringify(envelope({ issuedAt: "now" }))],
  ["a stamp that is negative", JSON.stringify(envelope({ issuedAt: -1 }))],
  ["a stamp that is a fraction", JSON.stringify(envelope({ issuedAt: 1.5 }))],
  ["a stamp without end", '{"client":"eve","id":"1","body":{},"issuedAt":1e400}'],
  ["a stamp far in the future", JSON.stringify(envelope({ issuedAt: Number.MAX_SAFE_INTEGER }))],
  ["a resend that is a text", JSON.stringify(envelope({ resend: "yes" }))],
  ["an unknown field", JSON.stringify(envelope({ extra: 1 }))],
  ["an unknown field in the body", JSON.stringify(envelope({ body: { ...order("o"), extra: 1 } }))],
  ["__proto__ in the envelope", `{"__proto__":{"client":"alice"},${good.slice(1)}`],
  ["__proto__ instead of the fields", `{"__proto__":${good}}`],
  [
    "__proto__ in the body",
    withBody(`{"__proto__":{"quantity":1},${JSON.stringify({ ...order("o"), quantity: undefined }).slice(1)}`),
  ],
  ["constructor in the body", withBody(`{"constructor":{"prototype":{}},${JSON.stringify(order("o")).slice(1)}`)],
  ["a body that is null", withBody("null")],
  ["a body of another type", withBody('"limit"')],
  ["an order of no type that is known", JSON.stringify(envelope({ body: { ...order("o"), type: "toString" } }))],
  ["a negative quantity", JSON.stringify(envelope({ body: { ...order("o"), quantity: -1 } }))],
  [
    "a quantity beyond what is exact",
    withBody(JSON.stringify(order("o")).replace('"quantity":1', '"quantity":9007199254740993')),
  ],
  ["a price that is a text", JSON.stringify(envelope({ body: { ...order("o"), price: "1" } }))],
  ["a symbol with wildcards", JSON.stringify(envelope({ body: { ...order("o"), symbol: ">" } }))],
  ["lists 100,000 deep", deep(100_000)],
  ["a body of lists 100,000 deep", withBody(deep(100_000))],
  ["a body of objects, deep", withBody(deepObject(40_000))],
  ["lists that never end", "[".repeat(200_000)],
  ["a field of the body, deep", withBody(JSON.stringify(order("o")).replace('"BTC"', deep(100_000)))],
  ["an id, deep", `{"client":"eve","id":${deep(100_000)},"body":{}}`],
  [
    "100,000 unknown fields' worth of text",
    withBody(`{${Array.from({ length: 15_000 }, (_, index) => `"f${index}":${index}`).join(",")}}`),
  ],
  ["another client than the subject's", JSON.stringify(envelope({ client: "alice" }))],
  ["another key than the subject's", JSON.stringify(envelope({ body: { ...order("o"), symbol: "ETH" } }))],
];
