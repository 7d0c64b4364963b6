/** What the simulator runs: the servers that ship, composed with simulated worlds, with one rule broken where asked. */
import type { Observer } from "../../actors/observer.ts";
import { type ServerEnd, startServer } from "../../actors/server.ts";
import type { CommittedRecord } from "../../machines/checker/history.ts";
import { chainHash, RecordReader, recordKinds } from "../../machines/codec/record.ts";
import type { LogBatch } from "../../machines/log/batch.ts";
import { initialRecord } from "../../machines/replica/initial-record.ts";
import { type Rules, shippedRules } from "../../machines/replica/rules.ts";
import { Settings } from "../../schemas/settings.ts";
import { incarnationOf, type StartContext, type StartServer } from "./cluster.ts";
import { mutations } from "./mutations.ts";
import { runSeed, type SeedOptions, type SeedPlan, type SeedReport } from "./seed-run.ts";
import type { Workload } from "./workloads.ts";

const kindNames = new Map<number, CommittedRecord["kind"]>(
  Object.entries(recordKinds).map(([name, kind]) => [kind, name as CommittedRecord["kind"]]),
);

function recordsOf(batch: LogBatch): CommittedRecord[] {
  const records: CommittedRecord[] = [];
  let hash = batch.previousHash;
  const reader = new RecordReader(batch.bytes);
  do {
    hash = chainHash(reader.bytes, hash);
    const { sequence, epoch, client, id, name, resultNumber } = reader;
    const kind = kindNames.get(reader.kind) ?? "final";
    const reply = Buffer.from(reader.reply).toString();
    records.push({ sequence, epoch, hash, kind, client, id, name, resultNumber, reply });
  } while (reader.next());
  return records;
}

const watched = ["uncommitted tail dropped", "inherited tail", "snapshot asked for", "mirror changed links"] as const;

function observerOf({ server, recorder, moments, oracle }: StartContext, incarnation: () => string): Observer {
  const of = () => ({ server, incarnation: incarnation() });
  return {
    onLife: (replica) => oracle.onLife(replica),
    onMade: (epoch, sequence) => recorder.record({ type: "made", ...of(), epoch, sequence }),
    onCommitted: (history, batch) => {
      recorder.record({ type: "commit", ...of(), history, records: recordsOf(batch) });
      oracle.onCommitted(incarnation(), history, batch);
    },
    onEpoch: (epoch) => recorder.record({ type: "epoch", ...of(), epoch }),
    onDigest: (history, sequence, digest) => recorder.record({ type: "digest", ...of(), history, sequence, digest }),
    onEvent: (event) => {
      const moment = watched.find((name) => name === event);
      if (moment !== undefined) moments.count(moment);
    },
  };
}

const ends: Record<ServerEnd["reason"], "exit" | "fail"> = { exit: "exit", failed: "fail" };

function makeStart(plan: SeedPlan, workload: Workload, rules: Rules): StartServer {
  return (context) => {
    const { server, servers, world, process } = context;
    const settings = Settings.parse({
      service: "sim",
      server,
      application: plan.workload,
      servers: servers.map((name, index) => ({ name, port: 7000 + index })),
      dataDirectory: "simulated",
      confirm: plan.confirm,
      afterTotalLoss: "longest",
      limits: {
        heartbeatMs: plan.heartbeatMs,
        suspicionMs: plan.suspicionMs,
        flushMs: plan.flushMs,
        registryTimeoutMs: plan.registryTimeoutMs,
        rememberReplies: plan.rememberReplies,
        stalledBackupMs: Math.max(1_000, 2 * plan.suspicionMs),
        cautionMs: 50,
        baseMs: 2_000,
        maxRetainedBytes: plan.retainedBytes,
      },
    });
    const { application } = workload;
    const lethal: typeof application = {
      ...application,
      handle: (body, request) =>
        context.lethal.runs(server, `${request.client} ${request.id}`)
          ? new Promise(() => undefined)
          : application.handle(body, request),
    };
    let lives = 0;
    let incarnation = incarnationOf(process);
    const handle = startServer({
      settings,
      application: lethal,
      world,
      rules,
      process: { pid: 1, version: "simulated" },
      nameIncarnation: () => {
        lives += 1;
        incarnation = lives === 1 ? incarnationOf(process) : `${incarnationOf(process)}.${lives}`;
        return incarnation;
      },
      observer: observerOf(context, () => incarnation),
    });
    return {
      stop: async () => {
        handle.stop();
        await handle.ended;
      },
      last: () => (handle.life?.hasBegun === true ? handle.life.replica.log.last : Number.MAX_SAFE_INTEGER),
      ended: handle.ended.then((end) => {
        if (end.reason === "failed") world.log.error({}, end.error.message);
        return ends[end.reason];
      }),
    };
  };
}

export async function runShipped(
  seed: number,
  task: { faults: readonly string[] | undefined; mutation: string | undefined },
): Promise<SeedReport> {
  const mutation = mutations.find(({ name }) => name === task.mutation);
  if (task.mutation !== undefined && mutation === undefined) throw new Error(`no mutation is called ${task.mutation}`);
  const rules: Rules = { ...shippedRules, ...mutation?.rules };
  const options: SeedOptions = {
    makeStart: (plan, workload) => makeStart(plan, workload, rules),
    init: (sim, plan) => {
      sim.registry.write(initialRecord("sim", plan.servers[0] ?? "alpha", `h${plan.seed}`));
    },
    fixed: { ...mutation?.plan, ...(task.faults === undefined ? {} : { faults: task.faults }) },
  };
  return await runSeed(seed, options);
}
