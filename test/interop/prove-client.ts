/**
 * What every example client must show, whatever it is written in: it goes on when the primary is killed, when nats-server is
 * restarted and when it is itself killed and started again; nothing is done twice and nothing is left out (the counter's value is
 * the proof), and what is sent again gets the same bytes. And, before a service that answers as a test wants, what it does for
 * each answer.
 */
import { fileURLToPath } from "node:url";
import type { ExecutionContext, TestFn } from "ava";
import { connect } from "nats";
import { type ErrorCode, errorCodes } from "../../schemas/errors.ts";
import { sharedNatsServer, type TestNats } from "../helpers/nats.ts";
import { startPair } from "../helpers/pair/pair.ts";
import { until } from "../helpers/until.ts";
import { brokerOf, type ClientProgram, startClient } from "./example-client.ts";

const counter = fileURLToPath(new URL("../../deploy/examples/counter/counter.js", import.meta.url));
const withinMs = 60_000;
const moreThanEver = 1_000_000;

/** How the client logs in to the pair's broker: what nats-server's configuration says of it, and what the URL does. */
interface ClientUser {
  readonly logIn: string;
  readonly userInfo: string;
  readonly environment?: () => Readonly<Record<string, string>>;
  /** Where the brokers of the two kinds of tests listen for WebSockets, by which the client speaks with them. */
  readonly webSockets?: { readonly pair: number; readonly broker: number };
}

const webSocketConf = (port: number | undefined): string =>
  port === undefined ? "" : `websocket { host: "127.0.0.1", port: ${port}, no_tls: true }\n`;

/** As the client is told where to go. */
const urlOf = (nats: TestNats, userInfo: string, port: number | undefined): string =>
  port === undefined ? nats.url.replace("//", `//${userInfo}`) : `ws://${userInfo}127.0.0.1:${port}`;

/** With all that a URL and JSON have to escape. */
export const byPassword: ClientUser = {
  logIn: 'user: "al:ice", password: "p:a@s%\\"\\\\"',
  userInfo: `${encodeURIComponent("al:ice")}:${encodeURIComponent('p:a@s%"\\')}@`,
};

interface Reply {
  readonly id: string;
  readonly ok: boolean;
  readonly result?: { readonly value: number };
  readonly epoch?: number;
}

const read = (line: string): Reply => JSON.parse(line);
const replies = (lines: readonly string[]): Reply[] => lines.map(read);

async function prove(t: ExecutionContext, given: ClientProgram, user: ClientUser): Promise<void> {
  const { logIn, userInfo } = user;
  const program = { ...given, environment: { ...given.environment, ...user.environment?.() } };
  const client = "alice smith";
  const role = { service: "counter", bucket: "twinlog", role: "client", name: client } as const;
  const pair = await startPair(t, {
    service: "counter",
    application: counter,
    restartMs: 300,
    nats: { extraConfig: brokerOf(logIn, [role]) + webSocketConf(user.webSockets?.pair) },
  });
  const url = urlOf(pair.nats, userInfo, user.webSockets?.pair);
  const run = Date.now();
  const first = startClient(t, program, url, [client, "red apples", moreThanEver, run]);
  const endedEarly = first.ended.then((status) => {
    if (status !== null) throw new Error(`the client ended with ${status}: ${first.said()}`);
  });
  /** What holds soon while the client goes on. */
  const soon = (condition: () => boolean, waitedFor: string) =>
    Promise.race([until(condition, { withinMs, waitedFor }), endedEarly]);
  const more = async (count: number) => {
    const wanted = first.lines.length + count;
    await soon(() => first.lines.length >= wanted, `${count} replies more`);
  };
  await more(5);
  const { primary } = await pair.normal();
  pair.server(primary).signal("SIGKILL");
  const { epoch = 0 } = read(first.lines.at(-1) ?? "");
  await soon(() => (read(first.lines.at(-1) ?? "").epoch ?? 0) > epoch, "an answer of the next primary");
  await pair.normal();
  await pair.nats.restart();
  await pair.normal();
  await more(5);
  first.kill("SIGKILL");
  await first.ended;

  const done = first.lines.length;
  const times = done + 10;
  const second = startClient(t, program, url, [client, "red apples", times, run]);
  t.is(await second.ended, 0, second.said());
  t.deepEqual(second.lines.slice(0, done), first.lines, "what was answered before is answered in the same bytes");
  t.deepEqual(
    replies(second.lines).map(({ id, result }) => [id, result?.value]),
    Array.from({ length: times }, (_, at) => [`${run}-${at + 1}`, at + 1]),
  );
  const reader = await pair.client({ client: "reader" });
  const { result } = await reader.query<{ value: number }>({ query: "value", counter: "red apples" });
  t.is(result.value, times);
}

interface Sent {
  readonly client: string;
  readonly id: string;
  readonly body: unknown;
  readonly issuedAt: number;
  readonly resend?: boolean;
}

/** What the stand-in for a service does with a copy of a request. `ready`: nothing, but another server says that it is. */
type Answer = "result" | "silence" | "ready" | ErrorCode;

// Each program that a test starts is ended with it.
process.setMaxListeners(100);

const token = "t0ken";
const stamp = 1_764_000_000_000;

