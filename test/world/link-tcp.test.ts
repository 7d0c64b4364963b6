/**
 * The main link over real TCP: the conformance suite, and what only TCP has (greetings, damage on the way, taken
 * ports, replaced connections, TLS).
 */
import { connect, createServer, type Socket } from "node:net";
import test from "ava";
import { encodeFrame } from "../../actors/world/frames.ts";
import { greetingOf } from "../../actors/world/greeting.ts";
import { LinkError } from "../../actors/world/link-error.ts";
import { TcpLink, type TcpLinkOptions } from "../../actors/world/link-tcp.ts";
import type { LinkHandlers } from "../../actors/world/ports.ts";
import { TcpProxy } from "../../deploy/drill/proxy.ts";
import { linkConformance } from "../conformance/link.ts";
import { bytesOf, realRig, textOf } from "../conformance/rig.ts";
import { type KeptLog, keptLog } from "../helpers/kept-log.ts";
import { proofWith } from "../helpers/peer-key.ts";

const host = "127.0.0.1";
const MiB = 1024 * 1024;
const maxBufferedBytes = 8 * MiB;

/** alpha dials beta through the proxy; both listen on ports that the system chose. */
async function tcpPair(change: Partial<TcpLinkOptions> = {}, ofBeta: Partial<TcpLinkOptions> = {}) {
  const rig = realRig();
  const log = keptLog();
  const common = {
    service: "test",
    allowPlaintext: false,
    maxFrameBytes: 4 * MiB,
    maxBufferedBytes,
    clock: rig.clock,
    log,
    ...change,
  };
  const beta = new TcpLink({
    ...common,
    ...ofBeta,
    server: "beta",
    servers: [
      { name: "alpha", host, port: 1 },
      { name: "beta", host, port: 0 },
    ],
  });
  const proxy = new TcpProxy(() => beta.port());
  await proxy.listen();
  const alpha = new TcpLink({
    ...common,
    server: "alpha",
    servers: [
      { name: "alpha", host, port: 0 },
      { name: "beta", host, port: proxy.port },
    ],
  });
  return { ...rig, log, alpha, beta, proxy };
}

for (const isProven of [false, true])
  linkConformance(isProven ? "link-tcp with a key" : "link-tcp", async () => {
    const pair = await tcpPair(isProven ? { proof: await proofWith() } : {});
    return {
      ...pair,
      cut: () => pair.proxy.cut(),
      heal: () => pair.proxy.listen(),
      betaIsAbsent: () => pair.proxy.cut(),
      maxBufferedBytes,
      reasons: { stopped: ["closed", "refused"], absent: ["refused"] },
      keepsOrder: true,
      dispose: () => pair.proxy.close(),
    };
  });

interface Heard {
  readonly handlers: LinkHandlers;
  readonly events: string[];
}

function listener(): Heard {
  const events: string[] = [];
  return {
    events,
    handlers: {
      onUp: (peer) => events.push(`up ${peer}`),
      onDown: (peer, reason) => events.push(`down ${peer} ${reason}`),
      onFrame: (peer, frame) => events.push(`frame ${peer} ${textOf(frame)}`),
    },
  };
}

test.serial("link-tcp: closed, then refused, each told once, for as long as nobody listens", async (t) => {
  const { alpha, beta, proxy, until } = await tcpPair();
  t.teardown(() => proxy.close());
  const [atAlpha, atBeta] = [listener(), listener()];
  await Promise.all([alpha.start(atAlpha.handlers), beta.start(atBeta.handlers)]);
  await until(() => atAlpha.events.length > 0 && atBeta.events.length > 0, "both up");
  await proxy.cut();
  await until(() => atAlpha.events.length >= 3, "alpha to see the refusal");
  // Several dials later there is still nothing new to say.
  const server = createServer((socket) => socket.destroy());
  let dials = 0;
  server.on("connection", () => {
    dials += 1;
  });
  await new Promise<void>((resolve) => server.listen(proxy.port, host, () => resolve()));
  await until(() => dials >= 3, "three more dials");
  t.deepEqual(atAlpha.events, ["up beta", "down beta closed", "down beta refused"]);
  t.deepEqual(atBeta.events, ["up alpha", "down alpha closed"]);
  await new Promise<void>((resolve) => server.close(() => resolve()));
  await Promise.all([alpha.stop(), beta.stop()]);
});

