/**
 * The console's page in a real Chromium, over a real pair: what an operator sees when the primary is killed, that a screen reader
 * and a keyboard are enough, and that nobody's text becomes more than text. These run where TWINLOG_CHROMIUM names a Chromium
 * (`npm run browser`); how one is looked for is tested always.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import test, { type ExecutionContext } from "ava";
import axe from "axe-core";
import { type Browser, chromium, type Page } from "playwright-core";
import { setPassword } from "../../deploy/console/passwords.ts";
import { subjects } from "../../schemas/subjects.ts";
import { hasOpenssl, makeAuthority, signCertificate } from "../helpers/certificates.ts";
import { freePort } from "../helpers/free-port.ts";
import { type Pair, startPair } from "../helpers/pair/pair.ts";
import { temporaryDirectory } from "../helpers/temporary-directory.ts";
import { until } from "../helpers/until.ts";
import { findChromium } from "./find-chromium.ts";

const withinMs = 30_000;
const program = fileURLToPath(new URL("../../deploy/twinlog.js", import.meta.url));
const executablePath = process.env.TWINLOG_CHROMIUM;

test("a Chromium is looked for where it is named, then on the PATH, and its absence says what to do", async (t) => {
  const folder = await temporaryDirectory(t);
  const path = join(folder, "chromium-browser");
  t.regex((findChromium({ PATH: folder }) as { why: string }).why, /apt-get install chromium/);
  writeFileSync(path, "");
  chmodSync(path, 0o755);
  t.deepEqual(findChromium({ PATH: `/nowhere:${folder}` }), { path });
  t.deepEqual(findChromium({ PATH: "", TWINLOG_CHROMIUM: path }), { path });
  t.regex(
    (findChromium({ TWINLOG_CHROMIUM: join(folder, "none") }) as { why: string }).why,
    /names .*none, which is no program/,
  );
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

interface Served {
  readonly pair: Pair;
  readonly port: number;
  readonly url: string;
  stop(): Promise<void>;
  start(): Promise<void>;
}

const password = "correct horse battery";

/** A pair in sync, and the program's console of it; `olga` may act there if it is wanted. */
async function serve(
  t: ExecutionContext,
  { acts = false, more = [] }: { acts?: boolean; more?: readonly string[] } = {},
): Promise<Served> {
  // As often as what ships: a test's own would make a loaded machine's servers silent.
  const pair = await startPair(t, { limits: { statusMs: 250 } });
  await pair.normal();
  const port = await freePort();
  const words = ["console", "--service", pair.service, "--nats", pair.nats.url, "--port", String(port), ...more];
  if (acts) {
    const file = join(await temporaryDirectory(t), "passwords.json");
    await setPassword(file, "olga", password);
    words.push("--login", file);
  }
  let stop = async (): Promise<void> => undefined;
  const start = async (): Promise<void> => {
    const child = spawn(process.execPath, [program, ...words], { stdio: ["ignore", "pipe", "inherit"] });
    stop = async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill("SIGTERM");
      await once(child, "exit");
    };
    await once(child.stdout, "data");
  };
  await start();
  t.teardown(() => stop());
  return { pair, port, url: `http://127.0.0.1:${port}/`, start, stop: () => stop() };
}

/** What the page, or its policy, complained about is in `complaints`. */
async function open(t: ExecutionContext, url: string, width = 1440): Promise<{ page: Page; complaints: string[] }> {
  const page = await browser.newPage({ viewport: { width, height: 900 } });
  t.teardown(() => page.close());
  page.setDefaultTimeout(4 * withinMs);
  const complaints: string[] = [];
  page.on("pageerror", (error) => complaints.push(error.message));
  page.on("console", (message) => {
    if (message.type() === "error") complaints.push(message.text());
  });
  await page.goto(url);
  await page.waitForSelector("#charts svg");
  await until(() => page.locator('#verdict:not([data-verdict="unknown"])').count(), {
    withinMs,
    waitedFor: "a verdict",
  });
  return { page, complaints };
}

async function isSo(page: Page, selector: string, pattern: RegExp): Promise<void> {
  const says = async () => pattern.test((await page.locator(selector).allTextContents()).join("\n"));
  await until(says, { withinMs, everyMs: 50, waitedFor: `${selector} to say ${pattern}` });
}

const pictureOf = (page: Page) => page.locator("#picture svg").getAttribute("aria-label");
const activeOf = (page: Page, machine: string) =>
  page.locator(`.chart[data-machine="${machine}"] .leaf.active`).getAttribute("aria-label");

