/**
 * Bad input against a real pair: whatever comes in on any subject or port, the sender gets a typed refusal where one is due, both
 * servers live on in the same incarnation, and the transaction log has not moved.
 */
import { connect as connectTcp } from "node:net";
import test, { type ExecutionContext } from "ava";
import { headers as natsHeaders } from "nats";
import { encodeFrame } from "../../actors/world/frames.ts";
import { greetingOf } from "../../actors/world/greeting.ts";
import { encodeMessage } from "../../machines/codec/message.ts";
import { ReplayEnd } from "../../schemas/replay.ts";
import { controlVerbs } from "../../schemas/status.ts";
import { subjects } from "../../schemas/subjects.ts";
import { failsafeFrame } from "../helpers/misfit-frames.ts";
import { type Pair, sharedPair } from "../helpers/pair/pair.ts";
import { until } from "../helpers/until.ts";
import { deep, envelope, good, messages, order, withBody } from "./messages.ts";
import { RawNats } from "./raw-nats.ts";

const shared = sharedPair(test);

const door = "pair.request.BTC.eve";

let marker = 0;

/** After `act` both servers are as before, but for one record: that of a good request, which is answered. */
async function staysUnmoved(t: ExecutionContext, act: (pair: Pair) => Promise<void>): Promise<void> {
  const pair = shared.current;
  await pair.normal();
  const before = [await pair.newStatus("alpha"), await pair.newStatus("beta")];
  const { sequence } = before[0] ?? { sequence: -1 };
  await act(pair);
  marker += 1;
  const good = await pair.ask(order(`good-${marker}`), { client: "alice", id: `${marker}`, key: "BTC" });
  t.true(good.reply.ok, good.text);
  t.is(good.reply.sequence, sequence + 1, "nothing else was logged");
  await pair.waitFor("beta", (status) => status.sequence >= sequence + 1);
  const after = [await pair.newStatus("alpha"), await pair.newStatus("beta")];
  const identity = (status: (typeof after)[number]) => [
    status.incarnation,
    status.role,
    status.epoch,
    status.state,
    status.pid,
  ];
  t.deepEqual(after.map(identity), before.map(identity));
  t.deepEqual(
    after.map((status) => status.sequence),
    [sequence + 1, sequence + 1],
  );
}

async function refusalOf(pair: Pair, subject: string, data: string | Uint8Array): Promise<unknown> {
  const answer = await pair.raw.request(subject, data, { timeout: 5_000 });
  const { ok, error } = JSON.parse(answer.string()) as { ok: boolean; error?: { code: string; executed: boolean } };
  return ok ? "ok" : `${error?.code} executed ${error?.executed}`;
}

const invalid = "INVALID_REQUEST executed false";
test.serial("messages that are no requests are refused by name, one and all", async (t) => {
  await staysUnmoved(t, async (pair) => {
    for (const [what, data] of messages) t.is(await refusalOf(pair, door, data), invalid, what);
  });
});

test.serial("the same on the query subject, and nothing is answered that was not asked well", async (t) => {
  await staysUnmoved(t, async (pair) => {
    for (const [what, data] of messages.slice(0, 20))
      t.is(await refusalOf(pair, "pair.query.BTC.eve", data), invalid, what);
    for (const body of [
      "null",
      deep(1000),
      '{"query":"toString"}',
      '{"query":"__proto__"}',
      '{"query":"book","symbol":7}',
      '{"query":"book","symbol":"BTC","depth":0}',
    ])
      t.is(await refusalOf(pair, "pair.query.BTC.eve", withBody(body)), invalid, body.slice(0, 50));
  });
});

test.serial(
  "a message above the limit is too large; one above the broker's costs its sender the connection",
  async (t) => {
    await staysUnmoved(t, async (pair) => {
      const { maxRequestBytes } = pair.settings.get("alpha")?.limits ?? { maxRequestBytes: 0 };
      const tooLarge = "TOO_LARGE executed false";
      t.is(await refusalOf(pair, door, good.padEnd(maxRequestBytes + 1)), tooLarge);
      t.is(await refusalOf(pair, door, "x".repeat(900_000)), tooLarge);
      t.is(await refusalOf(pair, "pair.query.BTC.eve", "x".repeat(900_000)), tooLarge);
      t.is(await refusalOf(pair, door, `${good}x`.padEnd(maxRequestBytes)), invalid, "not above it");
      const raw = await RawNats.open(pair.nats.port);
      raw.publish(door, "x".repeat(2_000_000), "_INBOX.eve");
      await until(() => raw.isClosed, { withinMs: 10_000, waitedFor: "the broker to end it" });
    });
  },
);

