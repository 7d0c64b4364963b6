/**
 * Claims 7 to 10, 20, 22 to 24, 27, 30, 32 and 37: the networks, what a message is, and the way from a message to its
 * acknowledgement. One pair for all; alpha is the primary but for the last test. Nothing is flushed unless a test asks for it.
 */
import test from "ava";
import { exchange } from "../../actors/applications/exchange/exchange.ts";
import { connect } from "../../actors/index.ts";
import { subjects } from "../../schemas/subjects.ts";
import { buy, Orders, sameLogs } from "../helpers/orders.ts";
import { DelayProxy } from "../helpers/pair/delay-proxy.ts";
import { readDisk } from "../helpers/pair/disk.ts";
import { type Pair, sharedPair } from "../helpers/pair/pair.ts";
import { until } from "../helpers/until.ts";
import { askOverTcp } from "./bare-client.ts";

const shared = sharedPair(test, { proxied: true, limits: { flushMs: 60_000, flushRecords: 1_000_000 } });

/** What servers say to each other about records, on each of their links, as text. */
class Wire {
  main = "";
  failsafe = "";
  readonly #pair: Pair;
  readonly #stop: () => void;

  constructor(pair: Pair) {
    this.#pair = pair;
    pair.mainLink.tamper = (chunk) => {
      this.main += chunk.toString("latin1");
      return chunk;
    };
    const subscription = pair.raw.subscribe(subjects.actor(pair.service, "beta", "replication"), {
      callback: (_error, { data }) => {
        this.failsafe += Buffer.from(data).toString("latin1");
      },
    });
    this.#stop = () => subscription.unsubscribe();
  }

  forget(): void {
    this.main = "";
    this.failsafe = "";
  }

  stop(): void {
    this.#pair.mainLink.tamper = (chunk) => chunk;
    this.#stop();
  }
}

/** A request that is not waited for; `text` is its reply once it has come. */
function begin(pair: Pair, body: object, client: string, id: string): { text: string } {
  const pending = { text: "" };
  void pair.ask(body, { client, id, timeoutMs: 30_000 }).then(
    ({ text }) => {
      pending.text = text;
    },
    () => undefined,
  );
  return pending;
}

test.serial(
  "7. Clients reach the servers over one network (NATS), the servers reach each other over a second one",
  async (t) => {
    const pair = shared.current;
    t.is((await pair.normal()).primary, "alpha");
    // They may be in sync over the other link before this one is up.
    for (const name of ["alpha", "beta"]) await pair.waitFor(name, ({ links }) => links.main === "up");
    const wire = new Wire(pair);
    const orders = new Orders(pair, "claim7");
    await orders.send(5);
    await pair.waitFor("beta", ({ sequence }) => sequence >= 5);
    wire.stop();
    t.true(wire.main.includes('"client":"claim7","id":"5"'), "the record's reply crossed the main link");
    t.false(wire.failsafe.includes("claim7"), "and did not go over the clients' network");
  },
);

test.serial(
  "8. The servers' network has a main link and a failsafe link: when the main link is cut, the mirror goes over NATS, and back, and no record is lost or comes twice",
  async (t) => {
    const pair = shared.current;
    const { epoch } = await pair.newStatus("alpha");
    const before = pair.events.length;
    const client = await pair.client({ client: "claim8", application: exchange, maxInFlight: 64 });
    const results: string[] = [];
    const reader = client.results({ filter: { client: "claim8" } });
    const reading = (async () => {
      for await (const event of reader) {
        if (event.type === "result") results.push(event.reply.id);
        if (results.length === 600) return;
      }
    })();
    const wire = new Wire(pair);
    let sent = 0;
    const send = (count: number) =>
      Array.from({ length: count }, () => {
        sent += 1;
        return client.request(buy(sent, "CLAIM8"), { id: String(sent) });
      });

    // Cut in the middle of what is in flight.
    const first = send(200);
    await first[40];
    await pair.mainLink.cut();
    await Promise.all(first);
    await pair.waitFor("alpha", ({ links }) => links.main === "down" && links.failsafe === "up");
    wire.forget();
    await Promise.all(send(200));
    t.is((await pair.newStatus("beta")).role, "backup");
    t.true(wire.failsafe.includes('"id":"400"'), "records went over NATS");
    t.is(wire.main, "");

    // Back in the middle of what is in flight.
    const last = send(100);
    await pair.mainLink.listen();
    await Promise.all(last);
    await pair.waitFor("alpha", ({ links }) => links.main === "up");
    wire.forget();
    await Promise.all(send(100));
    t.true(wire.main.includes('"id":"600"'), "records went over the main link again");
    t.false(wire.failsafe.includes('"id":"600"'));
    wire.stop();

    await reading;
    t.deepEqual(
      results,
      Array.from({ length: 600 }, (_, at) => String(at + 1)),
    );
    t.deepEqual(
      pair.events.slice(before).map(({ event }) => event),
      [],
      "nobody changed its role",
    );
    t.is((await pair.newStatus("alpha")).epoch, epoch);
    await sameLogs(t, pair, ["alpha", "beta"]);
  },
);