async function accessFaults(page: Page): Promise<string[]> {
  await page.evaluate(axe.source);
  const { violations } = (await page.evaluate("axe.run()")) as axe.AxeResults;
  return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 120)).join(" | ")}`);
}

function inBrowser(title: string, run: (t: ExecutionContext) => Promise<void>): void {
  if (executablePath !== undefined) test.serial(title, run);
}

inBrowser(
  "the primary is killed: sentence, picture, charts and timeline show the takeover, and its moments can be seen again",
  async (t) => {
    const { pair, url } = await serve(t);
    const { page, complaints } = await open(t, url);
    await isSo(page, "#sentence", /^a failover would work now$/);
    const { primary, backup } = await pair.normal();
    t.regex(
      (await pictureOf(page)) ?? "",
      new RegExp(`Mode normal\\..*${backup} would go to backup-only if ${primary} died now`),
    );
    t.regex(
      (await activeOf(page, "lifecycle")) ?? "",
      /^hot\.normal, active\. Ways out: .*joiner\.ready to hot\.adding/,
    );
    pair.server(primary).signal("SIGKILL");
    await isSo(page, "#sentence", new RegExp(`would not work now: ${backup} is alone`));
    await isSo(page, ".facts", /backup-only/);
    await isSo(page, ".entry", new RegExp(`${backup} candidate\\.asking → hot\\.alone`));
    await isSo(page, ".entry", new RegExp(`epoch 4, backup-only: primary ${backup}`));
    await isSo(page, ".chart[data-machine=lifecycle] .present", /^hot\.alone$/);
    t.regex((await pictureOf(page)) ?? "", new RegExp(`Mode backup-only\\..*${backup} is hot`));

    await page.locator(".entry", { hasText: "following.warm → candidate.syncing" }).click();
    await isSo(page, "#then", /As it was at \d\d:\d\d:\d\d\.\d{3}/);
    await isSo(page, ".chart[data-machine=lifecycle] .present", /^candidate\.syncing$/);
    await isSo(
      page,
      ".chart[data-machine=lifecycle] .last",
      new RegExp(`following\\.warm → candidate\\.syncing by primary\\.lost\\.alone: ${primary} is lost`),
    );
    t.regex((await pictureOf(page)) ?? "", /Mode normal\./);
    await page.locator("#later").click();
    await isSo(page, ".chart[data-machine=lifecycle] .present", /^(?!candidate\.syncing$)/);
    await page.keyboard.press("Escape");
    await isSo(page, ".facts", /backup-only/);
    t.true(await page.locator("#then").isHidden());
    t.deepEqual(complaints, [], "nothing failed, and nothing was asked that the policy forbids");
  },
);

inBrowser(
  "axe-core finds nothing, light and dark, wide and narrow, now and in the past; nothing is wider than a phone",
  async (t) => {
    const { pair, url } = await serve(t);
    const { primary } = await pair.normal();
    for (const width of [1440, 375]) {
      const { page } = await open(t, url, width);
      await isSo(page, "#sentence", /^a failover would work now$/);
      for (const colorScheme of ["light", "dark"] as const) {
        await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
        t.deepEqual(await accessFaults(page), [], `${width} ${colorScheme}`);
      }
      t.is(await page.evaluate("document.documentElement.scrollWidth - innerWidth"), 0, `${width}`);
    }
    pair.server(primary).signal("SIGKILL");
    const { page } = await open(t, url);
    await isSo(page, "#sentence", /is alone/);
    await isSo(page, "#servers", /silent for/);
    t.deepEqual(await accessFaults(page), []);
    await page.locator(".entry").first().click();
    await isSo(page, "#then", /As it was/);
    t.deepEqual(await accessFaults(page), []);
  },
);

inBrowser(
  "a keyboard is enough: servers are chosen, states are walked through and pinned, a moment is opened and left",
  async (t) => {
    const { url } = await serve(t);
    const { page } = await open(t, url);
    const focused = () => page.evaluate("document.activeElement?.getAttribute('aria-label') ?? ''");
    await page.locator("#choice input:checked").focus();
    await page.keyboard.press("ArrowRight");
    await isSo(page, ".chart[data-machine=lifecycle] .present", /^following\.warm$/);
    await page.locator('.chart[data-machine="lifecycle"] .leaf[tabindex="0"]').focus();
    t.regex(String(await focused()), /^following\.warm, active/);
    await page.keyboard.press("ArrowRight");
    t.regex(String(await focused()), /^following\.unsettled\. Ways out: /);
    await page.keyboard.press("Enter");
    t.is(await page.locator('.leaf[aria-pressed="true"]').count(), 1);
    await page.locator(".entry").first().focus();
    await page.keyboard.press("Enter");
    await isSo(page, "#then", /As it was/);
    await page.keyboard.press("Escape");
    t.true(await page.locator("#then").isHidden());
  },
);

inBrowser(
  "the last minutes are drawn, told in words, and marked where the role moved and where a moment was chosen",
  async (t) => {
    const { pair, url } = await serve(t);
    const { page, complaints } = await open(t, url);
    const told = (title: string) =>
      page.locator(`#plots .plot[aria-label^="${title}"]`).first().getAttribute("aria-label");
    await until(async () => (await page.locator("#plots canvas").count()) === 3, {
      withinMs,
      waitedFor: "three plots",
    });
    t.regex((await told("Memory, MiB")) ?? "", /: alpha \d+ now, from \d+ to \d+; beta \d+ now/);
    t.regex((await told("Latency, ms")) ?? "", /: median not known; p99 not known$/);
    await isSo(page, ".server.hot .figures", /memory\d+ MiB/);
    const cancel = { type: "cancel", symbol: "AAA", order: "none" };
    const client = await pair.client({ client: "alice" });
    const ask = () => Promise.all(Array.from({ length: 20 }, () => client.request(cancel, { key: "AAA" })));
    const isMeasured = async () => {
      await ask().catch(() => undefined);
      return /median \d/.test((await told("Latency, ms")) ?? "");
    };
    await until(isMeasured, { withinMs, everyMs: 100, waitedFor: "a latency" });
    const { primary, backup } = await pair.normal();
    pair.server(primary).signal("SIGKILL");
    await isSo(page, "#marks", new RegExp(`${backup} took ${primary}'s place, epoch \\d+`));
    await page.locator(".entry").first().click();
    await isSo(page, "#then", /As it was/);
    t.is(await page.locator("#plots canvas").count(), 3);
    t.deepEqual(complaints, [], "nothing that the policy forbids");
  },
);

