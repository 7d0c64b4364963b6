/** A server's HTTP on real sockets: what load balancers send, and what the slow, the many and the malformed cost. */
import { once } from "node:events";
import { type IncomingMessage, request } from "node:http";
import { connect, createServer, type Socket } from "node:net";
import test, { type ExecutionContext } from "ava";
import { openNodeClock } from "../../actors/world/clock-node.ts";
import { HttpError } from "../../actors/world/http-error.ts";
import { HttpDoor, type HttpLimits, type HttpOptions, httpLimits } from "../../actors/world/http-node.ts";
import { keptLog } from "../helpers/kept-log.ts";
import { until } from "../helpers/until.ts";

const withinMs = 30_000;
const yes = { status: 200, type: "application/json", body: '{"ok":true}\n' } as const;

async function open(t: ExecutionContext, more: Partial<HttpOptions> = {}) {
  const log = keptLog();
  const asked: unknown[] = [];
  const answer: HttpOptions["answer"] = (question) => {
    asked.push(question);
    return yes;
  };
  const door = await HttpDoor.open({ host: "127.0.0.1", port: 0, clock: openNodeClock(), log, answer, ...more });
  t.teardown(() => door.close());
  return { door, asked, lines: log.lines, port: Number(new URL(door.url).port) };
}

async function ask(url: string, method: string, body?: string) {
  const asked = request(url, { method, agent: false });
  asked.end(body);
  const [answer] = (await once(asked, "response")) as [IncomingMessage];
  let text = "";
  for await (const part of answer) text += part;
  return { status: answer.statusCode, headers: answer.headers, text };
}

/** A connection of our own, and all that comes by it until it is closed. */
function dial(port: number): { socket: Socket; said: () => string; closed: Promise<unknown> } {
  const socket = connect(port, "127.0.0.1");
  let said = "";
  socket.on("data", (data) => {
    said += data.toString();
  });
  socket.on("error", () => undefined);
  const closed = new Promise((resolve) => socket.on("close", resolve));
  return { socket, said: () => said, closed };
}

test("GET has the body, HEAD its length alone, OPTIONS neither; all have the status", async (t) => {
  const { door, asked } = await open(t);
  const url = `${door.url}/backup?lag=10?x`;
  const got = await ask(url, "GET");
  t.like(got, { status: 200, text: yes.body });
  t.like(got.headers, { "content-type": yes.type, "cache-control": "no-store", "x-content-type-options": "nosniff" });
  t.is(got.headers["access-control-allow-origin"], undefined);
  const head = await ask(url, "HEAD");
  t.deepEqual([head.status, head.text, head.headers["content-length"]], [200, "", String(yes.body.length)]);
  const options = await ask(url, "OPTIONS");
  t.deepEqual([options.status, options.text, options.headers["content-length"]], [200, "", "0"]);
  t.is(options.headers.allow, "GET, HEAD, OPTIONS");
  const question = { path: "/backup", query: "lag=10?x" };
  t.deepEqual(asked, [question, question, question]);
});

test("a load balancer of HTTP/1.0 without a Host is answered, and its connection closed", async (t) => {
  const { port } = await open(t, { answer: () => ({ ...yes, status: 503 }) });
  const { socket, said, closed } = dial(port);
  socket.write("OPTIONS /primary HTTP/1.0\r\n\r\n");
  await closed;
  t.regex(said(), /^HTTP\/1\.1 503 Service Unavailable\r\n/);
});

test("another method is refused, and no body is read: who sends one is answered and hung up on", async (t) => {
  const { port, door, asked } = await open(t);
  const posted = await ask(`${door.url}/primary`, "POST", "a body");
  t.deepEqual([posted.status, posted.headers.allow, posted.headers.connection], [405, "GET, HEAD, OPTIONS", "close"]);
  t.deepEqual(asked, []);
  const { socket, said, closed } = dial(port);
  socket.write("GET /livez HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\nand so on");
  await closed;
  t.regex(said(), /^HTTP\/1\.1 200 OK\r\nConnection: close\r\n/);
});

/** Whether somebody who comes now is served. */
const isServed = (door: HttpDoor) => () =>
  ask(`${door.url}/livez`, "GET").then(
    ({ status }) => status === 200,
    () => false,
  );

