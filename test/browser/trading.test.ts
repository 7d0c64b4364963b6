/**
 * The trading page in a real Chromium, over a real pair: the library as browsers run it. Orders go on while the primary is killed, and what was sent
 * and not answered outlives the page. These run where TWINLOG_CHROMIUM names a Chromium (`npm run browser`); that the page is what the compiler takes,
 * and its types what the exchange announces, is tried always.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import process from "node:process";
import { fileURLToPath } from "node:url";
import test, { type ExecutionContext } from "ava";
import axe from "axe-core";
import { type Browser, chromium, type Page } from "playwright-core";
import { announcedSchemas } from "../../actors/application/announced.ts";
import { exchange } from "../../actors/applications/exchange/exchange.ts";
import { runCommand } from "../../deploy/nats/command.ts";
import { schemaTypes } from "../../deploy/schema-types.ts";
import { freePort } from "../helpers/free-port.ts";
import { type Pair, startPair } from "../helpers/pair/pair.ts";
import { until } from "../helpers/until.ts";

const withinMs = 30_000;
const folder = fileURLToPath(new URL("../../../deploy/examples/trading/", import.meta.url));
const compiler = fileURLToPath(new URL("../../../node_modules/typescript/bin/tsc", import.meta.url));
const program = fileURLToPath(new URL("../../deploy/examples/trading/serve.js", import.meta.url));
const executablePath = process.env.TWINLOG_CHROMIUM;

test("the page is compiled, by the types that the exchange announces", async (t) => {
  const { stdout } = await runCommand(process.execPath, [compiler, "-p", `${folder}page`], { timeoutMs: 60_000 });
  t.is(stdout, "");
  const kept = readFileSync(`${folder}page/exchange.ts`, "utf8");
  const digest = /digest (\w+)\./.exec(kept)?.[1] ?? "";
  const about = { service: "exchange", application: "exchange", digest };
  t.is(await schemaTypes({ ...about, schemas: announcedSchemas(exchange) }), kept, "twinlog schema --format types");
});

/** One for the file: it takes a second to start. */
let browser: Browser;
/** Chromium's own sandbox needs what a container's root has not. */
const asRoot = process.getuid?.() === 0 ? ["--no-sandbox"] : [];

if (executablePath !== undefined) {
  test.before("start the browser", async () => {
    browser = await chromium.launch({ executablePath, args: asRoot });
  });
  test.after.always("end the browser", async () => {
    await browser?.close();
  });
}

function inBrowser(title: string, run: (t: ExecutionContext) => Promise<void>): void {
  if (executablePath !== undefined) test.serial(title, run);
}

interface Market {
  readonly pair: Pair;
  readonly url: string;
}

