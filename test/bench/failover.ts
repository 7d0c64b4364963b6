/**
 * The gap of one raw client when the primary is killed: it sends a new request every 2 ms over one connection and sends none again.
 * A gap is the time from the kill to the first answer of the new primary; `ready` is when that says that it serves.
 */
import { setTimeout as wait } from "node:timers/promises";
import { connect, type NatsConnection } from "nats";
import { ReadySignal } from "../../schemas/envelope.ts";
import { ServerEvent } from "../../schemas/status.ts";
import { subjects } from "../../schemas/subjects.ts";
import { inArena } from "./arena.ts";
import { TwinlogServers } from "./contestants/twinlog.ts";
import { median } from "./report.ts";

const sendEveryMs = 2;
/** So long all is calm before a kill. */
const calmMs = 500;
const answerWithinMs = 30_000;
const service = "gap";
const names = ["alpha", "beta", "gamma", "delta"];

/** What happens on the way, by the transition that begins it, and how it is told. */
const stages: readonly (readonly [RegExp, string])[] = [
  [/^primary\.lost/, "the backup knows that the primary is gone"],
  [/^disk\.synced/, "its log is on the disk, and it asks the registry"],
  [/^cas\.won/, "the registry's answer is there: it has the role"],
];
const ready = "it says ready";
const answered = "its first answer is there";

/** Since the kill, in ms, by stage. */
type Gap = ReadonlyMap<string, number>;

/** With a fraction: the servers' clock is this machine's. */
const wallMs = () => performance.timeOrigin + performance.now();

/** Sends on and on; says when the first answer of a later epoch came. */
class RawClient {
  readonly #connection: NatsConnection;
  readonly #timer: NodeJS.Timeout;
  readonly #inbox: string;
  #epoch = 0;
  #sent = 0;
  readonly #at = new Map<string, number>();
  #onLater: ((atMs: number) => void) | null = null;

  constructor(connection: NatsConnection, run: number) {
    this.#connection = connection;
    this.#inbox = `_INBOX.gap${run}`;
    connection.subscribe(this.#inbox, { callback: (_, message) => this.#onReply(message.string()) });
    connection.subscribe(subjects.signal(service), { callback: (_, message) => this.#onSignal(message.string()) });
    connection.subscribe(subjects.events(service), { callback: (_, message) => this.#onEvent(message.string()) });
    this.#timer = setInterval(() => this.#send(`gap${run}`), sendEveryMs);
  }

  #send(client: string): void {
    const id = this.#sent;
    this.#sent += 1;
    const side = id % 2 === 0 ? "buy" : "sell";
    const body = { type: "limit", symbol: "AAA", order: `${client}-${id}`, side, price: 1_000, quantity: 1 };
    const data = JSON.stringify({ client, id: String(id), body });
    this.#connection.publish(subjects.request(service, "AAA", client), data, { reply: this.#inbox });
  }

  #onReply(text: string): void {
    const atMs = wallMs();
    // Nobody listens: NATS says so with a message that is empty.
    if (text === "") return;
    const { epoch = 0 } = JSON.parse(text) as { epoch?: number };
    if (epoch <= this.#epoch) return;
    this.#epoch = epoch;
    this.#onLater?.(atMs);
    this.#onLater = null;
  }

  #onSignal(text: string): void {
    if (ReadySignal.safeParse(JSON.parse(text)).success) this.#note(ready, wallMs());
  }

  #onEvent(text: string): void {
    const { data } = ServerEvent.safeParse(JSON.parse(text));
    if (data?.machine !== "lifecycle") return;
    for (const [event, stage] of stages) if (event.test(data.event)) this.#note(stage, data.atMs);
  }

  /** The last time is the one that led to the answer: a candidate may have tried before. */
  #note(stage: string, atMs: number): void {
    this.#at.set(stage, atMs);
  }

  async untilLater(killedAtMs: number): Promise<Gap> {
    await new Promise<void>((resolve, reject) => {
      this.#onLater = (atMs) => {
        this.#note(answered, atMs);
        resolve();
      };
      setTimeout(() => reject(new Error("nobody took over")), answerWithinMs).unref();
    });
    return new Map([...this.#at].map(([stage, atMs]) => [stage, atMs - killedAtMs]));
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}

export interface FailoverOptions {
  readonly times: number;
  readonly servers: number;
  readonly machine: string;
  tell(line: string): void;
}

export async function measureFailovers({ times, servers, machine, tell }: FailoverOptions): Promise<void> {
  const gaps: Gap[] = [];
  await inArena(false, async (arena) => {
    const all = await TwinlogServers.start(arena, service, names.slice(0, servers));
    const connection = await connect({ servers: arena.natsUrl });
    try {
      for (let run = 0; run < times; run += 1) {
        const { primary } = await all.untilInSync();
        const client = new RawClient(connection, run);
        try {
          await wait(calmMs);
          const gap = client.untilLater(wallMs());
          const dead = all.kill(primary);
          gaps.push(await gap);
          await dead;
        } finally {
          client.stop();
        }
        all.begin(primary);
      }
    } finally {
      await connection.close();
      await all.stop();
    }
  });
  tell(`${machine}; ${servers} servers, the primary killed ${times} times, a request every ${sendEveryMs} ms\n`);
  tell("| after the kill | median ms | worst ms |\n|---|---|---|");
  for (const stage of [...stages.map(([, stage]) => stage), ready, answered]) {
    const list = gaps.flatMap((gap) => gap.get(stage) ?? []);
    tell(`| ${stage} | ${median(list).toFixed(1)} | ${Math.max(...list).toFixed(1)} |`);
  }
}