const hostileSubjects = [
  "pair.request",
  "pair.request.BTC",
  "pair.request.BTC.eve.more",
  "pair.request.BTC.eve.more.and.more",
  "pair.request.=.eve",
  "pair.request.BTC.=",
  "pair.request.=zz.eve",
  "pair.request.=4.eve",
  "pair.request.=41.eve",
  "pair.request.=FF.eve",
  "pair.request.BTC.=65ve",
  "pair.request.%42TC.eve",
  "pair.request.BTC.EVE",
  "pair.request.__proto__.eve",
  "pair.request.BTC.constructor",
  `pair.request.BTC.${"e".repeat(2_000)}`,
  "pair.request.B\u00d6C.eve",
  "pair.request.BTC.\u0001eve",
];

test.serial("hostile subject tokens are refused where a server listens, and heard by nobody elsewhere", async (t) => {
  await staysUnmoved(t, async (pair) => {
    for (const subject of hostileSubjects) {
      const answer = await refusalOf(pair, subject, good).catch((error: Error) => error.message);
      t.is(answer, subject === "pair.request" ? "503" : invalid, subject);
    }
    const raw = await RawNats.open(pair.nats.port);
    for (const subject of [
      "pair.request.*.eve",
      "pair.request.>",
      "pair.request..eve",
      "pair.request.BTC.",
      "pair.request.BTC.*",
      ">",
      "*",
      "pair.>",
      "$JS.>",
    ])
      raw.publish(subject, good, "_INBOX.eve");
    await raw.close();
  });
});

test.serial("a request without a reply subject is refused in silence", async (t) => {
  await staysUnmoved(t, async (pair) => {
    for (const [, data] of messages) pair.raw.publish(door, typeof data === "string" ? Buffer.from(data) : data);
    await pair.raw.flush();
  });
});

test.serial("nothing is done for whoever wants the answer where a server or the broker would act on it", async (t) => {
  await staysUnmoved(t, async (pair) => {
    const { epoch, writeId } = await pair.registryRecord();
    const raw = await RawNats.open(pair.nats.port);
    const hostile = [
      "pair.request.BTC.eve",
      "pair.query.BTC.eve",
      "pair.replay",
      "pair.signal",
      "pair.control.alpha.switch",
      "pair.control.alpha.pause",
      "pair.control.beta.recover",
      "pair.server.beta.replication",
      "pair.status.alpha",
      "$KV.twinlog.pair",
      "$JS.API.STREAM.PURGE.KV_twinlog",
      "$JS.API.STREAM.DELETE.KV_twinlog",
      "$SYS.REQ.SERVER.PING",
      ">",
      "*",
      "pair.>",
      "*.control.alpha.switch",
    ];
    for (const reply of hostile) {
      raw.publish(door, "no request", reply);
      raw.publish(door, JSON.stringify(envelope({ id: `hostile ${reply}` })), reply);
      raw.publish("pair.query.BTC.eve", withBody('{"query":"book","symbol":"BTC"}'), reply);
      raw.publish("pair.replay", '{"from":1}', reply);
      raw.publish("pair.control.alpha.resume", "", reply);
      raw.publish("pair.server.alpha.checkpoint", "", reply);
      for (const verb of ["PING", "INFO", "STATS"]) {
        raw.publish(`$SRV.${verb}`, "", reply);
        raw.publish(`$SRV.${verb}.pair`, "", reply);
      }
      raw.publish("pair.about", "", reply);
    }
    await raw.close();
    const record = await pair.registryRecord();
    t.deepEqual([record.epoch, record.writeId], [epoch, writeId]);
  });
});

