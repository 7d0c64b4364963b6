/**
 * The command line's client side: what it prints, and that its exit status is 0 only on success.
 */
import test, { type ExecutionContext } from "ava";
import type { ServerStatus } from "../../schemas/status.ts";
import { parseControlSubject, subjects } from "../../schemas/subjects.ts";
import { bytesOf } from "../helpers/hand-world.ts";
import { statusOf } from "../helpers/status-of.ts";
import { until } from "../helpers/until.ts";
import { makeRig, type Ran } from "./rig.ts";

const order = { type: "limit", symbol: "BTCUSD", order: "o1", side: "buy", price: 100, quantity: 5 };
const resting = { status: "resting", order: "o1", remaining: 5, fills: [] };

function isOneLine(ran: Ran): boolean {
  return ran.err.startsWith("twinlog: ") && ran.err.indexOf("\n") === ran.err.length - 1;
}

test("request prints the reply, and the subject has the application's key and the client", async (t) => {
  const { server, bus, run } = makeRig();
  server.apply = () => resting;
  server.start();
  const ran = await run(["request", "--client", "alice", "--id", "42", JSON.stringify(order)]);
  t.is(ran.err, "");
  t.is(ran.status, 0);
  t.deepEqual(JSON.parse(ran.out), { client: "alice", id: "42", ok: true, result: resting, sequence: 1, epoch: 1 });
  t.true(bus.published.some(({ subject }) => subject === "exchange.request.BTCUSD.alice"));
});

test("request reads its body from standard input", async (t) => {
  const { server, run } = makeRig();
  server.start();
  const ran = await run(["request"], { input: JSON.stringify(order) });
  t.is(ran.status, 0);
  t.deepEqual(server.log[0]?.body, order);
});

test("a body that is no JSON, or no request of the application, is one line and status 1", async (t) => {
  const { server, run } = makeRig();
  server.start();
  for (const body of ["{", '{"type":"limit"}', "[]"]) {
    const ran = await run(["request", body]);
    t.is(ran.status, 1);
    t.true(isOneLine(ran), ran.err);
  }
  t.is(server.log.length, 0);
});

test("a request that failed prints its reply and is no success", async (t) => {
  const { server, run } = makeRig();
  server.apply = () => {
    throw new Error("boom");
  };
  server.start();
  const ran = await run(["request", JSON.stringify(order)]);
  t.is(ran.status, 1);
  t.regex(ran.out, /APPLICATION_ERROR/);
  t.true(isOneLine(ran), ran.err);
});

test("nobody listens: one line that says where to look", async (t) => {
  const { run } = makeRig();
  const ran = await run(["request", "--timeout", "50", JSON.stringify(order)]);
  t.is(ran.status, 1);
  t.true(isOneLine(ran));
  t.regex(ran.err, /twinlog status/);
  t.is((await run(["query", "--timeout", "50", "{}"])).status, 1);
});

test("an unknown outcome names the id to repeat", async (t) => {
  const { server, run } = makeRig();
  server.commitMs = 500;
  server.start();
  const ran = await run(["request", "--timeout", "60", "--id", "once", JSON.stringify(order)]);
  t.is(ran.status, 1);
  t.regex(ran.err, /--id once/);
  server.die();
});

test("query prints the result alone", async (t) => {
  const { server, run } = makeRig();
  server.start();
  const ran = await run(["query", '{"query":"book","symbol":"BTCUSD"}']);
  t.is(ran.status, 0);
  t.deepEqual(JSON.parse(ran.out), { query: "book", symbol: "BTCUSD" });
});

test("service and nats come from the option, the environment, the folder's file, or are the normal ones", async (t) => {
  const { run, connectedTo } = makeRig();
  const serviceFile = { service: "filed", nats: "nats://file", application: "exchange" };
  const environment = { TWINLOG_SERVICE: "named", TWINLOG_NATS: "nats://environment" };
  const quick = ["status", "--wait", "10"];
  t.regex((await run([...quick, "--nats", "nats://option"], { serviceFile, environment })).err, /of named speaks/);
  t.regex((await run([...quick, "--service", "chosen"], { serviceFile, environment })).err, /of chosen speaks/);
  t.regex((await run(quick, { serviceFile })).err, /of filed speaks/);
  t.regex((await run(quick)).err, /of exchange speaks/);
  t.deepEqual(connectedTo, ["nats://option", "nats://environment", "nats://file", "nats://127.0.0.1:4222"]);
  t.is((await run([...quick, "--service", "a.b"])).status, 1);
});

test("what is logged in with stands in no error", async (t) => {
  const { run } = makeRig();
  const nats = ["--nats", "nats://ops:secret@127.0.0.1:4222"];
  const lines = [
    ["status", "--wait", "10"],
    ["check", "--timeout", "100"],
    ["switch"],
    ["request", "--timeout", "50", JSON.stringify(order)],
  ];
  for (const words of lines) {
    const { err, out } = await run([...words, ...nats]);
    t.regex(err + out, /at nats:\/\/127\.0\.0\.1:4222/, words[0]);
    t.notRegex(err + out, /secret/, words[0]);
  }
});