test.serial(
  "link-tcp: damage on the way ends the connection, is never delivered, and the link comes back",
  async (t) => {
    const { alpha, beta, proxy, until, log } = await tcpPair();
    t.teardown(() => proxy.close());
    const [atAlpha, atBeta] = [listener(), listener()];
    await Promise.all([alpha.start(atAlpha.handlers), beta.start(atBeta.handlers)]);
    await until(() => atAlpha.events.length > 0 && atBeta.events.length > 0, "both up");
    proxy.tamper = (chunk) => {
      const at = chunk.indexOf("precious");
      if (at >= 0) chunk[at] = 0x50;
      return chunk;
    };
    t.true(alpha.send("beta", [bytesOf("a precious record")]));
    await until(() => atBeta.events.includes("down alpha closed"), "beta to drop the connection");
    t.false(atBeta.events.some((event) => event.startsWith("frame")));
    t.true(log.lines.some((line) => line.includes("damaged")));
    proxy.tamper = (chunk) => chunk;
    await until(() => atAlpha.events.filter((event) => event === "up beta").length === 2, "alpha to be up again");
    alpha.send("beta", [bytesOf("a precious record")]);
    await until(() => atBeta.events.includes("frame alpha a precious record"), "the record");
    await Promise.all([alpha.stop(), beta.stop()]);
  },
);

/** Connects to beta as a stranger, sends the bytes, and resolves when beta has closed the connection. */
function stranger(port: number, bytes: Uint8Array): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    socket.on("error", () => undefined);
    socket.on("close", () => resolve());
    socket.resume();
    socket.write(bytes);
  });
}

const greeting = { service: "test", server: "alpha", to: "beta" };
const huge = Buffer.alloc(8);
huge.writeUInt32LE(0xffff_ffff, 0);

const strangers: [what: string, bytes: Uint8Array, said: string][] = [
  ["another service", encodeFrame([greetingOf({ ...greeting, service: "other" })]), "serves other"],
  ["an unknown server", encodeFrame([greetingOf({ ...greeting, server: "gamma" })]), "gamma is not among"],
  ["who wants another server", encodeFrame([greetingOf({ ...greeting, to: "delta" })]), "wants delta"],
  [
    "who claims to be the server itself",
    encodeFrame([greetingOf({ ...greeting, server: "beta" })]),
    "beta is not among",
  ],
  [
    "another version",
    encodeFrame([bytesOf(JSON.stringify({ twinlog: 99, ...greeting }))]),
    "the peer speaks version 99",
  ],
  ["who speaks HTTP", bytesOf("GET / HTTP/1.1\r\nhost: x\r\n\r\n"), "at most 1024 are allowed"],
  ["who greets without end", huge, "a frame of 4294967295 bytes"],
  ["who sends JSON that is no greeting", encodeFrame([bytesOf("[1]")]), "does not speak Twinlog"],
];

for (const [what, bytes, said] of strangers) {
  test.serial(`link-tcp: a stranger is turned away and told of in the log: ${what}`, async (t) => {
    const { beta, proxy, log } = await tcpPair();
    t.teardown(() => proxy.close());
    const atBeta = listener();
    await beta.start(atBeta.handlers);
    await stranger(beta.port(), bytes);
    t.deepEqual(atBeta.events, []);
    t.true(
      log.lines.some((line) => line.includes(said)),
      log.lines.join("\n"),
    );
    await beta.stop();
  });
}