inBrowser("what a server says is text, whatever it says", async (t) => {
  const { pair, url } = await serve(t);
  const { page, complaints } = await open(t, url);
  const evil = `<img src=x onerror="document.title='taken'"><script>document.title='taken'</script>`;
  const event = {
    service: pair.service,
    server: evil,
    incarnation: "x",
    machine: "lifecycle",
    event: evil,
    from: evil,
    to: "b",
  };
  pair.raw.publish(
    subjects.event(pair.service, "x"),
    JSON.stringify({ ...event, why: evil, epoch: 1, sequence: 1, atMs: 1 }),
  );
  await isSo(page, ".entry", /<script>document\.title/);
  t.is(await page.locator("main img, main script").count(), 0);
  t.notRegex(await page.title(), /taken/);
  t.deepEqual(complaints, []);
});

inBrowser(
  "a console that is gone leaves what was known, says since when it is old, and the page comes back by itself",
  async (t) => {
    const { url, stop, start } = await serve(t);
    const { page } = await open(t, url);
    await isSo(page, "#pulse", /^live · /);
    await stop();
    await isSo(page, "#pulse", /^stale since \d\d:\d\d:\d\d · the console's server is not reached$/);
    t.regex((await pictureOf(page)) ?? "", /Mode normal\./);
    t.deepEqual(await accessFaults(page), [], "what is old can still be read");
    await start();
    await isSo(page, "#pulse", /^live · /);
    await isSo(page, "#sentence", /^a failover would work now$/);
  },
);

async function logIn(page: Page, word: string): Promise<void> {
  await page.locator("#log-in-name").fill("olga");
  await page.locator("#log-in-password").fill(word);
  await page.locator("#log-in-go").click();
}

inBrowser("without operators nobody acts: there is no log-in, and no action", async (t) => {
  const { url } = await serve(t);
  const { page } = await open(t, url);
  t.true(await page.locator("#actions").isHidden());
  t.is(await page.locator(".verb:visible").count(), 0);
});

inBrowser(
  "an operator logs in, is asked, and switches: everybody who looks sees it go on, who did it and how long clients waited",
  async (t) => {
    const { pair, url } = await serve(t, { acts: true });
    const { primary, backup } = await pair.normal();
    const { page, complaints } = await open(t, url);
    const other = await open(t, url);
    t.is(await page.locator(".verb:visible").count(), 0, "nothing before the log-in");
    await page.locator("#open-log-in").click();
    await logIn(page, "not the password");
    await isSo(page, "#log-in-why", /^the name or the password is wrong$/);
    const isIn = async () => {
      if (await page.locator("#verbs").isVisible()) return true;
      // The page empties it with each answer.
      const isAnswered = (await page.locator("#log-in-password").inputValue()) === "";
      if (isAnswered && (await page.locator("#log-in").isVisible())) await logIn(page, password);
      return false;
    };
    // After a wrong one the next has to wait.
    await until(isIn, { withinMs, everyMs: 400, waitedFor: "the log-in" });
    await isSo(page, "#who", /^as olga, until \d\d:\d\d:\d\d$/);
    t.is(await page.evaluate("document.cookie"), "", "no script reads the session");
    await page.locator('[data-verb="switch"] .verb').click();
    await isSo(page, "#ask-title", new RegExp(`^Hand the primary's role from ${primary} to ${backup}\\?$`));
    await page.keyboard.press("Escape");
    t.true(await page.locator("#ask").isHidden());
    t.is((await pair.normal()).primary, primary, "nothing was begun");
    await page.locator('[data-verb="switch"] .verb').click();
    await page.locator("#ask-go").click();
    for (const one of [page, other.page]) {
      await isSo(one, "#outcome", /Switch by olga: done/);
      await isSo(
        one,
        "#outcome li",
        new RegExp(`${backup} is hot, epoch \\d+; clients were without answers for \\d+ ms`),
      );
      await isSo(one, ".entry", /switch by olga: the roles are being switched/);
    }
    t.is((await pair.normal()).primary, backup);
    t.is(await other.page.locator(".verb:visible").count(), 0, "whoever only looks cannot act");
    // A browser tells every answer that refuses.
    t.deepEqual(
      complaints.filter((each) => !/status of (403|429)/.test(each)),
      [],
    );
  },
);

inBrowser("beyond this machine there is the log-in, and nothing of the service before it", async (t) => {
  if (!hasOpenssl) {
    t.log("openssl is missing: nothing was tried");
    t.pass();
    return;
  }
  const folder = await temporaryDirectory(t);
  makeAuthority(folder, "authority");
  const { certFile, keyFile } = signCertificate(folder, "authority", "console", "DNS:localhost");
  const tls = ["--listen", "0.0.0.0", "--https-cert", certFile, "--https-key", keyFile];
  const { pair, port } = await serve(t, { acts: true, more: tls });
  const context = await browser.newContext({ ignoreHTTPSErrors: true, viewport: { width: 375, height: 812 } });
  t.teardown(() => context.close());
  const page = await context.newPage();
  page.setDefaultTimeout(4 * withinMs);
  await page.goto(`https://localhost:${port}/`);
  await page.locator("#log-in").waitFor({ state: "visible" });
  t.true(await page.locator("#log-in-cancel").isHidden(), "there is nothing to go back to");
  t.false((await page.content()).includes(`>${pair.service}<`));
  t.deepEqual(await accessFaults(page), []);
  await logIn(page, password);
  await isSo(page, "#sentence", /^a failover would work now$/);
  await page.waitForSelector("#charts svg");
  await isSo(page, "#who", /^as olga/);
  const [cookie] = await context.cookies();
  t.like(cookie, { httpOnly: true, secure: true, sameSite: "Strict", path: "/" });
  await page.locator("#log-out").click();
  await page.locator("#log-in").waitFor({ state: "visible" });
});

inBrowser(
  "a pause with a time is asked for by keyboard alone, shown, and resumed; a reload keeps who is logged in",
  async (t) => {
    const { pair, url } = await serve(t, { acts: true });
    await pair.normal();
    const { page } = await open(t, url, 375);
    await page.locator("#open-log-in").focus();
    await page.keyboard.press("Enter");
    await page.keyboard.type("olga");
    await page.keyboard.press("Tab");
    await page.keyboard.type(password);
    t.deepEqual(await accessFaults(page), [], "the log-in");
    await page.keyboard.press("Enter");
    await isSo(page, "#who", /^as olga/);
    await page.reload();
    await isSo(page, "#who", /^as olga/);
    await page.locator('[data-verb="pause"] .verb').focus();
    await page.keyboard.press("Enter");
    await isSo(page, "#ask-title", /^Pause the intake of /);
    t.deepEqual(await accessFaults(page), [], "the question");
    t.is(await page.evaluate("document.documentElement.scrollWidth - innerWidth"), 0);
    await page.locator("#ask-for").selectOption("3600000");
    await page.locator("#ask-go").focus();
    await page.keyboard.press("Enter");
    await isSo(page, "#outcome", /Pause intake by olga: done/);
    await isSo(page, '[data-verb="pause"] .not', /^the intake is paused$/);
    for (const colorScheme of ["light", "dark"] as const) {
      await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
      t.deepEqual(await accessFaults(page), [], colorScheme);
    }
    await page.locator('[data-verb="resume"] .verb').click();
    await page.locator("#ask-go").click();
    await isSo(page, "#outcome", /Resume intake by olga: done/);
    await page.locator("#log-out").click();
    await page.locator("#verbs").waitFor({ state: "hidden" });
  },
);