test.serial("10. A client may be the smallest of devices: a few lines over a bare TCP socket are enough", async (t) => {
  const pair = shared.current;
  const subject = subjects.request(pair.service, "CLAIM10", "pager");
  const envelope = { client: "pager", id: "1", body: buy(1, "CLAIM10") };
  const text = await askOverTcp(pair.nats.port, subject, envelope);
  t.like(JSON.parse(text), { client: "pager", id: "1", ok: true, result: { status: "resting", order: "o1" } });
  t.is(await askOverTcp(pair.nats.port, subject, envelope), text, "and it may ask again");
});

test.serial(
  "20. The replication agents of both servers talk to each other and keep the mirror image, also of what one of them missed",
  async (t) => {
    const pair = shared.current;
    const orders = new Orders(pair, "claim20");
    const counts = async (name: string) => {
      const { sent, received } = await pair.report(name, "replication");
      return { sent: Number(sent), received: Number(received) };
    };
    const before = { alpha: await counts("alpha"), beta: await counts("beta") };
    await orders.send(10);
    for (const name of ["alpha", "beta"] as const) {
      const now = await counts(name);
      t.true(now.sent > before[name].sent && now.received > before[name].received);
    }
    await sameLogs(t, pair, ["alpha", "beta"]);
    await pair.server("beta").kill();
    await orders.send(30);
    pair.server("beta").start();
    await orders.send(30);
    await pair.normal();
    await orders.send(5);
    const disk = await sameLogs(t, pair, ["alpha", "beta"]);
    t.is(disk.records.filter(({ client, kind }) => client === "claim20" && kind === "final").length, 75);
  },
);

test.serial(
  "22. A duplicate is recognized and answered with the stored record's result, byte for byte, and not processed",
  async (t) => {
    const pair = shared.current;
    const orders = new Orders(pair, "claim22");
    const [first] = await orders.send(1);
    t.false(first?.duplicate);
    const again = await orders.again(1);
    t.is(again.text, first?.text ?? "");
    t.true(again.duplicate);

    // Copies that come while the first is in progress join it.
    const copies = await Promise.all(
      Array.from({ length: 8 }, () => pair.ask(buy(2, "CLAIM22"), { client: "claim22", id: "2" })),
    );
    t.is(new Set(copies.map(({ text }) => text)).size, 1);
    t.is(await orders.resting(), 2);

    const reused = await pair.ask(buy(3, "CLAIM22"), { client: "claim22", id: "1" });
    t.is(reused.reply.error?.code, "ID_REUSED");
    t.is(await orders.resting(), 2);
    t.is(
      (await pair.ask(buy(1, "CLAIM22X"), { client: "another", id: "1" })).duplicate,
      false,
      "ids are each client's own",
    );
  },
);

