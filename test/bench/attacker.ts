/**
 * One attacker of a service, over bare sockets: node attacker.js KIND NATS-PORT SERVICE MAIN-PORT. Its parent ends it. What it does
 * is what a stranger or a client on a broker without permissions can do.
 */
import { connect, type Socket } from "node:net";
import process from "node:process";
import { setTimeout as delay } from "node:timers/promises";
import { subjects } from "../../schemas/subjects.ts";

const [kind = "", port, service = "", mainPort] = process.argv.slice(2);
const client = "eve";
/** What the broker has not taken of it yet, at most. */
const maxUnsentBytes = 1024 * 1024;

process.on("disconnect", () => process.exit(0));

function open(isReading = true): Socket {
  const socket = connect(Number(port), "127.0.0.1");
  socket.on("error", () => undefined);
  socket.write('CONNECT {"verbose":false,"pedantic":false}\r\n');
  if (isReading) socket.on("data", (data) => data.includes("PING\r\n") && socket.write("PONG\r\n"));
  else socket.pause();
  return socket;
}

const publish = (subject: string, data: string, reply = "") =>
  `PUB ${subject} ${reply}${reply === "" ? "" : " "}${Buffer.byteLength(data)}\r\n${data}\r\n`;

/** So many a second, as far as the broker takes them; from another connection where one was ended. */
async function send(perSecond: number, line: (at: number) => string | Buffer, isReading = true): Promise<void> {
  let socket = open(isReading);
  const beganMs = performance.now();
  for (let sent = 0; ; await delay(5)) {
    if (socket.destroyed) socket = open(isReading);
    if (socket.writableLength > maxUnsentBytes) continue;
    const due = Math.floor(((performance.now() - beganMs) / 1_000) * perSecond) - sent;
    for (let at = 0; at < Math.min(due, 2_000); at += 1) {
      sent += 1;
      socket.write(line(sent));
    }
  }
}

const envelope = (id: number, body: object) => JSON.stringify({ client, id: String(id), body });
const order = (at: number) => ({ type: "limit", symbol: "EVE", order: `o${at}`, side: "buy", price: 100, quantity: 1 });

const attacks: Readonly<Record<string, () => Promise<void>>> = {
  nobody: () => delay(3_600_000),
  flood: () =>
    send(60_000, (at) =>
      publish(
        subjects.request(service, "EVE", client),
        envelope(at, { ...order(at), timeInForce: "IOC" }),
        "_INBOX.eve",
      ),
    ),
  "no-envelopes": () => send(10_000, () => publish(subjects.request(service, "EVE", client), "{", "_INBOX.eve")),
  queries: () =>
    send(1_500, (at) =>
      publish(
        subjects.query(service, "BTCUSD", client),
        envelope(at, { query: "book", symbol: "BTCUSD", depth: 100_000 }),
        "_INBOX.eve",
      ),
    ),
  "deaf-readers": async () => {
    for (let at = 0; at < 4; at += 1) open(false).write(`SUB ${subjects.results(service)} ${at}\r\n`);
    await delay(3_600_000);
  },
  replays: () =>
    send(200, () => `SUB _INBOX.eve 1\r\n${publish(subjects.replay(service), '{"from":1}', "_INBOX.eve")}`, false),
  "long-replies": () =>
    send(33, () =>
      Buffer.concat([
        Buffer.from(`PUB ${subjects.request(service, "EVE", client)} `),
        Buffer.alloc(3_900, 0xff),
        Buffer.from(" 2\r\n{}\r\n"),
      ]),
    ),
  "peers-names": () => send(2_000, () => publish(subjects.actor(service, "alpha", "replication"), "x".repeat(200))),
  "ready-signals": () =>
    send(500, (at) => {
      const ready = { signal: "ready", service, server: "alpha", incarnation: `eve-${at}`, epoch: 1e6 + at };
      return publish(subjects.signal(service), JSON.stringify({ ...ready, history: "eve", sequence: at }));
    }),
  "silent-connections": async () => {
    for (;;) {
      connect(Number(mainPort), "127.0.0.1").on("error", () => undefined);
      await delay(10);
    }
  },
};

await attacks[kind]?.();
