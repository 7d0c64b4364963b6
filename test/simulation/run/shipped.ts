/** What the simulator runs: the servers that ship, composed with simulated worlds, with one rule broken where asked. */
import { z } from "zod";
import type { Migration, MigrationTransaction, View } from "../../../actors/application/contract.ts";
import type { Application } from "../../../actors/application/define.ts";
import type { Observer } from "../../../actors/observer.ts";
import { startServer } from "../../../actors/server.ts";
import { type Link, StoreError, type World } from "../../../actors/world/ports.ts";
import { recordsOf } from "../../../machines/checker/records-of.ts";
import { RecoveryError } from "../../../machines/checkpoint/scan.ts";
import { decodeMessage, MessageError } from "../../../machines/codec/message.ts";
import type { Core } from "../../../machines/replica/core.ts";
import { initialRecord } from "../../../machines/replica/registry/initial-record.ts";
import type { Replica } from "../../../machines/replica/replica.ts";
import { type Rules, shippedRules } from "../../../machines/replica/rules.ts";
import type { PeerMessage } from "../../../schemas/peer-message.ts";
import { Settings } from "../../../schemas/settings.ts";
import { subjects } from "../../../schemas/subjects.ts";
import { inside } from "../../helpers/inside.ts";
import { classOf } from "../faults/plan.ts";
import { watchPace } from "../judge/pace.ts";
import { wrongTrace } from "../judge/traces.ts";
import { type Mutation, mutations } from "../mutations/mutations.ts";
import type { Run } from "../service/lethal-request.ts";
import { misbehave } from "../service/misbehaving.ts";
import { incarnationOf, type ServerEnd, type StartContext, type StartServer } from "../service/running-server.ts";
import type { SeedPlan } from "../service/seed-plan.ts";
import type { Workload } from "../service/workloads.ts";
import { aimedAt } from "./aims.ts";
import { runSeed, type SeedOptions, type SeedReport } from "./seed-run.ts";
import type { Remainder } from "./shrink.ts";

/** With a record in it. */
const leastMirrorBytes = 200;
/** Where a message's type begins in its frame, and how no other type begins than `mirror`. */
const mirrorAt = 8 + '{"type":"'.length;
const mirrorLetter = "m".charCodeAt(0);

const watched = ["uncommitted tail dropped", "inherited tail", "snapshot asked for", "mirror changed links"] as const;

function observerOf(
  { recorder, moments, oracle, process, onState, onViolation }: StartContext,
  incarnation: () => string,
  maxRecordBytes: number,
  restarts: NonNullable<Mutation["restarts"]>,
): Observer {
  const measure = (bytes: number) => {
    if (bytes > maxRecordBytes)
      onViolation("rule 15", `a record of ${bytes} bytes, at most ${maxRecordBytes} are sent`);
  };
  // One that speaks in another's name is told by its machine.
  const of = () => ({ server: process.host, incarnation: incarnation() });
  return {
    onLife: (replica) => oracle.onLife(replica),
    onMade: (epoch, sequence) => recorder.record({ type: "made", ...of(), epoch, sequence }),
    onCommitted: (history, batch) => {
      const { previousHash } = batch;
      recorder.record({ type: "commit", ...of(), history, previousHash, records: recordsOf(batch, measure) });
      oracle.onCommitted(incarnation(), history, batch);
    },
    onEpoch: (epoch) => recorder.record({ type: "epoch", ...of(), epoch }),
    onDigest: (history, sequence, digest) => recorder.record({ type: "digest", ...of(), history, sequence, digest }),
    onEvent: (event, from, to) => {
      onState(to);
      if (restarts(event, from)) process.later(0, "mutation", () => process.kill("process"));
      const moment = watched.find((name) => name === event);
      if (moment !== undefined) moments.count(moment);
    },
  };
}

