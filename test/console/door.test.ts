/** The console's HTTP server: whom it answers, with which headers, how many, and what a reader who does not read costs. */
import { once } from "node:events";
import { get, type IncomingHttpHeaders, type IncomingMessage, request } from "node:http";
import { connect } from "node:net";
import test, { type ExecutionContext } from "ava";
import { Door, DoorError, doorLimits, libraryFiles, pageFiles } from "../../deploy/console/door.ts";
import type { Entry } from "../../deploy/console/timeline.ts";
import type { View } from "../../deploy/console/view.ts";
import { until as untilWithin } from "../helpers/until.ts";

const until = (isSo: () => boolean) => untilWithin(isSo, { withinMs: 30_000 });
const view = { service: "<b>exchange</b>", sentence: "a\n\nevent: evil" } as View;
const entry: Entry = { id: 7, atMs: 1, kind: "nats", server: "", what: "NATS is lost", why: "" };

async function open(t: ExecutionContext, limits = doorLimits): Promise<Door> {
  const source = {
    view: () => view,
    viewAt: (id: number) => (id === 7 ? view : undefined),
    entries: () => [entry],
    series: () => ({ samples: [], marks: [{ atMs: 1, what: "moved" }] }),
    charts: () => Promise.resolve([]),
  };
  const door = new Door(source, { limits });
  await door.listen(0);
  t.teardown(() => door.close());
  return door;
}

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

async function ask(door: Door, path: string, headers: Record<string, string> = {}, method = "GET"): Promise<Answer> {
  const asked = request(new URL(path, door.url), { method, headers, agent: false });
  asked.end();
  const [answer] = (await once(asked, "response")) as [IncomingMessage];
  let body = "";
  for await (const part of answer) body += part;
  return { status: answer.statusCode ?? 0, headers: answer.headers, body };
}

test("every file of the page is there, and says what it is; nothing else is, whatever the path", async (t) => {
  const door = await open(t);
  for (const name of [...pageFiles, ...Object.keys(libraryFiles)]) {
    const { status, headers } = await ask(door, name === "index.html" ? "/" : `/${name}`);
    t.is(status, 200, name);
    t.regex(headers["content-type"] ?? "", /^(text\/(html|css|javascript)|image\/svg\+xml); charset=utf-8$/);
  }
  for (const path of [
    "/index.html",
    "/page",
    "/../package.json",
    "/%2e%2e/package.json",
    "/then/",
    "/then/-1",
    "/then/8",
  ])
    t.is((await ask(door, path)).status, 404, path);
  t.is((await ask(door, "/then/7")).body, JSON.stringify(view));
});