test("help has examples, and a wrong option is no success", async (t) => {
  const { run } = makeRig();
  const commands = "request query results replay status switch pause resume flush recover".split(" ");
  for (const command of commands) {
    const ran = await run([command, "--help"]);
    t.is(ran.status, 0);
    t.regex(ran.out, new RegExp(`Examples:\\n {2}\\$ twinlog ${command}`));
  }
  t.is((await run(["request", "--wrong"])).status, 1);
  t.is((await run(["nonsense"])).status, 1);
  t.is((await run(["results", "--from", "0"])).status, 1);
});

test("results prints the history and then each result, with the reply's own bytes", async (t) => {
  const { server, run, bus } = makeRig();
  server.start();
  for (const id of ["a", "b"]) await run(["request", "--client", "alice", "--id", id, JSON.stringify(order)]);
  const traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
  const subject = subjects.request("exchange", "BTCUSD", "alice");
  bus.publish(subject, bytesOf({ client: "alice", id: "c", body: order }), { traceparent }, "_INBOX.x");
  await until(() => server.committed === 3, { withinMs: 30_000 });
  const ran = await run(["results", "--from", "2"]);
  t.is(ran.status, 0);
  const lines = ran.out.trim().split("\n");
  t.deepEqual(JSON.parse(lines[0] ?? ""), { history: "history-1", next: 2 });
  t.deepEqual(
    lines.slice(1).map((line) => {
      const {
        result,
        sequence,
        subject,
        reply,
        traceparent: trace,
      } = JSON.parse(line) as Record<string, { id: string }>;
      return [result, sequence, subject, reply?.id, trace];
    }),
    [
      [2, 2, "exchange.result.BTCUSD.alice", "b", undefined],
      [3, 3, "exchange.result.BTCUSD.alice", "c", traceparent],
    ] as never,
  );
});

test("results --follow goes on until it is stopped", async (t) => {
  const { server, run } = makeRig();
  server.start();
  await run(["request", "--id", "a", JSON.stringify(order)]);
  const stop = new AbortController();
  let lines = 0;
  const ran = await run(["results", "--follow"], {
    stopped: stop.signal,
    onOut: () => {
      lines += 1;
      if (lines === 2) void run(["request", "--id", "b", JSON.stringify(order)]);
      if (lines === 3) stop.abort();
    },
  });
  t.is(ran.status, 0);
  t.is(ran.out.trim().split("\n").length, 3);
});

test("recover is not done by mistake", async (t) => {
  const rig = makeRig();
  let isAsked = false;
  rig.bus.subscribe(subjects.controls("exchange", "beta"), () => {
    isAsked = true;
  });
  t.is((await rig.run(["recover", "--server", "beta"])).status, 1);
  t.is((await rig.run(["recover", "--accept-loss"])).status, 1);
  t.is((await rig.run(["recover", "--server", "beta", "--accept-loss", "--yes"])).status, 1, "beta does not answer");
  t.false(isAsked);
});

function readyOf(server: string) {
  const place = { epoch: 4, history: "h1", sequence: 10 };
  return { signal: "ready", service: "exchange", server, incarnation: "i2", ...place };
}

function switchingOf(server: string) {
  const step = { machine: "lifecycle", event: "switch.requested", from: "hot.normal", to: "hot.switching", why: "" };
  return { service: "exchange", server, incarnation: "i1", ...step, epoch: 3, sequence: 10, atMs: 1 };
}

/** Servers that say what they are, again and again, until told to stop. */
/** Until it is told to stop, or the test is over. */
function speak(t: ExecutionContext, rig: ReturnType<typeof makeRig>, statuses: ServerStatus[]): () => void {
  let isOver = false;
  const say = () => {
    for (const status of statuses) rig.bus.publish(subjects.status("exchange", status.name), bytesOf(status));
    if (!isOver) rig.clock.after(5, say);
  };
  say();
  const stop = () => {
    isOver = true;
  };
  t.teardown(stop);
  return stop;
}

test("status gathers the servers and says whether a failover would work", async (t) => {
  const rig = makeRig();
  const backup = statusOf({ name: "beta", role: "backup", application: "warm" });
  const stop = speak(t, rig, [backup, statusOf({})]);
  const json = await rig.run(["status", "--json", "--wait", "50"]);
  const text = await rig.run(["status", "--wait", "50"]);
  stop();
  t.deepEqual([json.status, text.status], [0, 0]);
  const told = JSON.parse(json.out) as { servers: { name: string }[] };
  t.like(told, { serving: true, failoverReady: true, reasons: [], silent: [] });
  t.like(told, { service: "exchange", mode: "normal", epoch: 3, history: "h1" });
  t.deepEqual(
    told.servers.map(({ name }) => name),
    ["alpha", "beta"],
  );
  t.regex(text.out, /a failover would work now\n/);
  t.regex(text.out, /alpha +primary +hot/);
});