test.serial("link-tcp: strangers who say something else each time are one line a minute", async (t) => {
  const { beta, proxy, log } = await tcpPair();
  t.teardown(() => proxy.close());
  await beta.start(listener().handlers);
  for (let nth = 0; nth < 5; nth += 1) {
    await stranger(beta.port(), encodeFrame([greetingOf({ ...greeting, server: `other-${nth}` })]));
    await stranger(beta.port(), encodeFrame([bytesOf(JSON.stringify({ twinlog: `\u0007text ${nth}` }))]));
    await stranger(beta.port(), encodeFrame([bytesOf(JSON.stringify({ twinlog: 90 + nth }))]));
  }
  const told = log.lines.filter((line) => line.includes("connection refused"));
  t.is(told.length, 3, told.join("\n"));
  t.false(told.some((line) => line.includes("text")));
  await beta.stop();
});

test.serial(
  "link-tcp: who does not greet takes few places, and none of another address; those that wait longest are closed, told once",
  async (t) => {
    const rig = realRig();
    // Nobody's time runs out here.
    const clock = { ...rig.clock, after: () => ({ cancel: () => undefined }) };
    const { beta, proxy, until, log } = await tcpPair({ clock });
    t.teardown(() => proxy.close());
    const atBeta = listener();
    await beta.start(atBeta.handlers);
    const sockets: Socket[] = [];
    const open = (localAddress: string) => {
      const socket = connect({ host, port: beta.port(), localAddress });
      socket.on("error", () => undefined);
      sockets.push(socket);
      return socket.resume();
    };
    t.teardown(() => sockets.forEach((socket) => void socket.destroy()));
    const crowd = Array.from({ length: 40 }, () => open(host));
    const left = () => crowd.filter((socket) => !socket.destroyed);
    await until(() => left().length === 6, "all but two of the peer and four strangers to be closed");
    const other = open("127.0.0.2");
    other.write(encodeFrame([greetingOf(greeting)]));
    await until(() => atBeta.events.length === 1, "the peer of another address to be up");
    // Its place is free again, and that of one that goes as well.
    for (const socket of left()) socket.destroy();
    await until(() => {
      if (atBeta.events.length === 1) open(host).write(encodeFrame([greetingOf(greeting)]));
      return atBeta.events.length > 1;
    }, "a connection where there was no place");
    t.is(log.lines.filter((line) => line.includes("too many connections that have not greeted")).length, 1);
    await beta.stop();
  },
);

test.serial("link-tcp: strangers of many addresses together leave room for who has greeted", async (t) => {
  const rig = realRig();
  const clock = { ...rig.clock, after: () => ({ cancel: () => undefined }) };
  const { beta, proxy, until } = await tcpPair({ clock });
  t.teardown(() => proxy.close());
  const atBeta = listener();
  await beta.start(atBeta.handlers);
  const greeted = connect({ host, port: beta.port() });
  greeted.on("error", () => undefined);
  greeted.write(encodeFrame([greetingOf(greeting)]));
  await until(() => atBeta.events.length === 1, "alpha to be up");
  const crowd = Array.from({ length: 60 }, (_, at) => {
    const socket = connect({ host, port: beta.port(), localAddress: `127.0.1.${1 + at}` });
    socket.on("error", () => undefined);
    return socket.resume();
  });
  t.teardown(() => crowd.forEach((socket) => void socket.destroy()));
  await until(() => crowd.filter((socket) => !socket.destroyed).length === 18, "all but 18 to be closed");
  greeted.write(encodeFrame([bytesOf("still here")]));
  await until(() => atBeta.events.includes("frame alpha still here"), "a frame of alpha");
  t.deepEqual(atBeta.events, ["up alpha", "frame alpha still here"]);
  greeted.destroy();
  await beta.stop();
});