/** A server may fail because of its disk, and of nothing else. */
function failureOf(error: Error, { server, onViolation }: StartContext): ServerEnd {
  if (error instanceof RecoveryError) return error.code === "damaged" ? "damaged" : "fail";
  // A second process on the same machine finds its disk or its address in use (situation 29).
  const isInUse = error.message.includes("address in use");
  if (error instanceof StoreError || isInUse || error.message.startsWith("the disk failed")) return "fail";
  onViolation("assertion", `${server} failed: ${error.message}`);
  return "fail";
}
/** Counts what one link hands over that the other handed over before: the same records of the same session. */
function watchLinks(world: World, moments: StartContext["moments"]): World {
  const seen = { main: new Set<string>(), failsafe: new Set<string>() };
  const watch = (link: Link, own: Set<string>, other: Set<string>): void => {
    const start = link.start.bind(link);
    link.start = (handlers) =>
      start({
        onUp: (peer) => handlers.onUp(peer),
        onDown: (peer, reason) => handlers.onDown(peer, reason),
        onFrame: (peer, frame) => {
          const records = recordsIn(frame);
          if (records !== null) {
            own.add(records);
            if (other.has(records)) moments.count("both links deliver");
          }
          handlers.onFrame(peer, frame);
        },
        onLastWords: (words) => handlers.onLastWords?.(words),
      });
  };
  watch(world.main, seen.main, seen.failsafe);
  watch(world.failsafe, seen.failsafe, seen.main);
  return world;
}

/** `ready` is said when all that the server inherited is committed (rule 5). */
function watchReady(world: World, { server, onViolation }: StartContext, replica: () => Replica | null): World {
  const { bus } = world;
  const publish = bus.publish.bind(bus);
  bus.publish = (subject, data, given, reply) => {
    const { committed = 0, inherited = 0 } = replica() ?? {};
    if (subject === subjects.signal("sim") && committed < inherited)
      onViolation(
        "rule 5",
        `${server} says that it is ready, ${inherited} was inherited and ${committed} is committed`,
      );
    return publish(subject, data, given, reply);
  };
  return world;
}

/** Names the first record in a mirror message. Few frames are long, and begin as one does; the rest need no look. */
function recordsIn(frame: Uint8Array): string | null {
  if (frame.length < leastMirrorBytes || frame[mirrorAt] !== mirrorLetter) return null;
  const message = readMirror(frame);
  return message?.type === "mirror" && message.last >= message.first ? `${message.session} ${message.first}` : null;
}

/** Null: it does not fit. */
function readMirror(frame: Uint8Array): PeerMessage | null {
  try {
    return decodeMessage(frame).message;
  } catch (error) {
    if (error instanceof MessageError) return null;
    throw error;
  }
}

const newerVersion = 2;
/** With the catalog in each record of a migration, one may not be smaller. */
const leastMigrationBytes = 32 * 1024;

/** Each row and item is written anew, and marked, once. */
function newerOf(right: Application): Partial<Application> {
  const marked = (name: string, key: string, tx: MigrationTransaction) => {
    const at = `${name}/${key}`;
    if (tx.has("migrated", at)) throw new Error(`${at} was migrated before`);
    tx.put("migrated", at, { version: newerVersion });
  };
  const tables = Object.keys(right.tables).map((name): [string, Migration[string]] => [
    name,
    (old, tx, key) => {
      marked(name, key, tx);
      tx.put(name, key, old);
    },
  ]);
  const queues = Object.keys(right.queues).map((name): [string, Migration[string]] => [
    name,
    (old, tx) => tx.push(name, old),
  ]);
  // Views take every row for one of those that they know.
  const views = Object.entries(right.views).map(([name, make]): [string, () => View] => [
    name,
    () => {
      const view = make();
      const { put } = view;
      if (put === undefined) return view;
      const putKnown: typeof put = (table, ...row) =>
        table === "migrated" ? undefined : put.call(view, table, ...row);
      return Object.assign(view, { put: putKnown });
    },
  ]);
  return {
    version: newerVersion,
    views: Object.fromEntries(views),
    tables: { ...right.tables, migrated: z.object({ version: z.int() }) },
    migrations: { [newerVersion]: Object.fromEntries([...tables, ...queues]) },
  };
}