test("status says so when the primary is alone (3), when nobody is primary and when nobody speaks (1)", async (t) => {
  const rig = makeRig();
  const stop = speak(t, rig, [statusOf({ mode: "primary-only" })]);
  const alone = await rig.run(["status", "--wait", "50"]);
  t.regex(alone.out, /would not work now: alpha is alone/);
  t.is(alone.status, 3);
  stop();
  const other = makeRig();
  const stopOther = speak(t, other, [statusOf({ role: "none", waitingFor: "beta" })]);
  const waiting = await other.run(["status", "--wait", "50"]);
  t.regex(waiting.out, /no primary speaks/);
  t.is(waiting.status, 1);
  stopOther();
  const silent = await makeRig().run(["status", "--json", "--wait", "20"]);
  t.is(silent.status, 1);
  t.like(JSON.parse(silent.out), { serving: false, failoverReady: false, servers: [] });
  t.regex(silent.err, /no server of exchange speaks/);
});

test("status --watch says once that nobody speaks, and writes no control sequences but on a terminal", async (t) => {
  /** What it wrote until that was enough, and a few rounds longer. */
  const watch = async (servers: ServerStatus[], isEnough: (out: string) => boolean, columns?: number) => {
    const rig = makeRig();
    const stopping = new AbortController();
    const stop = speak(t, rig, servers);
    let out = "";
    const onOut = (text: string) => {
      out += text;
      if (isEnough(out)) rig.clock.after(60, () => stopping.abort());
    };
    const terminal = columns === undefined ? {} : { columns };
    const ran = await rig.run(["status", "--watch", "--wait", "20"], { stopped: stopping.signal, onOut, ...terminal });
    stop();
    t.is(ran.status, 0);
    return out;
  };
  const isSilent = "no server of exchange speaks";
  const nobody = await watch([], (out) => out.includes(isSilent));
  t.is(nobody.split(isSilent).length, 2, nobody);
  const piped = await watch([statusOf({})], (out) => out.split("would not work").length > 2);
  t.false(piped.includes("\u001b"));
  t.true((await watch([statusOf({})], (out) => out.includes("would not work"), 80)).includes("\u001b[2J"));
});

test("switch asks the primary, flush every server; no is an error", async (t) => {
  const rig = makeRig();
  const asked: string[] = [];
  const told: unknown[] = [];
  const by: unknown[] = [];
  let isSwitching = true;
  const answers: Record<string, object> = { switch: { ok: true, message: "the roles are being switched" } };
  for (const name of ["alpha", "beta"])
    rig.bus.subscribe(subjects.controls("exchange", name), (message) => {
      const { verb = "", operator } = parseControlSubject(message.subject) ?? {};
      asked.push(`${name} ${verb}`);
      by.push(operator);
      told.push(JSON.parse(Buffer.from(message.data).toString()));
      if (verb === "switch" && isSwitching) {
        rig.bus.publish(subjects.event("exchange", name), bytesOf(switchingOf(name)));
        rig.bus.publish(subjects.signal("exchange"), bytesOf(readyOf("beta")));
      }
      rig.bus.publish(message.reply, bytesOf(answers[verb] ?? { ok: false, message: "not now: try again later" }));
    });
  const stop = speak(t, rig, [statusOf({}), statusOf({ name: "beta", role: "backup", application: "warm" })]);
  const switched = await rig.run(["switch"]);
  isSwitching = false;
  const stuck = await rig.run(["switch", "--timeout", "50"]);
  const paused = await rig.run(["pause", "--server", "beta"], { environment: { TWINLOG_NAME: "olga" } });
  answers.flush = { ok: true, message: "flushed" };
  const flushed = await rig.run(["flush"]);
  const nobody = await rig.run(["resume", "--server", "gamma"]);
  stop();
  t.is(switched.status, 0);
  t.regex(
    switched.out,
    /^alpha: the roles are being switched\nbeta is hot, epoch 4; clients were without answers for \d+ ms\n$/,
  );
  t.like(told[0], { by: "cli" });
  t.like(told[2], { by: "olga" });
  t.deepEqual([by[0], by[2]], ["cli", "olga"]);
  const earlier = makeRig();
  earlier.bus.subscribe("exchange.control.alpha.*", ({ reply }) =>
    earlier.bus.publish(reply, bytesOf({ ok: true, message: "by an earlier program" })),
  );
  t.is((await earlier.run(["pause", "--server", "alpha"])).out, "alpha: by an earlier program\n");
  t.is(stuck.status, 1);
  t.true(isOneLine(stuck), stuck.err);
  t.is(paused.status, 1);
  t.is(paused.err, "twinlog: beta: not now: try again later; see deploy/RUNBOOK.md#refused\n");
  t.is(flushed.status, 0);
  t.deepEqual(asked, ["alpha switch", "alpha switch", "beta pause", "alpha flush", "beta flush"]);
  t.is(nobody.status, 1);
  t.true(isOneLine(nobody));
});
