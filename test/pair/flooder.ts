/**
 * A client that sends requests without waiting for answers, over a bare socket: node flooder.js PORT SERVICE PER-SECOND. Says to its
 * parent four times a second what came of it, and ends with it.
 */
import { connect } from "node:net";
import process from "node:process";
import { setTimeout as delay } from "node:timers/promises";
import { subjects } from "../../schemas/subjects.ts";

/** All so far. */
export interface Flooded {
  readonly sent: number;
  readonly ok: number;
  readonly busy: number;
}

const [port, service = "", perSecond] = process.argv.slice(2);
const client = "flood";
const symbol = "FLOOD";
const subject = subjects.request(service, symbol, client);
/** What the broker has not taken of it yet, at most. */
const maxUnsentBytes = 1024 * 1024;
const told = { sent: 0, ok: 0, busy: 0 };

const socket = connect(Number(port), "127.0.0.1");
socket.on("error", () => process.exit(1)).on("close", () => process.exit(1));
socket.on("data", (data) => {
  const text = data.toString("latin1");
  if (text.includes("PING\r\n")) socket.write("PONG\r\n");
  told.ok += text.split('"ok":true').length - 1;
  told.busy += text.split('"BUSY"').length - 1;
});
process.on("disconnect", () => process.exit(0));
setInterval(() => process.send?.({ ...told } satisfies Flooded), 250);
socket.write('CONNECT {"verbose":false,"pedantic":false}\r\nSUB _INBOX.flood.* 1\r\n');
const beganMs = performance.now();
for (;;) {
  await delay(3);
  if (socket.writableLength > maxUnsentBytes) continue;
  const due = Math.floor(((performance.now() - beganMs) / 1_000) * Number(perSecond)) - told.sent;
  let lines = "";
  for (let at = 0; at < Math.min(due, 4_000); at += 1) {
    told.sent += 1;
    const order = { symbol, order: `o${told.sent}`, side: "buy", price: 100, quantity: 1, timeInForce: "IOC" };
    const data = JSON.stringify({ client, id: String(told.sent), body: { type: "limit", ...order } });
    lines += `PUB ${subject} _INBOX.flood.${told.sent % 1_000} ${data.length}\r\n${data}\r\n`;
  }
  socket.write(lines);
}
