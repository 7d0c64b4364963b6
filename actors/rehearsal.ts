/**
 * A takeover and a first request, done once to nothing when a process starts: code that runs for the first time is slow, and
 * a backup would run most of a primary's for the first time while clients wait for it. What always holds: it works on a
 * replica of its own that knows no world; whatever comes of it is thrown away; no handler runs but one of its own.
 */

import { encodeMessage } from "../machines/codec/message.ts";
import { type LifecycleEvent, lifecycleStep, startingLifecycle } from "../machines/lifecycle.ts";
import { KeyHasher } from "../machines/log/key-index.ts";
import { MemoryLog } from "../machines/log/memory-log.ts";
import { RequestTable, type RunningRequest } from "../machines/replica/log/requests.ts";
import type { Outbox } from "../machines/replica/outbox.ts";
import type { Arrival } from "../machines/replica/primary/intake.ts";
import { initialRecord } from "../machines/replica/registry/initial-record.ts";
import { Replica } from "../machines/replica/replica.ts";
import { shippedRules } from "../machines/replica/rules.ts";
import type { Settings } from "../schemas/settings.ts";
import { subjects } from "../schemas/subjects.ts";
import { BodyParser } from "./application/body.ts";
import { type Application, applicationParts, schemaDigest } from "./application/define.ts";
import { parseQuery, parseRequest } from "./application/front.ts";
import { parseOnce } from "./application/parse-once.ts";
import { HandlerRunner } from "./application/runner.ts";
import { ApplicationState } from "./application/state.ts";
import { rehearsed } from "./applications/rehearsed/rehearsed.ts";
import { type Clock, noWatchdog } from "./world/ports.ts";

/** Steps are worked out once and remembered (machines/step.ts). */
const ways: readonly (readonly LifecycleEvent["type"][])[] = [
  ["store.recovered", "verdict.member", "primary.lost.alone", "disk.synced", "cas.won.alone", "joiner.ready"],
  ["store.recovered", "verdict.member", "handover.offered", "cas.won.normal", "switch.requested", "deposed.named"],
  ["store.recovered", "verdict.member", "handover.offered", "cas.won.normal", "backup.lost.alone", "disk.synced"],
];
const client = "rehearsal";
const maxTurns = 100;

/** The replies that nobody gets, for those who want to see that it went all the way. */
export function rehearse(application: Application, settings: Settings, clock: Clock): string[] {
  for (const way of ways) {
    let snapshot = startingLifecycle;
    for (const type of way) [snapshot] = lifecycleStep(snapshot, { type } as LifecycleEvent);
  }
  parseSomething(application, settings);
  const replica = makeReplica(settings, schemaDigest(application));
  replica.onBus(true, 0);
  replica.start(0);
  settle(replica, settings.service);
  const runner = makeRunner(replica, settings, clock);
  return ["1", "2"].flatMap((id) => serve(replica, runner, settings.service, id));
}

function makeRunner(replica: Replica, { limits }: Settings, clock: Clock): HandlerRunner<RunningRequest> {
  const { handlerMs, maxRecordBytes, maxRequestBytes } = limits;
  const fail = (error: Error) => {
    throw error;
  };
  return new HandlerRunner<RunningRequest>({
    application: rehearsed,
    state: new ApplicationState(rehearsed),
    clock,
    takesTimer: shippedRules.takesTimer,
    limits: { handlerMs, maxTimerBytes: maxRequestBytes, maxRecordBytes: () => maxRecordBytes },
    sink: {
      transaction: (request, record) => void replica.onTransaction(request, record, 0),
      final: (request, record) => void replica.onResult(request, record, 0),
      committed: () => Promise.resolve(),
      nextSequence: () => replica.log.last + 1,
      failed: (_request, error) => fail(error as Error),
      onWaiting: () => undefined,
      fatal: fail,
    },
  });
}

/** What the door makes of bytes: the schemas are made ready when they parse for the first time. */
function parseSomething(application: Application, { service, limits }: Settings): void {
  for (const schema of [application.request, application.result]) parseOnce(schema);
  for (const { schema } of applicationParts(application)) parseOnce(schema);
  const parser = new BodyParser(application);
  const read = (subject: string, fields: object) => ({
    subject,
    reply: "",
    data: Buffer.from(JSON.stringify({ client, id: "1", body: {}, ...fields })),
  });
  const isSent = { issuedAt: 1, after: "0", resend: true };
  const guard = { watchdog: noWatchdog, endedByBody: () => false, isKnown: () => false };
  parseRequest(read(subjects.request(service, "", client), isSent), parser, limits.maxRequestBytes, guard);
  parseQuery(read(subjects.query(service, "", client), {}), limits.maxRequestBytes);
}

function makeReplica({ service, server, servers, limits, confirm, afterTotalLoss }: Settings, schema: string): Replica {
  const names = servers.map(({ name }) => name);
  const self = { server, incarnation: client };
  const requests = new RequestTable({
    through: 0,
    resultNumber: 0,
    rememberClients: limits.rememberClients,
    maxRememberedBytes: limits.maxRememberedBytes,
    hasher: new KeyHasher(client),
  });
  const registry = { epochSeen: 0, memberEpoch: 0, syncedEpoch: 0, record: null };
  const recovered = {
    startCount: 1,
    disk: "",
    history: "",
    ancestors: [],
    ...registry,
    committed: 0,
    published: 0,
    oldestOnDisk: 1,
  };
  return new Replica(
    { self, service, servers: names, schema, limits, confirm, afterTotalLoss },
    { ...recovered, log: new MemoryLog(), requests },
    0,
  );
}

/** Turns until nothing is to be done any more; all that is asked of the world succeeds at once. */
function settle(replica: Replica, service: string): void {
  for (let turn = 0; turn < maxTurns; turn += 1) {
    replica.endTurn(0, 0);
    const entries = replica.outbox.splice(0);
    if (entries.length === 0) return;
    for (const entry of entries) answer(entry, replica, service);
  }
}

function answer(entry: Outbox, replica: Replica, service: string): void {
  switch (entry.type) {
    case "send":
      encodeMessage(entry.message);
      return;
    case "sync":
      replica.onSynced(entry.through, 0);
      return;
    case "write":
      replica.onWritten(entry.through, 0);
      return;
    case "saveEpoch":
      replica.onEpochSaved(entry, 0);
      return;
    case "readRegistry": {
      const record = initialRecord(service, replica.options.self.server, client);
      replica.onRegistryRead({ outcome: "found", record, revision: 1 }, 0);
      return;
    }
    case "compareAndSet":
      replica.onCasAnswer(entry.record.writeId, { outcome: "won", revision: entry.expectedRevision + 1 }, 0);
      return;
    default:
  }
}

/** From a request, behind its attempt record, to its reply. */
function serve(replica: Replica, runner: HandlerRunner<RunningRequest>, service: string, id: string): string[] {
  const arrival: Arrival = {
    client,
    id,
    key: "",
    bodyHash: 0,
    issuedAtMs: undefined,
    after: undefined,
    resend: true,
    body: { n: 1 },
    replyTo: client,
  };
  replica.onRequest(arrival, 0, 0);
  settle(replica, service);
  const request = replica.nextToStart();
  if (request === null) return [];
  runner.run(request, request);
  settle(replica, service);
  const replies: string[] = [];
  replica.release((_, bytes) => replies.push(Buffer.from(bytes).toString()));
  return replies;
}