/** The application as it is, but for requests that kill, handlers that misbehave, and another version of it. */
function troubled(
  { lethal, server, process, version, moments, onViolation }: StartContext,
  plan: SeedPlan,
  right: Application,
  /** Where it is primary. */
  place: () => Pick<Run, "history" | "epoch">,
  stateVersion: () => number,
  toldWhenHot: () => readonly string[],
  /** What was begun is forgotten as well: then it is no longer known how often it was tried. */
  hasForgotten: () => boolean,
): Application {
  const misbehaving = misbehave(right, plan.misbehaving, (moment) => moments.count(moment));
  return {
    ...right,
    ...(version === "other" ? { name: "other", storedAs: "other" } : {}),
    ...(version === "newer" ? newerOf(right) : {}),
    handle: (body, request) => {
      const wanted = version === "newer" ? newerVersion : right.version;
      if (version === "newer") moments.count("state migrated");
      if (stateVersion() !== wanted)
        onViolation("rule 19", `${server} runs a request of version ${wanted} on a state of version ${stateVersion()}`);
      const wrong = wrongTrace(request.client, request.id, request.traceparent, `at the handler of ${server}`);
      if (wrong !== null) onViolation("traces", wrong);
      const name = `${request.client} ${request.id}`;
      const run = { request: name, life: process.name, ...place() };
      if (lethal.known(run, toldWhenHot()) >= 2 && !hasForgotten())
        onViolation("rule 17", `${server} runs ${name}, which ended two servers, and it knows of both`);
      // Another process in its name is on another machine.
      const isDead = process.host === server && lethal.runs(server, run);
      return isDead ? new Promise(() => undefined) : misbehaving(body, request);
    },
  };
}

/** Rule 19: the role is not given to one whose program can make nothing of the state while another could have it. */
function judgeProgram(core: Core | null, { server, moments, onViolation }: StartContext): void {
  if (core === null || core.unreadable === "") return;
  moments.count("old program went hot");
  const others = core.membership.record?.inSync.filter(({ incarnation }) => incarnation !== core.self) ?? [];
  const able = others.find(({ incarnation }) => core.peers.byIncarnation(incarnation)?.heartbeat?.program?.reads);
  if (able !== undefined)
    onViolation("rule 19", `${server} has the role, can make nothing of the state, and ${able.server} could`);
}