test.serial("link-tcp: a newer connection of the same peer replaces the older one, as down and then up", async (t) => {
  const { beta, proxy, until } = await tcpPair();
  t.teardown(() => proxy.close());
  const atBeta = listener();
  await beta.start(atBeta.handlers);
  const open = () => {
    const socket = connect({ host, port: beta.port() });
    socket.on("error", () => undefined);
    socket.write(encodeFrame([greetingOf(greeting)]));
    return socket.resume();
  };
  const first = open();
  await until(() => atBeta.events.length === 1, "the first to be up");
  const second = open();
  await until(() => atBeta.events.length === 3, "the second to take over");
  t.deepEqual(atBeta.events, ["up alpha", "down alpha closed", "up alpha"]);
  await until(() => first.destroyed, "the first to be closed");
  second.write(encodeFrame([bytesOf("new")]));
  await until(() => atBeta.events.length === 4, "a frame of the second");
  t.is(atBeta.events[3], "frame alpha new");
  await beta.stop();
});

test.serial(
  "link-tcp: another process of a name does not take the place of one that speaks, and does when that is silent",
  async (t) => {
    const { beta, proxy, until } = await tcpPair({ speaksWithinMs: 300 });
    t.teardown(() => proxy.close());
    const atBeta = listener();
    await beta.start(atBeta.handlers);
    const open = (life: string) => {
      const socket = connect({ host, port: beta.port() });
      socket.on("error", () => undefined);
      socket.write(encodeFrame([greetingOf({ ...greeting, processId: life })]));
      return socket.resume();
    };
    const first = open("first");
    await until(() => atBeta.events.length === 1, "the first to be up");
    const stranger = open("stranger");
    await until(() => stranger.destroyed, "the stranger to be refused");
    first.write(encodeFrame([bytesOf("still here")]));
    await until(() => atBeta.events.length === 2, "a frame of the first");
    t.deepEqual(atBeta.events, ["up alpha", "frame alpha still here"]);
    // The first one says nothing more: its machine may be gone.
    await until(() => {
      if (atBeta.events.length === 2) open("second");
      return atBeta.events.length > 2;
    }, "another life to take over");
    t.deepEqual(atBeta.events.slice(2, 4), ["down alpha closed", "up alpha"]);
    await beta.stop();
  },
);

test.serial("link-tcp: a dead life's connection is closed at once, another life's is left alone", async (t) => {
  const { beta, proxy, until } = await tcpPair();
  t.teardown(() => proxy.close());
  const atBeta = listener();
  await beta.start(atBeta.handlers);
  const open = (life?: string) => {
    const socket = connect({ host, port: beta.port() });
    socket.on("error", () => undefined);
    socket.write(encodeFrame([greetingOf({ ...greeting, processId: life })]));
    return socket.resume();
  };
  t.false(beta.onDeath("alpha", "first"), "nobody has spoken yet");
  open("first");
  await until(() => atBeta.events.length === 1, "the first life to be up");
  t.false(beta.onDeath("alpha", "zeroth"));
  t.false(beta.onDeath("gamma", "first"));
  t.true(beta.onDeath("alpha", "first"));
  await until(() => atBeta.events.length === 2, "its connection to be closed");
  open("second");
  await until(() => atBeta.events.length === 3, "the second life to be up");
  t.false(beta.onDeath("alpha", "first"), "a late word about the life before");
  open();
  await until(() => atBeta.events.length === 5, "an older program, which says nothing of lives");
  t.false(beta.onDeath("alpha", "second"));
  t.deepEqual(atBeta.events, ["up alpha", "down alpha closed", "up alpha", "down alpha closed", "up alpha"]);
  await beta.stop();
});