interface Broker {
  readonly nats: TestNats;
  readonly port: number | undefined;
}

/** One request to a service that answers its copies one after another as the test says: what was sent, and how the program ended. */
async function rehearse(
  t: ExecutionContext,
  program: ClientProgram,
  { nats, port }: Broker,
  answers: readonly Answer[],
) {
  const service = await connect({ servers: nats.url, token });
  t.teardown(() => service.close());
  const sent: Sent[] = [];
  service.subscribe("counter.request.*.*", {
    callback: (_error, message) => {
      const request = message.json<Sent>();
      sent.push(request);
      const answer = answers[sent.length - 1] ?? "result";
      if (answer === "ready")
        service.publish("counter.signal", JSON.stringify({ signal: "ready", epoch: sent.length }));
      else if (answer !== "silence") message.respond(replyTo(request, answer));
    },
  });
  await service.flush();
  const startedMs = performance.now();
  const child = startClient(t, program, urlOf(nats, `${token}@`, port), ["alice", "apples", 1, stamp]);
  const status = await child.ended;
  await service.close();
  return { sent, status, said: child.said(), lines: child.lines, tookMs: performance.now() - startedMs };
}

function replyTo({ client, id }: Sent, answer: "result" | ErrorCode): string {
  if (answer === "result") return JSON.stringify({ client, id, ok: true, result: { value: 7 }, sequence: 3, epoch: 1 });
  const executed = errorCodes[answer].logged;
  return JSON.stringify({ client, id, ok: false, error: { code: answer, message: "as it is", executed } });
}

/** Tests of one client, of which `find` says how it is started, or why it cannot be. */
export function testClient(
  test: TestFn,
  language: string,
  find: () => Promise<ClientProgram | { why: string }>,
  user: ClientUser,
): void {
  const port = user.webSockets?.broker;
  const shared = sharedNatsServer(test, { extraConfig: `authorization { token: "${token}" }\n${webSocketConf(port)}` });
  const broker = {
    get current() {
      return { nats: shared.current, port };
    },
  };
  const one = (title: string, run: (t: ExecutionContext, program: ClientProgram) => Promise<void>) =>
    test.serial(`${language}: ${title}`, async (t) => {
      const found = await find();
      if (!("why" in found)) return run(t, found);
      // On a machine of continuous integration everything is installed, or there is something to mend.
      if (process.env.CI === "true") t.fail(`not run, because ${found.why}`);
      t.log(`not run, because ${found.why}`);
      t.pass();
    });

  one("sent again under the same id with the same stamp, until there is an answer", async (t, program) => {
    const answers = ["silence", "NOT_HOT", "BUSY", "OUT_OF_ORDER", "result"] as const;
    const { sent, status, said, lines } = await rehearse(t, program, broker.current, answers);
    t.is(status, 0, said);
    const request = { client: "alice", id: `${stamp}-1`, body: { counter: "apples", add: 1 }, issuedAt: stamp + 1 };
    t.deepEqual(sent, [request, ...Array.from({ length: 4 }, () => ({ ...request, resend: true }))]);
    t.deepEqual(lines, [replyTo(request, "result")]);
  });

  one("a server that says it is ready is asked at once", async (t, program) => {
    const answers = Array.from({ length: 30 }, () => "ready" as const);
    const { sent, status, said, tookMs } = await rehearse(t, program, broker.current, answers);
    t.is(status, 0, said);
    t.is(sent.length, 31);
    t.true(tookMs < 30 * 500 * 0.8, "it did not wait for each answer");
  });

  one("a refusal is the end: certainly not executed, unless an earlier copy may have been", async (t, program) => {
    const once = await rehearse(t, program, broker.current, ["EXPIRED"]);
    t.deepEqual([once.status, once.sent.length, once.lines], [1, 1, []], once.said);
    t.regex(once.said, /EXPIRED/);
    const twice = await rehearse(t, program, broker.current, ["silence", "EXPIRED"]);
    t.deepEqual([twice.status, twice.sent.length], [2, 2], twice.said);
    t.regex(twice.said, /may have been executed/);
    const refusedTwice = await rehearse(t, program, broker.current, ["NOT_HOT", "ID_REUSED"]);
    t.deepEqual([refusedTwice.status, refusedTwice.sent.length], [1, 2], refusedTwice.said);
    const byAll = await rehearse(t, program, broker.current, ["silence", "TOO_LARGE"]);
    t.deepEqual([byAll.status, byAll.sent.length], [1, 2], byAll.said);
  });

  one("a request that failed is answered, and not sent again", async (t, program) => {
    const { sent, status, lines, said } = await rehearse(t, program, broker.current, ["APPLICATION_ERROR"]);
    t.deepEqual([status, sent.length], [1, 1], said);
    t.deepEqual(
      lines,
      sent.map((request) => replyTo(request, "APPLICATION_ERROR")),
    );
  });

  one("goes on over the deaths of servers, nats-server and itself; once each, in the same bytes", (t, program) =>
    prove(t, program, user),
  );

  one("whom nats-server does not let in says so", async (t, program) => {
    const child = startClient(t, program, urlOf(shared.current, "wr0ng@", port), ["alice", "apples", 1]);
    t.is(await child.ended, 1);
    t.regex(child.said(), /Authorization Violation/i);
  });
}