function makeStart(plan: SeedPlan, workload: Workload, mutation: Mutation | undefined): StartServer {
  const rules: Rules = { ...shippedRules, ...mutation?.rules };
  return (context) => {
    const { server, servers, process } = context;
    const replica = () => handle.life?.replica ?? null;
    const of = () => {
      const begun = replica();
      return begun === null ? null : inside(begun).core;
    };
    const seen = watchReady(watchLinks(context.world, context.moments), context, replica);
    const world = mutation?.world?.(seen) ?? seen;
    const settings = Settings.parse({
      service: "sim",
      server,
      application: plan.workload,
      servers: servers.map((name, index) => ({ name, port: 7000 + index })),
      dataDirectory: "simulated",
      confirm: plan.confirm,
      afterTotalLoss: plan.afterTotalLoss,
      limits: {
        heartbeatMs: plan.heartbeatMs,
        suspicionMs: plan.suspicionMs,
        flushMs: plan.flushMs,
        registryTimeoutMs: plan.registryTimeoutMs,
        rememberReplies: plan.rememberReplies,
        maxRetainedBytes: plan.retainedBytes,
        stalledBackupMs: Math.max(1_000, 2 * plan.suspicionMs),
        cautionMs: 50,
        baseMs: 2_000,
        maxUnflushedBytes: plan.retainedBytes === 0 ? 64 * 1024 : 256 * 1024 * 1024,
        ...plan.limits,
      },
    });
    const { moments, onViolation } = context;
    watchPace(world, { server, limits: settings.limits, replica, moments, onViolation });
    /** The deaths that it knew of when it took its role. */
    let toldWhenHot: readonly string[] = [];
    let isHot = false;
    const onState = (state: string) => {
      if (!isHot && state.startsWith("hot")) toldWhenHot = of()?.deaths.facts ?? [];
      if (!isHot && state.startsWith("hot")) judgeProgram(of(), context);
      isHot = state.startsWith("hot");
      context.onState(state);
    };
    const { maxRecordBytes } = settings.limits;
    const isTooNarrow = context.version === "newer" && maxRecordBytes < leastMigrationBytes;
    const application = troubled(
      isTooNarrow ? { ...context, version: "right" } : context,
      plan,
      workload.application,
      () => ({ history: replica()?.history ?? "", epoch: replica()?.epoch ?? 0 }),
      () => replica()?.stateVersion ?? 0,
      () => toldWhenHot,
      () => (of()?.applied.requests.forgotten ?? 0) > 0,
    );
    let lives = 0;
    let incarnation = incarnationOf(process);
    const handle = startServer({
      settings,
      application,
      world,
      rules,
      process: { pid: 1, version: "simulated" },
      nameIncarnation: () => {
        lives += 1;
        incarnation = lives === 1 ? incarnationOf(process) : `${incarnationOf(process)}.${lives}`;
        return incarnation;
      },
      observer: observerOf(
        { ...context, onState },
        () => incarnation,
        settings.limits.maxRecordBytes,
        mutation?.restarts ?? (() => false),
      ),
    });
    return {
      stop: async () => {
        handle.stop();
        await handle.ended;
      },
      last: () => replica()?.log.last ?? Number.MAX_SAFE_INTEGER,
      committed: () => replica()?.committed ?? 0,
      state: () => replica()?.state ?? "",
      asks: () => replica()?.asked ?? null,
      incarnation: () => incarnation,
      standing: () => {
        const begun = replica();
        return begun === null ? null : begun.standing();
      },
      ended: handle.ended.then((end) => {
        if (end.reason === "exit") return "exit";
        world.log.error({}, end.error.message);
        return failureOf(end.error, context);
      }),
    };
  };
}

export interface SeedTask {
  readonly faults: readonly string[] | undefined;
  readonly mutation: string | undefined;
  /** What ships, in the plan of that mutation, which must find nothing there. */
  readonly isControl?: boolean | undefined;
  /** The moment that the plan is made for. */
  readonly aim?: string | undefined;
  readonly remainder?: Remainder | undefined;
  readonly keepsHistory?: boolean | undefined;
}

/** Where a rule is broken the rest is calm: what a mutation's plan does not say is as it is by default. */
const calm: Partial<SeedPlan> = { limits: {}, misbehaving: 0 };

/** Named faults have their class, where no mutation's plan says another. */
function faultsOf({ faults, mutation }: SeedTask): Partial<SeedPlan> {
  if (faults === undefined) return {};
  const faultClass = mutation === undefined ? classOf(faults) : null;
  return { faults, ...(faultClass === null ? {} : { faultClass }) };
}

export async function runShipped(seed: number, task: SeedTask): Promise<SeedReport> {
  const mutation = mutations.find(({ name }) => name === task.mutation);
  if (task.mutation !== undefined && mutation === undefined) throw new Error(`no mutation is called ${task.mutation}`);
  const options: SeedOptions = {
    rules: { ...shippedRules, ...(task.isControl === true ? {} : mutation?.rules) },
    makeStart: (plan, workload) => makeStart(plan, workload, task.isControl === true ? undefined : mutation),
    init: (sim, plan) => {
      sim.registry.write(initialRecord("sim", plan.servers[0] ?? "alpha", `h${plan.seed}`));
    },
    fixed: {
      ...(mutation === undefined ? {} : { ...calm, ...mutation.plan }),
      ...(task.aim === undefined ? {} : aimedAt(task.aim)),
      ...faultsOf(task),
      ...task.remainder,
    },
    keepsHistory: task.keepsHistory,
  };
  return await runSeed(seed, options);
}