test("every answer forbids scripts, styles and frames of others, and is kept by nobody", async (t) => {
  const door = await open(t);
  const answers = [
    await ask(door, "/"),
    await ask(door, "/then/7"),
    await ask(door, "/nowhere"),
    await ask(door, "/", {}, "POST"),
    await ask(door, "/", { Host: "evil.test" }),
  ];
  for (const { headers } of answers) {
    const policy = headers["content-security-policy"] ?? "";
    t.regex(String(policy), /^default-src 'none'; script-src 'self'; .*frame-ancestors 'none'/);
    t.notRegex(String(policy), /unsafe|\*|http/);
    t.is(headers["x-content-type-options"], "nosniff");
    t.is(headers["cross-origin-resource-policy"], "same-origin");
    t.is(headers["cache-control"], "no-store");
    t.is(headers["access-control-allow-origin"], undefined);
  }
  const { body } = await ask(door, "/");
  t.notRegex(body, /<style|style=|<script(?! type="module" src="\/)|\son\w+=|https?:/);
});

test("whoever does not name it by its loopback address and port is refused, whatever he asks", async (t) => {
  const door = await open(t);
  const { port } = new URL(door.url);
  for (const host of [
    "evil.test",
    `evil.test:${port}`,
    "127.0.0.1",
    `127.0.0.1.evil.test:${port}`,
    `localhost.:${port}`,
    "localhost:1",
  ])
    for (const path of ["/", "/live", "/then/7", "/page.js"])
      t.is((await ask(door, path, { Host: host })).status, 421, `${host} ${path}`);
  for (const host of [`localhost:${port}`, `LOCALHOST:${port}`, `127.0.0.1:${port}`])
    t.is((await ask(door, "/", { Host: host })).status, 200, host);
});

test("another site's page may link here, and ask nothing", async (t) => {
  const door = await open(t);
  const from = (site: string, mode: string, dest: string) => ({
    "Sec-Fetch-Site": site,
    "Sec-Fetch-Mode": mode,
    "Sec-Fetch-Dest": dest,
  });
  for (const site of ["cross-site", "same-site"]) {
    t.is((await ask(door, "/live", from(site, "cors", "empty"))).status, 403);
    t.is((await ask(door, "/page.js", from(site, "no-cors", "script"))).status, 403);
    t.is((await ask(door, "/", from(site, "navigate", "iframe"))).status, 403);
    t.is((await ask(door, "/", from(site, "navigate", "document"))).status, 200);
  }
  t.is((await ask(door, "/then/7", from("same-origin", "cors", "empty"))).status, 200);
});

test("only GET is answered", async (t) => {
  const door = await open(t);
  for (const method of ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "HEAD"]) {
    const { status, headers } = await ask(door, "/", {}, method);
    t.deepEqual([status, headers.allow], [405, "GET"], method);
  }
});

/** A stream that is read. */
async function stream(door: Door): Promise<{ text: () => string; message: IncomingMessage; end: () => void }> {
  const asked = get(new URL("/live", door.url), { agent: false });
  const [message] = (await once(asked, "response")) as [IncomingMessage];
  let text = "";
  message.on("data", (part) => {
    text += part;
  });
  message.on("error", () => undefined);
  asked.on("error", () => undefined);
  return { text: () => text, message, end: () => asked.destroy() };
}

test("a stream begins with the timeline and the view, goes on with what happens, and no text breaks out of its frame", async (t) => {
  const door = await open(t);
  const { text, message, end } = await stream(door);
  t.is(message.headers["content-type"], "text/event-stream; charset=utf-8");
  await until(() => text().includes("event: view"));
  door.onEntry({ ...entry, what: "line\r\n\r\nevent: evil" });
  await until(() => text().includes("event: entry"));
  t.regex(
    text(),
    /^retry: 1000\n\nevent: timeline\ndata: \[.*\]\n\nevent: series\ndata: \{"samples":\[\],"marks":\[\{"atMs":1,"what":"moved"\}\]\}\n\nevent: view\ndata: \{.*\}\n\nevent: entry\ndata: .*\n\n$/,
  );
  t.notRegex(text(), /^event: evil/m);
  end();
  await until(() => door.streams === 0);
});

test("so many streams and no more; the one that is refused is told why, and a free place is free", async (t) => {
  const door = await open(t, { ...doorLimits, maxStreams: 2 });
  const [one, other] = [await stream(door), await stream(door)];
  const { status, body } = await ask(door, "/live");
  t.deepEqual([status, body], [503, "the console is open in 2 places: close one\n"]);
  one.end();
  await until(() => door.streams === 1);
  const again = await stream(door);
  await until(() => again.text().includes("event: view"));
  other.end();
  again.end();
});

test("a reader who does not read is cut off, and nobody else is", async (t) => {
  const door = await open(t, { ...doorLimits, maxBacklogBytes: 64 * 1024 });
  const reader = await stream(door);
  const deaf = connect(Number(new URL(door.url).port), "127.0.0.1");
  deaf.on("error", () => undefined);
  deaf.pause();
  deaf.write(`GET /live HTTP/1.1\r\nHost: ${new URL(door.url).host}\r\n\r\n`);
  await until(() => door.streams === 2);
  const large = { ...view, sentence: "x".repeat(100_000) };
  await until(() => {
    door.onView(large);
    return door.streams === 1;
  });
  t.true(reader.text().length > 100_000);
  reader.end();
  deaf.destroy();
});

/** Connections that say nothing; how many of them were closed. */
function mute(t: ExecutionContext, door: Door, count: number): () => number {
  let closed = 0;
  for (let at = 0; at < count; at += 1) {
    const socket = connect(Number(new URL(door.url).port), "127.0.0.1");
    socket.on("error", () => undefined);
    socket.on("close", () => {
      closed += 1;
    });
    socket.resume();
    t.teardown(() => socket.destroy());
  }
  return () => closed;
}

test("connections beyond the limit are closed at once", async (t) => {
  const closed = mute(t, await open(t, { ...doorLimits, maxConnections: 3, requestMs: 600_000 }), 6);
  await until(() => closed() === 3);
  t.is(closed(), 3);
});

test("a connection that says nothing does not stay", async (t) => {
  const door = await open(t, { ...doorLimits, requestMs: 200 });
  const closed = mute(t, door, 4);
  await until(() => closed() === 4);
  t.is((await ask(door, "/")).status, 200);
});

test("a port that is taken is an error that says so", async (t) => {
  const door = await open(t);
  const other = new Door({
    view: () => view,
    viewAt: () => undefined,
    entries: () => [],
    series: () => ({ samples: [], marks: [] }),
    charts: () => Promise.resolve([]),
  });
  await t.throwsAsync(other.listen(Number(new URL(door.url).port)), {
    instanceOf: DoorError,
    message: /^port \d+ is taken$/,
  });
});
