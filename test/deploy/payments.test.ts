/** The payments of deploy/examples: cards are charged once, wherever a server dies around the call, and however late the answer is. */
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import process from "node:process";
import { fileURLToPath } from "node:url";
import test, { type ExecutionContext } from "ava";
import { atEveryCrash, testApplication } from "../../actors/testing/index.ts";
import { cards } from "../../deploy/examples/payments/cards.ts";
import { payments } from "../../deploy/examples/payments/payments.ts";
import { startPair } from "../helpers/pair/pair.ts";

const built = fileURLToPath(new URL("../../deploy/examples/payments/payments.js", import.meta.url));

type At = NonNullable<Parameters<typeof cards>[0]>;

/** A card service on a port of its own; until the test's end it hears what `at` lets it. */
async function service(t: ExecutionContext, at?: At) {
  const { server, charges } = cards(at);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  return { server, charges, url };
}

test("a card is charged once, whether the primary is killed before, while or after the card service is asked", async (t) => {
  const moments = ["come", "charged", "answered", "later"] as const;
  let killAt: (typeof moments)[number] | null = null;
  let kill = async (): Promise<void> => undefined;
  const killOnce = async (moment: string) => {
    if (killAt !== moment) return;
    killAt = null;
    await kill();
  };
  const { server, charges, url } = await service(t, killOnce);
  server.on("request", (_request, response) => response.on("finish", () => void killOnce("answered")));
  const pair = await startPair(t, {
    service: "payments",
    application: built,
    restartMs: 300,
    proxied: true,
    environment: { CARD_URL: url },
  });
  kill = async () => {
    const { primary } = await pair.normal();
    await pair.server(primary).kill();
  };
  const client = await pair.client<typeof payments>({ client: "shop", application: payments });
  let newest = 0;
  for (const [n, moment] of moments.entries()) {
    const body = { order: `o${n}`, card: `card${n}`, cents: 100 + n };
    await pair.normal();
    killAt = moment;
    const { result } = await client.request(body, { id: `r${n}`, deadlineMs: 60_000 });
    t.like(result, { status: "charged" }, moment);
    if (moment === "later") await kill();
    const again = await client.request(body, { id: `again${n}`, deadlineMs: 60_000 });
    t.deepEqual(again.result, result, "another request for the same order charges nothing");
    newest = again.sequence;
  }

  // Nothing is confirmed any more: the key is on the primary's log alone, and dies with it before anybody is asked.
  const { primary } = await pair.normal();
  await pair.onMainLink();
  pair.mainLink.freeze();
  const last = moments.length;
  const body = { order: `o${last}`, card: `card${last}`, cents: 100 + last };
  const answer = client.request(body, { id: `r${last}`, deadlineMs: 60_000 });
  const asked = await pair.waitFor(primary, ({ sequence, committed }) => sequence > Math.max(committed, newest));
  await pair.waitFor(primary, ({ atMs }) => atMs > asked.atMs + 1_000, { waitedFor: "a call that is not made" });
  t.is(charges.size, last, "it waits for the commit");
  await pair.server(primary).kill();
  await pair.mainLink.cut();
  await pair.mainLink.listen();
  pair.mainLink.thaw();
  t.like((await answer).result, { status: "charged" });

  const made = [...charges.values()];
  t.deepEqual(
    made.map(({ card, cents }) => [card, cents]),
    [...moments, "not committed"].map((_, n) => [`card${n}`, 100 + n]),
  );
  // Of the first two nobody was told: they were asked for again, under the same key.
  t.true(made.slice(0, 2).every(({ asked }) => asked >= 2));
  for (const [n, key] of [...charges.keys()].entries()) {
    const { result } = await client.query<{ key: string; status: string }>({ query: "payment", order: `o${n}` });
    t.like(result, { key, status: "charged" });
  }
});

test.serial(
  "a card service that is too slow is asked again, also by the next request; what is declined is no error",
  async (t) => {
    let isSlow = true;
    let release = (): void => undefined;
    const slow = new Promise<void>((resolve) => {
      release = resolve;
    });
    const { charges, url } = await service(t, async (moment) => (isSlow && moment === "charged" ? slow : undefined));
    process.env.CARD_URL = url;
    const app = testApplication(payments, { limits: { handlerMs: 300 } });
    const body = { order: "o1", card: "card", cents: 5 };
    const { message } = await t.throwsAsync(app.request(body), { code: "APPLICATION_ERROR" });
    t.regex(message, /handler|time|abort/i);
    t.deepEqual(
      [...charges.values()].map(({ cents }) => cents),
      [5],
      "it is charged, and nobody knows",
    );
    isSlow = false;
    release();
    t.deepEqual((await app.request(body)).result, { status: "charged", charge: "ch_1" });
    t.is(charges.size, 1);
    t.deepEqual((await app.request({ ...body, cents: 6 })).result, { status: "another", charge: null });
    t.like((await app.request({ order: "o2", card: "empty", cents: 1 })).result, { status: "declined" });
    app.close();
  },
);

test.serial("wherever a server dies in it, one charge is made", async (t) => {
  let runs = 0;
  const { charges, url } = await service(t);
  process.env.CARD_URL = url;
  await atEveryCrash(payments, async (app) => {
    runs += 1;
    const { result } = await app.request({ order: "o1", card: "card", cents: 5 });
    t.is(result.status, "charged");
    t.is(charges.size, runs, "one for each run");
  });
  t.true(runs > 3, `${runs} runs`);
});