test.serial("link-tcp: a taken port is a clear error", async (t) => {
  const { beta, proxy } = await tcpPair();
  t.teardown(() => proxy.close());
  const rig = realRig();
  const log: KeptLog = keptLog();
  await beta.start(listener().handlers);
  const late = new TcpLink({
    service: "test",
    server: "beta",
    servers: [{ name: "beta", host, port: beta.port() }],
    allowPlaintext: false,
    maxFrameBytes: 1000,
    maxBufferedBytes: 1000,
    clock: rig.clock,
    log,
  });
  const error = await t.throwsAsync(late.start(listener().handlers), { instanceOf: LinkError });
  t.is((error as LinkError).code, "PORT_TAKEN");
  t.regex(error?.message ?? "", /is taken/);
  await late.stop();
  await beta.stop();
});

test.serial("link-tcp: without TLS it does not leave this machine unless it is told to", async (t) => {
  const rig = realRig();
  const make = (hosts: [string, string], allowPlaintext: boolean) =>
    new TcpLink({
      service: "test",
      server: "beta",
      servers: [
        { name: "alpha", host: hosts[0], port: 1 },
        { name: "beta", host: hosts[1], port: 0 },
      ],
      allowPlaintext,
      maxFrameBytes: 1000,
      maxBufferedBytes: 1000,
      clock: rig.clock,
      log: keptLog(),
    });
  for (const hosts of [
    ["127.0.0.1", "0.0.0.0"],
    ["192.0.2.1", "127.0.0.1"],
    ["127.evil.example", "127.0.0.1"],
  ] as [string, string][]) {
    const error = await t.throwsAsync(make(hosts, false).start(listener().handlers), { instanceOf: LinkError });
    t.is((error as LinkError).code, "PLAINTEXT_REFUSED", hosts.join());
  }
  const allowed = make(["192.0.2.1", "127.0.0.1"], true);
  await t.notThrowsAsync(allowed.start(listener().handlers));
  await allowed.stop();
});

test.serial(
  "link-tcp: of two that run with other limits the smaller one counts, both ways, and nobody is cut off",
  async (t) => {
    const { alpha, beta, proxy, until } = await tcpPair({}, { maxFrameBytes: MiB });
    t.teardown(() => proxy.close());
    const [atAlpha, atBeta] = [listener(), listener()];
    t.is(alpha.maxFrameBytes("beta"), 4 * MiB, "until it is known");
    await Promise.all([alpha.start(atAlpha.handlers), beta.start(atBeta.handlers)]);
    await until(() => atAlpha.events.length === 1 && atBeta.events.length === 1, "both ends to be up");
    t.deepEqual([alpha.maxFrameBytes("beta"), beta.maxFrameBytes("alpha")], [MiB, MiB]);
    t.false(alpha.send("beta", [new Uint8Array(MiB + 1)]), "beta would end the connection");
    t.true(alpha.send("beta", [bytesOf("after it")]));
    await until(() => atBeta.events.includes("frame alpha after it"), "the next frame");
    t.deepEqual(atAlpha.events, ["up beta"]);
    await Promise.all([alpha.stop(), beta.stop()]);
  },
);

test.serial(
  "link-tcp: a stranger of the peer's own address, who dials whenever he is closed, does not keep it out",
  async (t) => {
    const { alpha, beta, proxy, until } = await tcpPair();
    t.teardown(() => proxy.close());
    const atBeta = listener();
    await beta.start(atBeta.handlers);
    let isOver = false;
    const hold = () => {
      if (isOver) return;
      const socket = connect({ host, port: beta.port() });
      socket.on("error", () => undefined);
      socket.on("close", () => setTimeout(hold, 20));
      socket.resume();
      t.teardown(() => socket.destroy());
    };
    t.teardown(() => {
      isOver = true;
    });
    for (let nth = 0; nth < 6; nth += 1) hold();
    await new Promise((resolve) => setTimeout(resolve, 100));
    await alpha.start(listener().handlers);
    await t.notThrowsAsync(until(() => atBeta.events.length > 0, "alpha to be up at beta"));
    await alpha.stop();
    await beta.stop();
  },
);