test.serial("replies with odd but legal subjects, headers that are none, and many at once harm nobody", async (t) => {
  await staysUnmoved(t, async (pair) => {
    const raw = await RawNats.open(pair.nats.port);
    for (const reply of ["\u00ff".repeat(3_900), "_INBOX.x\u00ff"])
      for (const subject of [door, "pair.query.BTC.eve", "pair.replay", "pair.control.alpha.resume", "pair.about"])
        raw.publishBytes(subject, "no request", Buffer.from(reply, "latin1"));
    for (const reply of [
      "_INBOX.\u00a0x",
      "_INBOX.\u0085",
      `_INBOX.${"x".repeat(3_000)}`,
      "_INBOX.=.%.'\"",
      "_INBOX..x",
    ])
      raw.publish(door, "no request", reply);
    await raw.close();
    const odd = natsHeaders();
    odd.append("Twinlog-Duplicate", "1");
    odd.append("Nats-Msg-Id", "x");
    odd.append("Status", "503");
    const answer = await pair.raw.request(door, "no request", { timeout: 5_000, headers: odd });
    t.is((answer.json() as { error: { code: string } }).error.code, "INVALID_REQUEST");
  });
});

test.serial("a replay that is asked for in a wrong way is answered by its end, with the reason", async (t) => {
  await staysUnmoved(t, async (pair) => {
    const garbage = [
      "",
      "null",
      "1",
      "x",
      "{}",
      '{"from":0}',
      '{"from":-1}',
      '{"from":1.5}',
      '{"from":"1"}',
      '{"from":1,"limit":0}',
      '{"from":1,"extra":1}',
      '{"from":1e400}',
      deep(100_000),
      "x".repeat(900_000),
    ];
    for (const data of garbage) {
      const answer = await pair.raw.request("pair.replay", data, { timeout: 5_000 });
      t.is(ReplayEnd.parse(answer.json()).error?.code, "INVALID_REQUEST", data.slice(0, 40));
    }
    const far = await pair.raw.request("pair.replay", `{"from":${Number.MAX_SAFE_INTEGER}}`, { timeout: 5_000 });
    t.is(ReplayEnd.parse(far.json()).next, Number.MAX_SAFE_INTEGER);
    const strange = await pair.raw.request("pair.replay", '{"from":1,"history":"__proto__"}', { timeout: 5_000 });
    t.is(ReplayEnd.parse(strange.json()).error?.code, "UNKNOWN_HISTORY");
    pair.raw.publish("pair.replay", '{"from":1}');
    await pair.raw.flush();
  });
});

test.serial(
  "commands that do not exist are refused by name, and those that do not fit now with the reason",
  async (t) => {
    await staysUnmoved(t, async (pair) => {
      const say = async (subject: string, data = "") =>
        (await pair.raw.request(subject, data, { timeout: 5_000 })).json() as { ok: boolean; message: string };
      for (const verb of ["stop", "SWITCH", "__proto__", "constructor", "toString", "switch=", "x".repeat(500)]) {
        const answer = await say(`pair.control.alpha.${verb}`, "\u0000".repeat(50));
        t.false(answer.ok, verb);
        t.true(answer.message.includes(`; there are: ${controlVerbs.join(", ")}`), answer.message);
      }
      t.regex((await say(subjects.control("pair", "beta", "switch"))).message, /not the primary/);
      t.regex((await say(subjects.control("pair", "alpha", "recover"))).message, /Name its incarnation/);
      const { incarnation } = (await say("pair.server.alpha.failover")) as unknown as { incarnation: string };
      const body = JSON.stringify({ incarnation });
      t.regex((await say(subjects.control("pair", "alpha", "recover"), body)).message, /not waiting or refusing/);
      t.true((await say(subjects.control("pair", "alpha", "flush"), "{}")).ok);
      for (const [verb, odd] of [
        ["flush", deep(10_000)],
        ["pause", '{"forMs":"10m"}'],
        ["pause", '{"forMs":1e300}'],
        ["switch", '{"incarnation":7}'],
        ["resume", "x"],
      ] as const) {
        const refused = await say(subjects.control("pair", "alpha", verb), odd);
        t.false(refused.ok, odd.slice(0, 40));
        t.regex(refused.message, /does not fit .*nothing was done/);
      }
    });
  },
);