/** A pair in sync whose broker listens for WebSockets, and the page. */
async function openMarket(t: ExecutionContext, more: Parameters<typeof startPair>[1] = {}): Promise<Market> {
  const port = await freePort();
  const websocket = `websocket { host: "127.0.0.1", port: ${port}, no_tls: true }`;
  const pair = await startPair(t, { service: "exchange", pace: "shipped", nats: { extraConfig: websocket }, ...more });
  const child = spawn(process.execPath, [program, `ws://127.0.0.1:${port}`, "0"], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  t.teardown(async () => {
    child.kill("SIGTERM");
    if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
  });
  const [said] = (await once(child.stdout, "data")) as [Buffer];
  return { pair, url: /http\S+/.exec(said.toString())?.[0] ?? "" };
}

interface Trader {
  readonly page: Page;
  /** What the page, or its policy, complained about. */
  readonly complaints: string[];
}

async function enter(t: ExecutionContext, url: string, client: string, width = 1280): Promise<Trader> {
  const context = await browser.newContext({ viewport: { width, height: 900 } });
  t.teardown(() => context.close());
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on("pageerror", (error) => complaints.push(error.message));
  page.on("console", (message) => {
    if (message.type() === "error") complaints.push(message.text());
  });
  await page.goto(url);
  await page.locator("#client").fill(client);
  await page.keyboard.press("Enter");
  await isReady(page);
  return { page, complaints };
}

const isReady = (page: Page) => page.locator("#send:not([disabled])").waitFor({ timeout: withinMs });

async function send(page: Page, side: "buy" | "sell", price: number, quantity: number): Promise<void> {
  await page.locator(`input[value=${side}]`).check();
  await page.locator("#price").fill(String(price));
  await page.locator("#quantity").fill(String(quantity));
  await page.locator("#send").click();
}

async function isSo(page: Page, selector: string, pattern: RegExp): Promise<void> {
  const says = async () => pattern.test((await page.locator(selector).allTextContents()).join("\n"));
  await until(says, { withinMs, everyMs: 50, waitedFor: `${selector} to say ${pattern}` });
}

const inState = (page: Page, state: string) => page.locator(`#orders tr[data-state="${state}"]`).count();

inBrowser("orders go on while the primary is killed, each is done once, and nobody sees an error", async (t) => {
  const { pair, url } = await openMarket(t, { restartMs: 300 });
  const [seller, buyer] = [await enter(t, url, "bob"), await enter(t, url, "alice", 375)];
  const rounds = 30;
  const { primary } = await pair.normal();
  for (let round = 1; round <= rounds; round += 1) {
    if (round === 10) pair.server(primary).signal("SIGKILL");
    await send(seller.page, "sell", 1_000 + round, 2);
    await send(buyer.page, "buy", 1_000 + round, 1);
  }
  // What one bought the other has sold, whichever of the two came first.
  await until(async () => (await inState(buyer.page, "filled")) === rounds, {
    withinMs,
    waitedFor: "all to be bought",
  });
  await isSo(seller.page, "#book .spread", /^nobody buys$/);
  const open = await seller.page.locator("#orders tr[data-state=resting] td:nth-child(4)").allTextContents();
  const sum = open.reduce((total, text) => total + Number(text.split(" / ")[0]), 0);
  t.is(sum, rounds, "of two for each that was bought one is left");
  const asked = await seller.page.locator("#book tbody tr:has(.sell) td:nth-child(3)").allTextContents();
  t.true(asked.length > 0 && asked.length <= 10);
  await isSo(seller.page, "#link", /^connected, epoch ([4-9]|\d\d+), /);
  for (const { page, complaints } of [seller, buyer]) {
    t.deepEqual(complaints, [], "nothing failed, and nothing was asked that the policy forbids");
    t.is(await inState(page, "rejected"), 0);
    t.is(await inState(page, "sending"), 0);
  }
  const results = await pair.client({ client: "judge" });
  const { result } = await results.query<{ bids: unknown[]; asks: number[][] }>({ query: "book", symbol: "BTCUSD" });
  t.is(
    result.asks.reduce((total, [, quantity = 0]) => total + quantity, 0),
    rounds,
    "the service says the same",
  );
});

inBrowser(
  "what was sent and not answered outlives the page, and is done once; so do its orders and their fills",
  async (t) => {
    const { pair, url } = await openMarket(t);
    const { page } = await enter(t, url, "alice");
    await send(page, "buy", 900, 5);
    await until(async () => (await inState(page, "resting")) === 1, { withinMs, waitedFor: "the first order to rest" });
    const { primary } = await pair.normal();
    await pair.control(primary, "pause");
    await send(page, "buy", 901, 7);
    await until(async () => (await inState(page, "sending")) === 1, { withinMs, waitedFor: "the second to be sent" });
    await page.reload();
    await until(async () => (await inState(page, "sending")) === 1, {
      withinMs,
      waitedFor: "the order to be known again",
    });
    await pair.control(primary, "resume");
    await until(async () => (await inState(page, "resting")) === 2, {
      withinMs: 2 * withinMs,
      waitedFor: "both to rest",
    });
    await isSo(page, "#book", /bid90171bid90051/);
    await page.goto("about:blank");
    const other = await pair.client({ client: "bob" });
    await other.request(
      { type: "market", symbol: "BTCUSD", order: "m1", side: "sell", quantity: 9 },
      { key: "BTCUSD" },
    );
    await page.goto(url);
    await until(async () => (await inState(page, "filled")) === 1, { withinMs, waitedFor: "what happened meanwhile" });
    await isSo(page, "#orders tr[data-state=resting] td:nth-child(4)", /^3 \/ 5$/);
    const { result } = await other.query<{ bids: unknown }>({ query: "book", symbol: "BTCUSD" });
    t.deepEqual(result.bids, [[900, 3, 1]], "the service says the same");
  },
);

inBrowser(
  "a browser that has forgotten everything, or was never here, shows what is open, and counts what follows once",
  async (t) => {
    const { pair, url } = await openMarket(t);
    const first = await enter(t, url, "alice");
    await send(first.page, "buy", 900, 5);
    await send(first.page, "buy", 901, 7);
    await until(async () => (await inState(first.page, "resting")) === 2, { withinMs, waitedFor: "both to rest" });
    const { page, complaints } = await enter(t, url, "alice");
    await until(async () => (await inState(page, "resting")) === 2, { withinMs, waitedFor: "what another page sent" });
    const other = await pair.client({ client: "bob" });
    await other.request(
      { type: "market", symbol: "BTCUSD", order: "m1", side: "sell", quantity: 9 },
      { key: "BTCUSD" },
    );
    for (const each of [first.page, page]) {
      await until(async () => (await inState(each, "filled")) === 1, { withinMs, waitedFor: "the fill" });
      await isSo(each, "#orders tr[data-state=resting] td:nth-child(4)", /^3 \/ 5$/);
    }
    await isSo(page, "#orders tr[data-state=filled] td:nth-child(4)", /^0 \/ 7$/);
    // What was not seen is not known: it is asked for, and told as over or as open.
    const place = "exchange alice";
    await page.evaluate(
      `{ const kept = JSON.parse(localStorage.getItem(${JSON.stringify(place)})); for (const own of kept.orders) { own.state = "unsure"; delete own.asOf; } localStorage.setItem(${JSON.stringify(place)}, JSON.stringify(kept)); }`,
    );
    await page.reload();
    await until(async () => (await inState(page, "over")) === 1, { withinMs, waitedFor: "what is over" });
    t.is(await inState(page, "resting"), 1);
    t.is(await inState(page, "unsure"), 0);
    t.deepEqual(complaints, []);
  },
);

async function accessFaults(page: Page): Promise<string[]> {
  await page.evaluate(axe.source);
  const { violations } = (await page.evaluate("axe.run()")) as axe.AxeResults;
  return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 120)).join(" | ")}`);
}

inBrowser(
  "axe-core finds nothing, light and dark, wide and narrow; nothing is wider than a phone; a keyboard is enough",
  async (t) => {
    const { url } = await openMarket(t);
    for (const width of [1280, 375]) {
      const page = await browser.newPage({ viewport: { width, height: 900 } });
      t.teardown(() => page.close());
      await page.goto(url);
      t.deepEqual(await accessFaults(page), [], "before the log-in");
      await page.locator("#client").focus();
      await page.keyboard.type(`trader${width}`);
      await page.keyboard.press("Enter");
      await isReady(page);
      await page.locator("#price").focus();
      await page.keyboard.press("ControlOrMeta+a");
      await page.keyboard.type("7800000");
      await page.keyboard.press("Enter");
      await isSo(page, "#said", /^order \w+: resting, 100 open$/);
      await isSo(page, "#book", /bid/);
      for (const colorScheme of ["light", "dark"] as const) {
        await page.emulateMedia({ colorScheme });
        t.deepEqual(await accessFaults(page), [], `${width} ${colorScheme}`);
      }
      t.is(await page.evaluate("document.documentElement.scrollWidth - innerWidth"), 0, `${width}`);
      await page.locator("#orders button").focus();
      await page.keyboard.press("Enter");
      await isSo(page, "#orders tbody", /cancelled/);
      await isSo(page, "#said", /^cancel of \w+: cancelled$/);
    }
  },
);

inBrowser("one name trades in one tab, a log-in that fails says why, and a name is text", async (t) => {
  const { url } = await openMarket(t);
  const evil = `<img src=x onerror="document.title='taken'">`;
  const { page, complaints } = await enter(t, url, evil);
  await isSo(page, "#who", /^<img/);
  const second = await page.context().newPage();
  await second.goto(url);
  await second.locator("#client").fill(evil);
  await second.keyboard.press("Enter");
  await isSo(second, "#login-fault", / trades in another tab of this browser$/);
  await second.locator("#client").fill("carol");
  await second.locator("#key").fill("SUnonsense");
  await second.keyboard.press("Enter");
  await isSo(second, "#login-fault", /no user's seed/);
  t.is(await page.locator("img").count(), 0);
  t.deepEqual(complaints, []);
});