test.serial(
  "23. A message has an identifier of its client, one of its own, and a body; without one of them it is no message",
  async (t) => {
    const pair = shared.current;
    const { sequence } = await pair.newStatus("alpha");
    const body = buy(1, "CLAIM23");
    const subject = subjects.request(pair.service, "CLAIM23", "claim23");
    const whole = { client: "claim23", id: "m-1", body };
    for (const missing of ["client", "id", "body"] as const) {
      const { [missing]: _, ...rest } = whole;
      const answer = (await pair.raw.request(subject, JSON.stringify(rest))).json<{
        error: { code: string; executed: boolean };
      }>();
      t.like(answer.error, { code: "INVALID_REQUEST", executed: false }, missing);
    }
    t.is((await pair.newStatus("alpha")).sequence, sequence, "nothing of it is in the log");
    t.true((await pair.ask(body, { client: "claim23", id: "m-1" })).reply.ok);
    await pair.control("alpha", "flush");
    const record = (await readDisk(pair, "alpha", exchange)).records.find(({ client }) => client === "claim23");
    t.like(record, { client: "claim23", id: "m-1", sequence: sequence + 1 });
  },
);

test.serial("24. A message's body asks to buy or to sell a financial instrument", async (t) => {
  const pair = shared.current;
  const order = (side: "buy" | "sell", id: string, quantity: number) =>
    pair.ask(
      { type: "limit", symbol: "BTCUSD", order: id, side, price: 7_831_800, quantity },
      { client: "trader", id },
    );
  t.like((await order("sell", "s1", 100)).reply.result, { status: "resting", remaining: 100, fills: [] });
  t.deepEqual((await order("buy", "b1", 30)).reply.result, {
    status: "filled",
    order: "b1",
    remaining: 0,
    fills: [{ maker: "s1", taker: "b1", price: 7_831_800, quantity: 30 }],
  });
  t.is(
    (await pair.ask({ type: "lend", symbol: "BTCUSD" }, { client: "trader", id: "x" })).reply.error?.code,
    "INVALID_REQUEST",
  );
});

test.serial(
  "27. A request is received, processed as a transaction, saved in the primary's memory, mirrored in the backup's, and acknowledged only when that is confirmed",
  async (t) => {
    const pair = shared.current;
    const orders = new Orders(pair, "claim27");
    await orders.send(1);
    await pair.normal();
    const before = await pair.newStatus("alpha");
    t.is(before.committed, before.sequence);

    // A backup that is paused confirms nothing.
    pair.server("beta").signal("SIGSTOP");
    const pending = begin(pair, buy(2, "CLAIM27"), "claim27", "2");
    const saved = await pair.waitFor("alpha", ({ sequence }) => sequence === before.sequence + 1);
    t.is(saved.committed, before.sequence, "the record is in the primary's memory, and its commit is asked for");
    for (let n = 0; n < 10; n += 1) {
      const status = await pair.newStatus("alpha");
      t.is(status.committed, before.sequence);
      t.is(pending.text, "", "no acknowledgement without a confirm");
    }
    pair.server("beta").signal("SIGCONT");
    await until(() => pending.text, { withinMs: 20_000, waitedFor: "the acknowledgement" });
    t.like(JSON.parse(pending.text), { ok: true, sequence: saved.sequence });
    const mirrored = await pair.waitFor("beta", ({ sequence }) => sequence >= saved.sequence);
    t.is(mirrored.flushed < saved.sequence && mirrored.synced < saved.sequence, true, "in memory, not on the disk");
    t.is((await pair.newStatus("alpha")).epoch, before.epoch);
  },
);

test.serial("30. The steps are repeated for every further message", async (t) => {
  const pair = shared.current;
  const { sequence } = await pair.newStatus("alpha");
  const client = await pair.client({ client: "claim30", application: exchange, maxInFlight: 32 });
  const answers = await Promise.all(Array.from({ length: 300 }, (_, n) => client.request(buy(n, "CLAIM30"))));
  t.deepEqual(
    answers.map((answer) => answer.sequence),
    Array.from({ length: 300 }, (_, n) => sequence + 1 + n),
    "one record each, in the order of the messages",
  );
  const disk = await sameLogs(t, pair, ["alpha", "beta"]);
  t.deepEqual(
    disk.records.map((record) => record.sequence),
    Array.from({ length: disk.last }, (_, n) => n + 1),
  );
});