test.serial("garbage on the servers' own subjects is dropped (failsafe link)", async (t) => {
  await staysUnmoved(t, async (pair) => {
    const inner = [
      Buffer.alloc(0),
      Buffer.from("hello"),
      Buffer.alloc(8, 0xff),
      encodeMessage({ type: "leave", from: "beta.x" }).subarray(0, 10),
      Buffer.concat([Buffer.from([1, 0, 0, 0, 4, 0, 0, 0]), Buffer.from("null")]),
      Buffer.concat([Buffer.from([1, 0, 0, 0, 2, 0, 0, 0]), Buffer.from("{}")]),
      Buffer.concat([Buffer.from([2, 0, 0, 0, 2, 0, 0, 0]), Buffer.from("{}")]),
      Buffer.concat([Buffer.from([1, 0, 0, 0, 255, 255, 255, 255]), Buffer.from("{}")]),
      encodeMessage({ type: "nonsense" } as never),
    ];
    for (const server of ["alpha", "beta"]) {
      const other = server === "alpha" ? "beta" : "alpha";
      const subject = subjects.actor("pair", server, "replication");
      for (const data of ["x", "xxxxxx", "x".repeat(7), "\u0000".repeat(64), "x".repeat(500_000)])
        pair.raw.publish(subject, data);
      for (const bytes of inner) {
        pair.raw.publish(subject, bytes);
        // With a sound checksum, from the peer, from nobody and from itself.
        for (const name of [other, "nobody", server, ""]) pair.raw.publish(subject, failsafeFrame(name, bytes));
        pair.raw.publish(subject, failsafeFrame(other, bytes, 9));
      }
    }
    await pair.raw.flush();
  });
});

test.serial("garbage on the main link's port is refused, and the link of the pair stays up", async (t) => {
  await staysUnmoved(t, async (pair) => {
    const greeting = (change: object) =>
      encodeFrame([greetingOf({ service: "pair", server: "alpha", to: "beta", ...change })]);
    const json = (value: unknown) => encodeFrame([Buffer.from(JSON.stringify(value))]);
    const damaged = greeting({});
    damaged[damaged.length - 1] = 0;
    const openings: [string, Uint8Array][] = [
      ["random bytes", Uint8Array.from({ length: 300 }, (_, index) => (index * 91 + 7) % 256)],
      ["HTTP", Buffer.from("GET / HTTP/1.1\r\nHost: x\r\n\r\n")],
      ["a huge length", Buffer.from([255, 255, 255, 255, 0, 0, 0, 0])],
      ["a length above a greeting's", Buffer.from([0, 8, 0, 0, 0, 0, 0, 0])],
      ["an empty frame", encodeFrame([new Uint8Array(0)])],
      ["a damaged greeting", damaged],
      ["another service", greeting({ service: "other" })],
      ["a server that is not configured", greeting({ server: "gamma" })],
      ["a greeting for another server", greeting({ to: "gamma" })],
      ["a greeting of a name from the prototype", greeting({ server: "__proto__" })],
      ["another version", json({ twinlog: 9, service: "pair", server: "alpha", to: "beta" })],
      ["fields of wrong types", json({ twinlog: 1, service: ["pair"], server: {}, to: 1 })],
      ["a greeting that is a list", json([])],
      ["null", json(null)],
    ];
    for (const server of ["alpha", "beta"]) {
      const port = pair.settings.get(server)?.servers.find(({ name }) => name === server)?.port ?? 0;
      for (const [what, bytes] of openings) t.true(await isEnded(port, bytes), `${server}: ${what}`);
      // Half a header, and then nothing: it may hang until the deadline, and nobody waits for it.
      const socket = connectTcp(port, "127.0.0.1");
      socket.on("error", () => {});
      socket.write(Buffer.from([1, 2, 3]));
      t.teardown(() => socket.destroy());
    }
    const { links } = await pair.newStatus("alpha");
    t.deepEqual(links, { main: "up", failsafe: "up" });
  });
});

/** The other side closes the connection after these bytes. */
async function isEnded(port: number, bytes: Uint8Array): Promise<boolean> {
  const socket = connectTcp(port, "127.0.0.1");
  let isClosed = false;
  socket.on("error", () => {});
  socket.on("close", () => {
    isClosed = true;
  });
  socket.on("data", () => {});
  socket.write(bytes);
  await until(() => isClosed, { withinMs: 10_000, waitedFor: "the server to end it" }).catch(() => socket.destroy());
  return isClosed;
}
