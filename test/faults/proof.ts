/**
 * Load on a pair of real servers, requests and queries, recorded, and the verdict of the checker at the end: what clients
 * were told, what an integrator got and what is on the disks of all servers, together, against PROTOCOL.md's invariants and
 * a plain model of the application. At the end what was answered is asked for again, and must come back byte for byte.
 *
 * What always holds: a test that ends without `prove` has proved nothing; after `prove` all servers are stopped.
 */
import type { ExecutionContext } from "ava";
import type { Client } from "../../actors/client/client.ts";
import { readResults } from "../../actors/client/results.ts";
import { Recorder } from "../../actors/testing/recorder.ts";
import { NatsBus } from "../../actors/world/bus-nats.ts";
import { openNodeClock } from "../../actors/world/clock-node.ts";
import { NatsLine } from "../../actors/world/connection-nats.ts";
import { longestGap } from "../../deploy/drill/gaps.ts";
import { Load } from "../../deploy/drill/load.ts";
import { randomFrom } from "../../deploy/drill/plan.ts";
import type { Workload } from "../../deploy/drill/workload.ts";
import { type CheckReport, checkHistory } from "../../machines/checker/check.ts";
import type { CommitEvent, CommittedRecord, SequentialModel } from "../../machines/checker/history.ts";
import { keptLog } from "../helpers/kept-log.ts";
import type { Pair } from "../helpers/pair/pair.ts";
import { until } from "../helpers/until.ts";
import { orderFlow } from "../models/flows.ts";
import { workloads } from "../simulation/service/workloads.ts";
import { readDiskLog } from "./disk-log.ts";
import { askAgain, askQueries, openRecordedClient, type RecordedClientOptions } from "./recorded-client.ts";

export interface ProofOptions {
  /** Where clients reach NATS; default: the pair's own. */
  readonly nats?: string;
  /** In a second, of all clients. */
  readonly rate?: number;
  readonly seed?: number;
  /** Default: orders for the exchange. */
  readonly workload?: ProofWorkload;
}

/** What is asked for, and the plain model of the application that is asked. */
export interface ProofWorkload extends Workload {
  makeModel(): SequentialModel;
  /** Bodies of queries, one after the other. */
  query(): unknown;
}

export interface Expected {
  /** All in-sync servers died together: a new history may begin, and says so. */
  readonly mayBeginHistory?: boolean;
  /** Servers whose disks count; default: all. */
  readonly disks?: readonly string[];
}

const clients = ["anna", "ben", "carla"];
const perClient = 5;
const endless = 1_000_000_000;
const withinMs = 40_000;

function orders(seed: number): ProofWorkload {
  const flow = orderFlow(seed, endless);
  const symbols = ["AAA", "BBB"];
  let queries = 0;
  return {
    makeBody: () => flow.next().value,
    keyOf: (body) => workloads.exchange.key(body),
    isOrdered: true,
    makeModel: workloads.exchange.makeModel,
    query: () => ({ query: "book", symbol: symbols[queries++ % symbols.length] }),
  };
}

export class Proof {
  readonly recorder = new Recorder(() => performance.now());
  readonly #t: ExecutionContext;
  readonly #pair: Pair;
  readonly #load: Load;
  readonly #nats: string;
  readonly #workload: ProofWorkload;
  /** What is to be ended, newest last. */
  #closers: (() => Promise<void>)[] = [];

