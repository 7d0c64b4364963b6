/** Who may act at the console: log-ins, sessions and their two secrets, over real HTTP; and what a stranger's page cannot bring about. */
import { once } from "node:events";
import { chmodSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { type IncomingHttpHeaders, type IncomingMessage, request } from "node:http";
import { request as secureRequest } from "node:https";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { Actions } from "../../deploy/console/actions.ts";
import { Desk } from "../../deploy/console/desk.ts";
import { Door, DoorError } from "../../deploy/console/door.ts";
import { readPasswords, setPassword, whyNoPassword } from "../../deploy/console/passwords.ts";
import { Attempts, sessionLimits } from "../../deploy/console/sessions.ts";
import type { View } from "../../deploy/console/view.ts";
import { hasOpenssl, makeAuthority, signCertificate } from "../helpers/certificates.ts";
import { TestBus, TestClock } from "../helpers/hand-world.ts";
import { temporaryDirectory } from "../helpers/temporary-directory.ts";
import { until as untilWithin } from "../helpers/until.ts";

const until = (isSo: () => boolean) => untilWithin(isSo, { withinMs: 30_000 });
const password = "correct horse battery";
const view = {
  service: "exchange",
  hot: "alpha",
  servers: [{ name: "alpha", incarnation: "alpha-1", heat: "hot" }],
  actions: [
    { verb: "flush", label: "Flush", why: "" },
    { verb: "resume", label: "Resume intake", why: "the intake is not paused" },
  ],
} as unknown as View;
const source = {
  view: () => view,
  viewAt: () => undefined,
  entries: () => [],
  series: () => ({ samples: [], marks: [] }),
  charts: () => Promise.resolve([]),
};

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

interface Opened {
  readonly clock: TestClock;
  readonly bus: TestBus;
  readonly door: Door;
  readonly desk: Desk;
  readonly file: string;
  readonly log: string[];
  post(path: string, body: unknown, headers?: Record<string, string>): Promise<Answer>;
  get(path: string, headers?: Record<string, string>): Promise<Answer>;
  /** Headers of somebody who is logged in. */
  logIn(): Promise<Record<string, string>>;
}

async function open(t: ExecutionContext): Promise<Opened> {
  const file = join(await temporaryDirectory(t), "passwords.json");
  await setPassword(file, "olga", password);
  const clock = new TestClock();
  const bus = new TestBus(clock);
  const log: string[] = [];
  const actions = new Actions({ service: "exchange", clock, bus, view: () => view, onAction: () => undefined });
  const desk = new Desk({ clock, actions, passwordsFile: file, limits: sessionLimits, log: (line) => log.push(line) });
  const door = new Door(source, { desk, action: () => actions.last });
  await door.listen(0);
  t.teardown(() => door.close());
  const { host, origin } = new URL(door.url);
  const ask = async (method: string, path: string, headers: Record<string, string>, body = ""): Promise<Answer> => {
    const asked = request(new URL(path, door.url), { method, headers, agent: false });
    asked.on("error", () => undefined);
    asked.end(body);
    const [answer] = (await once(asked, "response")) as [IncomingMessage];
    let text = "";
    for await (const part of answer) text += part;
    return { status: answer.statusCode ?? 0, headers: answer.headers, body: text };
  };
  const own = { Host: host, Origin: origin, "Sec-Fetch-Site": "same-origin", "Content-Type": "application/json" };
  const post = (path: string, body: unknown, headers: Record<string, string> = {}) =>
    ask("POST", path, { ...own, ...headers }, typeof body === "string" ? body : JSON.stringify(body));
  const logIn = async () => {
    const { headers, body } = await post("/log-in", { name: "olga", password });
    const [cookie = ""] = (headers["set-cookie"]?.[0] ?? "").split(";");
    return { Cookie: cookie, "Twinlog-Token": (JSON.parse(body) as { token: string }).token };
  };
  return { clock, bus, door, desk, file, log, post, get: (path, headers = {}) => ask("GET", path, headers), logIn };
}

const without = (headers: Record<string, string>, name: string) =>
  Object.fromEntries(Object.entries(headers).filter(([key]) => key !== name));

test("a right password begins a session: a cookie that no script reads, no other site sends and that ends, and a token", async (t) => {
  const { door, post, get, log } = await open(t);
  const { status, headers, body } = await post("/log-in", { name: "olga", password });
  t.is(status, 200);
  const port = new URL(door.url).port;
  t.regex(
    headers["set-cookie"]?.[0] ?? "",
    new RegExp(`^twinlog-${port}=[\\w-]{43}; Path=/; HttpOnly; SameSite=Strict; Max-Age=28800$`),
  );
  const told = JSON.parse(body) as Record<string, unknown>;
  t.like(told, { name: "olga" });
  t.regex(String(told.token), /^[\w-]{43}$/);
  t.false(String(headers["set-cookie"]).includes(String(told.token)));
  const [cookie = ""] = (headers["set-cookie"]?.[0] ?? "").split(";");
  const who = async (asked: Record<string, string>) => JSON.parse((await get("/session", asked)).body);
  t.like(await who({ Cookie: cookie, "Twinlog-Token": String(told.token) }), { acts: true, opens: true, name: "olga" });
  t.like(await who({ Cookie: cookie }), { name: null });
  t.like(await who({ "Twinlog-Token": String(told.token) }), { name: null });
  t.deepEqual(log, ["olga logged in, from 127.0.0.1"]);
});

test("acting takes both secrets, of the same session; either alone, or another one's, does nothing", async (t) => {
  const { bus, post, logIn } = await open(t);
  const [one, other] = [await logIn(), await logIn()];
  const refused = [
    {},
    without(one, "Cookie"),
    without(one, "Twinlog-Token"),
    { ...one, "Twinlog-Token": other["Twinlog-Token"] ?? "" },
    { ...one, Cookie: `${one.Cookie}x` },
  ];
  for (const headers of refused) {
    const { status, body } = await post("/act", { verb: "flush" }, headers as Record<string, string>);
    t.deepEqual([status, body], [401, '{"why":"log in first"}']);
  }
  t.deepEqual(bus.published, []);
  t.is((await post("/act", { verb: "flush" }, one)).status, 202);
  t.is(bus.published[0]?.subject, "exchange.control.alpha.flush.olga");
  t.deepEqual(JSON.parse(Buffer.from(bus.published[0]?.data ?? []).toString()), { incarnation: "alpha-1", by: "olga" });
});

test("a page of another site, another port or none, and a form, bring about nothing, whatever cookies go with it", async (t) => {
  const { door, bus, post, get, logIn } = await open(t);
  const session = await logIn();
  const { port } = new URL(door.url);
  const evil: Record<string, string>[] = [
    { Origin: "https://evil.test" },
    { Origin: "null" },
    { Origin: "" },
    { Origin: "http://127.0.0.1:1" },
    { Origin: `https://127.0.0.1:${port}` },
    { Origin: `http://localhost:${port}` },
    { "Sec-Fetch-Site": "cross-site" },
    { "Sec-Fetch-Site": "same-site" },
    { "Sec-Fetch-Site": "none" },
  ];
  for (const headers of evil)
    t.is((await post("/act", { verb: "flush" }, { ...session, ...headers })).status, 403, JSON.stringify(headers));
  const rebound = { Host: `evil.test:${port}`, Origin: `http://evil.test:${port}` };
  t.is((await post("/act", { verb: "flush" }, { ...session, ...rebound })).status, 421);
  for (const type of ["application/x-www-form-urlencoded", "text/plain", "multipart/form-data"])
    t.is((await post("/act", '{"verb":"flush"}', { ...session, "Content-Type": type })).status, 415, type);
  t.is((await get("/act", session)).status, 404, "a link changes nothing");
  t.is((await post("/session", {}, session)).status, 405);
  t.is((await post("/act", "x".repeat(5_000), session)).status, 413);
  for (const body of ['{"verb":"recover"}', '{"verb":"flush","server":"beta"}', '{"verb":"pause","forMs":-1}', "[", ""])
    t.is((await post("/act", body, session)).status, 400, body);
  t.deepEqual(bus.published, []);
});

test("what cannot be done now is refused in words, and who asked stands in the log", async (t) => {
  const { post, logIn, log } = await open(t);
  const session = await logIn();
  t.is((await post("/act", { verb: "resume" }, session)).body, '{"why":"the intake is not paused"}');
  t.is((await post("/act", { verb: "flush" }, session)).status, 202);
  t.is((await post("/act", { verb: "flush" }, session)).body, '{"why":"olga\'s flush goes on: wait for its end"}');
  t.deepEqual(log.slice(1), [
    "olga: resume, refused: the intake is not paused, from 127.0.0.1",
    "olga: flush, from 127.0.0.1",
    "olga: flush, refused: olga's flush goes on: wait for its end, from 127.0.0.1",
  ]);
});

test("wrong passwords are slowed down, longer each time, and tell nobody which half was wrong", async (t) => {
  const { clock, post, log } = await open(t);
  const tries = async (name: string, word: string) => await post("/log-in", { name, password: word });
  const wrong = await tries("olga", "not the password");
  const waits = await tries("olga", password);
  t.deepEqual([wrong.status, waits.status, waits.headers["retry-after"]], [403, 429, "1"]);
  await clock.run(1_000);
  const nobody = await tries("nobody\r\n2026 olga logged in", password);
  t.deepEqual([nobody.status, nobody.body], [403, wrong.body]);
  await clock.run(1_000);
  t.is((await tries("olga", password)).headers["retry-after"], "1", "twice as long");
  await clock.run(1_000);
  t.is((await tries("olga", password)).status, 200);
  t.is((await tries("olga", "not the password")).status, 403, "and it begins anew");
  t.deepEqual(log, [
    "a log-in of olga failed, from 127.0.0.1",
    "a log-in of a name that nobody has failed, from 127.0.0.1",
    "olga logged in, from 127.0.0.1",
    "a log-in of olga failed, from 127.0.0.1",
  ]);
  t.false(log.join().includes(password));
});

test("log-ins are checked one at a time: many at once try no more than one password", async (t) => {
  const { post } = await open(t);
  const all = await Promise.all(["a", "b", "c", "d"].map((word) => post("/log-in", { name: "olga", password: word })));
  t.deepEqual(all.map(({ status }) => status).sort(), [403, 429, 429, 429]);
});

test("an address that fails is forgiven after a while; all of an IPv6 network is one; what is remembered is bounded", (t) => {
  const clock = new TestClock();
  const attempts = new Attempts(clock, { ...sessionLimits, maxAddresses: 2 });
  attempts.onFailed("2001:db8::1");
  t.is(attempts.waitMs("2001:db8:0:0:9:9:9:9"), 1_000);
  t.is(attempts.waitMs("2001:db8:0:1::1"), 0);
  for (let times = 0; times < 20; times += 1) attempts.onFailed("10.0.0.1");
  t.is(attempts.waitMs("10.0.0.1"), 60_000);
  attempts.onFailed("10.0.0.2");
  t.is(attempts.waitMs("2001:db8::1"), 0, "the oldest gave way");
});

test("a session ends by itself, by a log-out, and as soon as the file has another password or none of its operator", async (t) => {
  const { clock, post, get, logIn, file, desk } = await open(t);
  const name = async (headers: Record<string, string>) => JSON.parse((await get("/session", headers)).body).name;
  const late = await logIn();
  await clock.run(sessionLimits.sessionMs - 1);
  t.is(await name(late), "olga");
  await clock.run(1);
  t.is(await name(late), null);
  t.is((await post("/act", { verb: "flush" }, late)).status, 401);
  const left = await logIn();
  const out = await post("/log-out", {}, left);
  t.regex(out.headers["set-cookie"]?.[0] ?? "", /^twinlog-\d+=; .*Max-Age=0$/);
  t.is(await name(left), null);
  const changed = await logIn();
  await setPassword(file, "olga", `${password}!`);
  t.is(
    (await post("/act", { verb: "flush" }, changed)).body,
    '{"why":"this log-in is not good any more: log in again"}',
  );
  await setPassword(file, "olga", password);
  const removed = await logIn();
  await setPassword(file, "olga", null);
  t.is((await post("/act", { verb: "flush" }, removed)).status, 401);
  t.is(desk.sessionOf(removed.Cookie?.split("=")[1]), undefined);
});

test("a file of passwords is its user's alone and has none in it; one that others may write, or that is none, is not believed", async (t) => {
  const { post, file, log } = await open(t);
  t.is(statSync(file).mode & 0o777, 0o600);
  t.false(readFileSync(file, "utf8").includes(password));
  t.deepEqual(Object.keys(await readPasswords(file)), ["olga"]);
  chmodSync(file, 0o622);
  t.is((await post("/log-in", { name: "olga", password })).status, 503);
  t.regex(log[0] ?? "", /^others may write .*passwords\.json/);
  chmodSync(file, 0o600);
  const { operators } = JSON.parse(readFileSync(file, "utf8")) as { operators: { olga: object } };
  for (const changed of [{ cost: 2 ** 30 }, { cost: 2 ** 14 + 1 }, { parallelization: 1_000 }, { hash: "x" }]) {
    writeFileSync(file, JSON.stringify({ operators: { olga: { ...operators.olga, ...changed } } }));
    await t.throwsAsync(readPasswords(file), { message: /is no file of passwords \(operators\.olga\./ });
  }
  writeFileSync(file, "{");
  await t.throwsAsync(setPassword(file, "olga", password), {
    message: /is not JSON: `twinlog password` writes such files/,
  });
  t.deepEqual(await readPasswords(join(file, "..", "none.json")), {}, "nobody");
  t.is(whyNoPassword("x".repeat(11)), "a password has at least 12 characters");
  t.is(whyNoPassword("x".repeat(257)), "a password has at most 256 characters");
});

test("beyond loopback it listens with a certificate and a log-in alone", (t) => {
  for (const host of ["0.0.0.0", "10.1.2.3", "::", "console.example"])
    t.throws(() => new Door(source, { host }), { instanceOf: DoorError, message: /needs a certificate and a log-in/ });
  t.throws(() => new Door(source, { tls: { cert: "x", key: "x" } }), {
    instanceOf: DoorError,
    message: /no certificate/,
  });
});

if (hasOpenssl)
  test("beyond loopback nothing is shown before the log-in, it answers to its certificate's names alone, and a stream ends with its session", async (t) => {
    const { desk, clock } = await open(t);
    const folder = await temporaryDirectory(t);
    makeAuthority(folder, "authority");
    const { certFile, keyFile, caFile } = signCertificate(folder, "authority", "console", "DNS:console.example");
    const [cert, key, ca] = [certFile, keyFile, caFile].map((file) => readFileSync(file, "utf8")) as [
      string,
      string,
      string,
    ];
    const door = new Door(source, { host: "0.0.0.0", tls: { cert, key }, desk });
    await door.listen(0);
    t.teardown(() => door.close());
    t.regex(door.url, /^https:\/\/console\.example:\d+\/$/);
    const port = Number(new URL(door.url).port);
    const ask = async (path: string, headers: Record<string, string> = {}, method = "GET", body = "") => {
      const Host = `console.example:${port}`;
      const address = {
        host: "127.0.0.1",
        port,
        path,
        method,
        ca,
        servername: "console.example",
        agent: false as const,
      };
      const asked = secureRequest({ ...address, headers: { Host, ...headers } });
      asked.on("error", () => undefined);
      asked.end(body);
      const [answer] = (await once(asked, "response")) as [IncomingMessage];
      return { answer, end: () => asked.destroy(), status: answer.statusCode, headers: answer.headers };
    };
    for (const path of ["/live", "/charts", "/then/1"]) t.is((await ask(path)).status, 401, path);
    for (const path of ["/", "/page.js", "/session"]) t.is((await ask(path)).status, 200, path);
    for (const Host of [`127.0.0.1:${port}`, `localhost:${port}`, "evil.test"])
      t.is((await ask("/", { Host })).status, 421, Host);
    const json = { Origin: `https://console.example:${port}`, "Content-Type": "application/json" };
    const { status, headers } = await ask("/log-in", json, "POST", JSON.stringify({ name: "olga", password }));
    t.is(status, 200);
    const kept = headers["set-cookie"]?.[0] ?? "";
    t.regex(
      kept,
      new RegExp(`^__Host-twinlog-${port}=[\\w-]{43}; Path=/; HttpOnly; SameSite=Strict; Secure; Max-Age=28800$`),
    );
    const stream = await ask("/live", { Cookie: kept.split(";")[0] ?? "" });
    t.is(stream.status, 200);
    stream.answer.on("error", () => undefined);
    stream.answer.resume();
    door.onView(view);
    t.is(door.streams, 1);
    await clock.run(sessionLimits.sessionMs);
    door.onView(view);
    await until(() => door.streams === 0);
    stream.end();
  });