test("headers that are too large, too slow, or none are ended with their status", async (t) => {
  const { port, asked } = await open(t, { limits: { ...httpLimits, requestMs: 200 } });
  const large = dial(port);
  large.socket.write(`GET / HTTP/1.1\r\nHost: x\r\nX: ${"a".repeat(httpLimits.maxHeaderBytes)}\r\n\r\n`);
  await large.closed;
  t.regex(large.said(), /^HTTP\/1\.1 431 /);
  const slow = dial(port);
  slow.socket.write("GET / HTTP/1.1\r\nHo");
  await slow.closed;
  t.regex(slow.said(), /^HTTP\/1\.1 408 /);
  const malformed = dial(port);
  malformed.socket.write("\u0016\u0003\u0001 TLS?\r\n\r\n");
  await malformed.closed;
  t.regex(malformed.said(), /^HTTP\/1\.1 400 /);
  t.deepEqual(asked, []);
});

test("a connection on which nothing moves is ended, whether nothing is asked or nothing is read", async (t) => {
  const limits: HttpLimits = { ...httpLimits, idleMs: 300, requestMs: 120_000, maxConnections: 1 };
  const answer = () => ({ ...yes, body: "x".repeat(16 * 1024 * 1024) });
  const { port, door } = await open(t, { answer, limits });
  const sinceMs = performance.now();
  await dial(port).closed;
  const { socket } = dial(port);
  socket.pause();
  socket.write("GET /health HTTP/1.1\r\nHost: x\r\n\r\n".repeat(2));
  await once(socket, "readable");
  t.true(await until(isServed(door), { withinMs }), "its place is free again");
  t.true(performance.now() - sinceMs < 60_000, "it was not the time for a question that ended it");
  socket.destroy();
});

test("who asks and asks without reading is hung up on, and few answers are made for him", async (t) => {
  let made = 0;
  const answer = () => {
    made += 1;
    return { ...yes, body: "x".repeat(64 * 1024) };
  };
  const { port, door } = await open(t, { answer, limits: { ...httpLimits, maxConnections: 1 } });
  const { socket } = dial(port);
  socket.pause();
  socket.write("GET /health HTTP/1.1\r\nHost: x\r\n\r\n".repeat(10_000));
  await until(() => made > 0, { withinMs });
  t.true(await until(isServed(door), { withinMs }), "its place is free again");
  t.true(made <= 2 * httpLimits.maxUnread, `${made} answers were made for one who reads none`);
  socket.destroy();
});

test("no more connections than the limit: others are turned away, and the log says so once", async (t) => {
  const { port, lines, door } = await open(t, { limits: { ...httpLimits, maxConnections: 3 } });
  const held = [dial(port), dial(port), dial(port)];
  for (const { socket } of held) await once(socket, "connect");
  for (let times = 0; times < 3; times += 1) await dial(port).closed;
  t.is(lines.length, 1);
  t.regex(lines[0] ?? "", /^warn HTTP: too many connections at once; .*"maxConnections":3/);
  held[0]?.socket.destroy();
  t.true(await until(isServed(door), { withinMs }), "whoever comes when one has gone is served");
});

test("an answer that fails is a 500 without a word of why, which the log has once", async (t) => {
  const answer = () => Promise.reject(new Error("a secret"));
  const { door, lines } = await open(t, { answer });
  for (let times = 0; times < 3; times += 1) {
    const { status, text } = await ask(`${door.url}/health`, "GET");
    t.is(status, 500);
    t.notRegex(text, /secret/);
  }
  t.is(lines.length, 1);
  t.regex(lines[0] ?? "", /^error an answer by HTTP failed .*a secret/);
});

test("an address of IPv6 stands in brackets where it is shown", async (t) => {
  const found = await open(t, { host: "::1" }).catch((error: unknown) => error);
  if (found instanceof HttpError) t.is(found.code, "BAD_ADDRESS", "this machine has no IPv6");
  else t.regex((found as { door: HttpDoor }).door.url, /^http:\/\/\[::1\]:\d+$/);
});

test("a port that is taken and an address that is none of this machine are errors that name the setting", async (t) => {
  const other = createServer().listen(0, "127.0.0.1");
  t.teardown(() => other.close());
  await once(other, "listening");
  const { port } = other.address() as { port: number };
  const taken = await t.throwsAsync(open(t, { port }), { instanceOf: HttpError });
  t.is((taken as HttpError).code, "PORT_TAKEN");
  t.regex(taken?.message ?? "", new RegExp(`^127\\.0\\.0\\.1:${port} is taken: .*http\\.port`));
  for (const host of ["192.0.2.1", "no such host"]) {
    const bad = await t.throwsAsync(open(t, { host }), { instanceOf: HttpError }, host);
    t.is((bad as HttpError).code, "BAD_ADDRESS");
    t.regex(bad?.message ?? "", /^cannot listen for HTTP on /);
  }
});