  private constructor(t: ExecutionContext, pair: Pair, options: ProofOptions) {
    const { nats = pair.nats.url, rate = 400, seed = 1, workload = orders(seed) } = options;
    this.#t = t;
    this.#pair = pair;
    this.#nats = nats;
    this.#workload = workload;
    this.#load = new Load({
      service: pair.service,
      recorder: this.recorder,
      clock: openNodeClock(),
      connect: (onState) => this.#connect(onState),
      clients,
      perClient,
      rate,
      workload,
      random: randomFrom(seed),
    });
  }

  static async begin(t: ExecutionContext, pair: Pair, options: ProofOptions = {}): Promise<Proof> {
    const proof = new Proof(t, pair, options);
    t.teardown(() => proof.#end());
    await proof.#startReading();
    proof.#closers.push(await askQueries(proof.#recorded("queries"), () => proof.#workload.query()));
    await proof.#load.start();
    await proof.answers(20);
    return proof;
  }

  #recorded(client: string): RecordedClientOptions {
    const { service } = this.#pair;
    return { service, client, recorder: this.recorder, connect: (onState) => this.#connect(onState) };
  }

  /** A client of the test's own, in the same history. */
  async client(name: string): Promise<Client<unknown, unknown>> {
    const { client, close } = await openRecordedClient(this.#recorded(name));
    this.#closers.push(close);
    return client;
  }

  async #connect(onState: (connected: boolean) => void): Promise<NatsBus> {
    const clock = openNodeClock();
    const bus = new NatsBus(
      new NatsLine({ nats: { servers: [this.#nats] }, name: "proof", inboxPrefix: "_INBOX", clock, log: keptLog() }),
    );
    await bus.start(onState);
    return bus;
  }

  async #startReading(): Promise<void> {
    const bus = await this.#connect(() => undefined);
    const reader = readResults({ service: this.#pair.service, bus, clock: openNodeClock() });
    const reading = (async () => {
      for await (const event of reader) {
        if (event.type !== "result") continue;
        const { history, result: number, sequence, epoch } = event;
        const bytes = Buffer.from(event.bytes).toString();
        this.recorder.record({ type: "result", integrator: "i", history, number, sequence, epoch, bytes });
      }
    })();
    this.#closers.push(async () => {
      reader.close();
      await reading;
      await bus.stop();
    });
  }

  async #end(): Promise<void> {
    await this.#load.stop();
    for (const close of this.#closers.splice(0).reverse()) await close();
  }

  /** Times of all answers that a client can use. */
  get answeredMs(): number[] {
    return this.recorder.events.flatMap((event) =>
      event.type === "reply" && !event.bytes.includes('"executed":false') ? [event.atMs] : [],
    );
  }

  /** Waits until so many requests more were answered. */
  async answers(count: number, waitedFor = "answers"): Promise<void> {
    const before = this.answeredMs.length;
    await until(() => this.answeredMs.length >= before + count, { withinMs, waitedFor });
  }

  /** Runs a fault, waits until clients are answered again, and says how long nobody was. */
  async gap(name: string, fault: () => Promise<unknown> | unknown): Promise<number> {
    const fromMs = performance.now();
    this.recorder.record({ type: "note", who: "test", text: name });
    await fault();
    const overMs = performance.now();
    await until(() => (this.answeredMs.at(-1) ?? 0) > overMs, { withinMs, waitedFor: `an answer after ${name}` });
    // More than were in flight: what was first sent after the fault is answered too.
    await this.answers(2 * perClient * clients.length);
    const gapMs = longestGap(this.answeredMs, fromMs, overMs);
    this.#t.log(`${name}: ${gapMs.toFixed(0)} ms without an answer`);
    return gapMs;
  }

  /** The faults are over: everything is normal, clients are answered, nothing was lost or done twice. */
  async prove(expected: Expected = {}): Promise<CheckReport> {
    const t = this.#t;
    const pair = this.#pair;
    await pair.normal(withinMs);
    this.recorder.record({ type: "healed" });
    await this.answers(50, "answers after the faults");
    await this.#load.stop();
    // What a new history lacks would be run anew.
    const mayBeginHistory = expected.mayBeginHistory ?? false;
    const again = mayBeginHistory ? 0 : await askAgain(this.#recorded(""), (body) => this.#workload.keyOf(body));
    await this.#integrated();
    const directories = [...pair.settings].map(([name, { dataDirectory }]) => [name, dataDirectory] as const);
    await Promise.all([...pair.servers.values()].map((server) => server.stop()));
    await this.#end();
    const commits: CommitEvent[] = [];
    for (const [name, directory] of directories)
      if (expected.disks?.includes(name) ?? true)
        commits.push(...(await readDiskLog(name, directory, `history-of-${pair.service}`)));
    const report = checkHistory([...oldestHistoryFirst(commits), ...this.recorder.events], {
      makeModel: () => this.#workload.makeModel(),
      mayBeginHistory,
      mustRecover: true,
      resultsAreComplete: true,
    });
    const { violations: all, ...counts } = report;
    // What a new history lacks is on no disk: that it was committed once, and published, nobody can show any more.
    const hasLoss = mayBeginHistory && counts.histories > 1;
    const violations = all.filter(({ of }) => !(hasLoss && of === "invariant 7"));
    const queries = this.recorder.events.filter(({ type }) => type === "answer").length;
    t.log(JSON.stringify({ ...counts, queries }));
    t.deepEqual(violations.slice(0, 5), [], `${violations.length} violations`);
    if (!mayBeginHistory) t.is(counts.lost, 0);
    t.is(counts.doubled, 0);
    t.true(counts.acknowledged > 50);
    t.true(counts.duplicates >= again);
    t.true(queries > 0);
    return report;
  }

  /** The integrator has everything that was committed. */
  async #integrated(): Promise<void> {
    const pair = this.#pair;
    await until(
      async () => {
        const hot = pair.hot();
        if (hot === undefined) return false;
        const last = Math.max(
          0,
          ...this.recorder.events.flatMap((event) =>
            event.type === "reply" && !event.duplicate ? [sequenceOf(event.bytes)] : [],
          ),
        );
        const read = this.recorder.events.findLast((event) => event.type === "result");
        return read?.type === "result" && read.sequence >= last;
      },
      { withinMs, everyMs: 25, waitedFor: "the integrator to have every result" },
    );
  }
}

function sequenceOf(bytes: string): number {
  return Number(/"sequence":(\d+),"epoch":\d+\}$/.exec(bytes)?.[1] ?? 0);
}

/**
 * Servers may tell different parts of the histories: the checker takes them in the order in which they began. The oldest
 * records of all may have been dropped where nobody needs them any more (attempts, not replies): they are filled in as such.
 */
function oldestHistoryFirst(commits: readonly CommitEvent[]): CommitEvent[] {
  const sorted = [...commits].sort((one, other) => (one.records[0]?.sequence ?? 0) - (other.records[0]?.sequence ?? 0));
  const [oldest] = sorted;
  if (oldest === undefined) return sorted;
  const first = oldest.records[0]?.sequence ?? 1;
  const dropped = Array.from({ length: first - 1 }, (_, at): CommittedRecord => {
    return {
      sequence: at + 1,
      epoch: 0,
      hash: 0,
      kind: "attempt",
      client: "",
      id: "",
      name: "",
      resultNumber: 0,
      reply: "",
    };
  });
  return [{ ...oldest, records: [...dropped, ...oldest.records] }, ...sorted.slice(1)];
}
