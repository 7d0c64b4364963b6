/**
 * `twinlog replay`: every line once and in order, the tally of trades and book, duplicates compared byte for byte.
 */
import test from "ava";
import { noFaults } from "../helpers/hand-world.ts";
import { makeRig } from "./rig.ts";

const symbol = "BTCUSD";
const limit = (order: string, side: string, price: number, quantity: number) => ({
  type: "limit",
  symbol,
  order,
  side,
  price,
  quantity,
});

/** Bodies with the results that an exchange would give. */
const flow: [body: object, result: object][] = [
  [limit("b1", "buy", 100, 5), { status: "resting", order: "b1", remaining: 5, fills: [] }],
  [limit("b2", "buy", 99, 7), { status: "resting", order: "b2", remaining: 7, fills: [] }],
  [
    limit("s1", "sell", 99, 6),
    {
      status: "filled",
      order: "s1",
      remaining: 0,
      fills: [
        { maker: "b1", taker: "s1", price: 100, quantity: 5 },
        { maker: "b2", taker: "s1", price: 99, quantity: 1 },
      ],
    },
  ],
  [
    { type: "cancel", symbol, order: "nobody" },
    { status: "rejected", order: "nobody", reason: "unknown-order", remaining: 0, fills: [] },
  ],
  [limit("s2", "sell", 105, 3), { status: "resting", order: "s2", remaining: 3, fills: [] }],
  [
    { type: "replace", symbol, order: "s2", price: 104, quantity: 2 },
    { status: "resting", order: "s2", remaining: 2, fills: [] },
  ],
  [limit("a1", "buy", 90, 1), { status: "resting", order: "a1", remaining: 1, fills: [] }],
  [
    { type: "cancel", symbol, order: "a1" },
    { status: "cancelled", order: "a1", remaining: 0, fills: [] },
  ],
  [
    { type: "market", symbol, order: "m1", side: "buy", quantity: 9 },
    {
      status: "cancelled",
      order: "m1",
      remaining: 0,
      fills: [{ maker: "s2", taker: "m1", price: 104, quantity: 2 }],
    },
  ],
];

function setup() {
  const rig = makeRig();
  const results = new Map(flow.map(([body, result]) => [JSON.stringify(body), result]));
  rig.server.apply = (body) => results.get(JSON.stringify(body));
  rig.server.start();
  const lines = flow.map(([body]) => JSON.stringify(body));
  return { ...rig, lines };
}

test("trades and book are told from the replies", async (t) => {
  const { run, server, lines } = setup();
  const ran = await run(["replay", "flow.ndjson", "--trades", "t.csv", "--book", "b.csv", "--json"], {
    files: { "flow.ndjson": [...lines, ""] },
  });
  t.is(ran.err, "");
  t.is(ran.status, 0);
  t.like(JSON.parse(ran.out), { sent: 9, answered: 9, rejected: 1, unknown: 0, trades: 3, resting: 1 });
  t.is(
    ran.files.get("t.csv"),
    "request,taker,maker,price,quantity\r\n3,s1,b1,100,5\r\n3,s1,b2,99,1\r\n9,m1,s2,104,2\r\n",
  );
  t.is(ran.files.get("b.csv"), "order,side,price,remaining\r\nb2,buy,99,6\r\n");
  t.deepEqual(
    server.log.map(({ body }) => JSON.stringify(body)),
    lines,
  );
});

test("each n-th is sent again under its old id and its reply is compared", async (t) => {
  const { run, server, lines } = setup();
  const ran = await run(["replay", "f", "--resend-every", "2", "--json"], { files: { f: lines } });
  t.is(ran.status, 0);
  t.like(JSON.parse(ran.out), { duplicatesSent: 4, duplicatesEqual: 4 });
  t.is(server.log.length, 9);
});

test("a duplicate with another reply is no success", async (t) => {
  const { run, server, lines } = setup();
  server.repeat = (reply) => Buffer.from(Buffer.from(reply).toString().replace('"epoch":1', '"epoch":2'));
  const ran = await run(["replay", "f", "--resend-every", "3", "--json"], { files: { f: lines } });
  t.is(ran.status, 1);
  t.regex(ran.err, /3 duplicates got another reply; the first: line 3/);
  t.like(JSON.parse(ran.out), { duplicatesSent: 3, duplicatesEqual: 0, answered: 9 });
});

test("with the same id prefix a second run repeats the first", async (t) => {
  const { run, server, lines } = setup();
  const words = ["replay", "f", "--id-prefix", "mine-", "--book", "b.csv"];
  const first = await run(words, { files: { f: lines } });
  const second = await run(words, { files: { f: lines } });
  t.is(second.status, 0);
  t.is(server.log.length, 9);
  t.is(second.files.get("b.csv"), first.files.get("b.csv"));
});

test("requests without a reply are no success", async (t) => {
  const { run, server, lines } = setup();
  server.refuse = () => "BUSY";
  const ran = await run(["replay", "f", "--timeout", "60"], { files: { f: lines } });
  t.is(ran.status, 1);
  t.regex(ran.err, /9 of 9 requests have no reply; the first: line 1: /);
});

test("through a lossy broker and takeovers: all answered, in order", async (t) => {
  const { bus, clock, server, run } = setup();
  server.apply = (body) => ({ status: "resting", order: (body as { order: string }).order, remaining: 1, fills: [] });
  const lines = Array.from({ length: 400 }, (_, n) => JSON.stringify(limit(`o${n}`, "buy", 1, 1)));
  bus.faults = { drop: 0.01, repeat: 0.02, delayMs: [0, 2] };
  const takeovers = [15, 60, 110].map((afterMs) =>
    clock.after(afterMs, () => {
      server.die(2);
      clock.after(10, () => server.start());
    }),
  );
  const ran = await run(["replay", "f", "--in-flight", "32", "--resend-every", "10", "--json"], {
    files: { f: lines },
  });
  bus.faults = noFaults;
  for (const takeover of takeovers) takeover.cancel();
  t.is(ran.err, "");
  t.is(ran.status, 0);
  t.like(JSON.parse(ran.out), { sent: 400, answered: 400, duplicatesSent: 40, duplicatesEqual: 40, resting: 400 });
  t.deepEqual(
    server.log.map(({ body }) => JSON.stringify(body)),
    lines,
  );
});

test("a line that is no JSON is named", async (t) => {
  const { run, lines } = setup();
  const ran = await run(["replay", "-"], { input: `${lines[0]}\n{` });
  t.is(ran.status, 1);
  t.regex(ran.err, /line 2 is not JSON/);
});
