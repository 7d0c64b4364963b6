/**
 * The load generator: keeps a number of requests in flight for a while, or sends so many at once, and says how many were answered,
 * and how fast. The same for all that take part: raw messages on the bus, no client library.
 */
import { NatsBus } from "../../actors/world/bus-nats.ts";
import { openNodeClock } from "../../actors/world/clock-node.ts";
import { NatsLine } from "../../actors/world/connection-nats.ts";
import { openPinoLog } from "../../actors/world/log-pino.ts";
import { subjects } from "../../schemas/subjects.ts";

export interface LoadReport {
  /** Answered in all, also while it warmed up. */
  answered: number;
  perSecond: number;
  p50Ms: number;
  p99Ms: number;
  worstMs: number;
  failed: number;
}

export interface LoadOptions {
  readonly url: string;
  readonly service: string;
  readonly inFlight: number;
  /** Tells the clients of one run from those of another. */
  readonly run: string;
  readonly warmMs: number;
  /** 0: all are sent at once, and it ends with the last answer. */
  readonly measureMs: number;
}

const { url, service, inFlight, warmMs, measureMs, run } = JSON.parse(process.argv[2] ?? "{}") as LoadOptions;
const isBurst = measureMs === 0;
const client = `load${run}`;
const clock = openNodeClock();
const log = openPinoLog({}, { level: "error" });
const bus = new NatsBus(new NatsLine({ nats: { servers: [url] }, name: "load", inboxPrefix: "_INBOX", clock, log }));
await bus.start(() => undefined);

const symbols = ["AAA", "BBB", "CCC", "DDD"];
const target = new Map(symbols.map((symbol) => [symbol, subjects.request(service, symbol, client)]));
const inbox = `_INBOX.${clock.randomId()}`;
const sentMs = new Float64Array(65_536);
const latencies: number[] = [];
/** One of so many latencies is kept. */
const sampledOf = 4;
let next = 0;
let measuring = false;
let answered = 0;
let done = 0;
let failed = 0;
let worstMs = 0;
let onLast = () => {};

/** About 128 bytes: orders that rest, and are taken by the ones after them at the same price, so that the book stays small. */
function send(): void {
  const number = next;
  next += 1;
  const symbol = symbols[number % symbols.length] ?? "AAA";
  const side = (number >>> 2) % 2 === 0 ? "buy" : "sell";
  const body = `{"type":"limit","symbol":"${symbol}","order":"${run}-${number}","side":"${side}","price":${1_000 + ((number >>> 3) % 7)},"quantity":5}`;
  const data = Buffer.from(`{"client":"${client}","id":"${number}","body":${body}}`);
  const slot = number % sentMs.length;
  sentMs[slot] = clock.nowMs();
  bus.publish(target.get(symbol) ?? "", data, undefined, `${inbox}.${slot}`);
}

bus.subscribe(`${inbox}.*`, (message) => {
  const slot = Number(message.subject.slice(inbox.length + 1));
  answered += 1;
  if (measuring) {
    done += 1;
    const ms = clock.nowMs() - (sentMs[slot] ?? 0);
    worstMs = Math.max(worstMs, ms);
    if (done % sampledOf === 0 || inFlight === 1) latencies.push(ms);
    if (message.data.length < 100 && !Buffer.from(message.data).includes('"ok":true')) failed += 1;
  }
  if (!isBurst) send();
  else if (answered === inFlight) onLast();
});
await bus.flush();
const passed = (ms: number) => new Promise<void>((resolve) => clock.after(ms, () => resolve()));
if (!isBurst) {
  for (let count = 0; count < inFlight; count += 1) send();
  await passed(warmMs);
}
measuring = true;
const beganMs = clock.nowMs();
if (isBurst) {
  const last = new Promise<void>((resolve) => {
    onLast = resolve;
  });
  for (let count = 0; count < inFlight; count += 1) send();
  await last;
} else await passed(measureMs);
const seconds = (clock.nowMs() - beganMs) / 1_000;
latencies.sort((one, other) => one - other);
const at = (share: number) => latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * share))] ?? 0;
const report: LoadReport = { answered, perSecond: done / seconds, p50Ms: at(0.5), p99Ms: at(0.99), worstMs, failed };
process.stdout.write(`${JSON.stringify(report)}\n`);
process.exit(0);