test.serial("32. For a duplicate the stored result is returned and all other steps are left out", async (t) => {
  const pair = shared.current;
  const orders = new Orders(pair, "claim32");
  const replies = await orders.send(3);
  const last = replies.at(-1)?.reply.sequence ?? 0;
  await pair.waitFor("beta", ({ committed }) => committed >= last);
  const wire = new Wire(pair);
  for (const n of [3, 1, 2, 3]) t.is((await orders.again(n)).text, replies[n - 1]?.text ?? "");
  const [alpha, beta] = [await pair.newStatus("alpha"), await pair.newStatus("beta")];
  wire.stop();
  t.is(alpha.sequence, last, "no record was saved");
  t.is(beta.sequence, last);
  t.false(wire.main.includes("claim32") || wire.failsafe.includes("claim32"), "nothing was mirrored");
  t.is(await orders.resting(), 3, "nothing was processed");
});

test.serial(
  "37. A primary asks for a record to be mirrored, and acknowledges its commit when that request is confirmed, not before",
  async (t) => {
    const pair = shared.current;
    await pair.normal();
    const before = await pair.newStatus("alpha");
    const wire = new Wire(pair);
    // Everybody lives; only the way of the mirror is silent.
    await pair.onMainLink();
    pair.mainLink.freeze();
    const pending = begin(pair, buy(1, "CLAIM37"), "claim37", "1");
    const saved = await pair.waitFor("alpha", ({ sequence }) => sequence === before.sequence + 1);
    t.is(saved.committed, before.sequence);
    for (let n = 0; n < 10; n += 1) {
      t.is((await pair.newStatus("beta")).sequence, before.sequence);
      t.is(pending.text, "");
    }
    pair.mainLink.thaw();
    await until(() => pending.text, { withinMs: 20_000, waitedFor: "the acknowledgement" });
    wire.stop();
    t.true(wire.main.includes("claim37"), "the request to mirror went out");
    t.true((await pair.waitFor("beta", ({ sequence }) => sequence > before.sequence)).sequence > before.sequence);
    t.is((await pair.newStatus("alpha")).epoch, before.epoch);
  },
);

test.serial(
  "9. Over a wide-area network clients see the same, later: same results, same order, once each, also while a server is lost",
  async (t) => {
    const pair = shared.current;
    const oneWayMs = 40;
    const proxy = new DelayProxy(pair.nats.port, { oneWayMs, jitterMs: 30 });
    await proxy.listen();
    const common = { service: pair.service, application: exchange, maxInFlight: 64 };
    const far = await connect({ ...common, client: "far", nats: `nats://127.0.0.1:${proxy.port}` });
    const near = await connect({ ...common, client: "near", nats: pair.nats.url });
    t.teardown(async () => {
      await Promise.all([far.disconnect(), near.disconnect()]);
      await proxy.close();
    });
    const flow = (symbol: string) => (n: number) =>
      ({
        type: "limit",
        symbol,
        order: `o${n}`,
        side: n % 3 === 0 ? "sell" : "buy",
        price: 100 + (n % 7),
        quantity: 2,
      }) as const;

    const since = performance.now();
    await far.request(flow("FAR")(0));
    t.true(performance.now() - since >= 2 * oneWayMs, "the delay is real");
    await near.request(flow("NEAR")(0));

    const run = async (client: typeof far, symbol: string) => {
      const answers = Array.from({ length: 300 }, (_, n) => client.request(flow(symbol)(n + 1)));
      await answers[100];
      return answers;
    };
    const [farAnswers, nearAnswers] = [await run(far, "FAR"), await run(near, "NEAR")];
    await pair.server("alpha").kill();
    const [overFar, overNear] = [await Promise.all(farAnswers), await Promise.all(nearAnswers)];
    t.deepEqual(
      overFar.map(({ result }) => result),
      overNear.map(({ result }) => result),
    );
    for (const answers of [overFar, overNear]) {
      const sequences = answers.map(({ sequence }) => sequence);
      t.deepEqual(
        sequences,
        [...new Set(sequences)].sort((one, other) => one - other),
      );
    }
    t.is((await pair.waitForMode("backup-only")).primary, "beta");
  },
);
