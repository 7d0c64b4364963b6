/**
 * All of the real world that one server sees, put together from its settings; nothing is started or opened yet.
 * What always holds: clients' traffic has a connection to NATS of its own; results have another, so that who reads none of
 * them holds up no answer; failsafe link and registry share a third, so that a heartbeat never waits behind requests and replies.
 */
import { realpath } from "node:fs/promises";
import { join } from "node:path";
import { lastWordsFile } from "../../schemas/death.ts";
import { mainFrameBytes, type Settings } from "../../schemas/settings.ts";
import { inboxes } from "../../schemas/subjects.ts";
import { NatsBus } from "./bus-nats.ts";
import { openNodeClock } from "./clock-node.ts";
import { NatsLine } from "./connection-nats.ts";
import { closeToOthers, refuseFolderOfOthers } from "./folder-owner.ts";
import { lastBackupFile, writeLastBackup } from "./last-backup.ts";
import { NatsLink } from "./link-nats.ts";
import { TcpLink } from "./link-tcp.ts";
import { openSecrets } from "./log-in-nats.ts";
import { type LogLevel, openPinoLog } from "./log-pino.ts";
import { noticeBytes, openPeerProof, whoIsUnproven } from "./peer-proof.ts";
import type { Log, Registry, World } from "./ports.ts";
import { JetStreamRegistry } from "./registry-jetstream.ts";
import { ResultsStream } from "./results-stream-jetstream.ts";
import { LevelStore } from "./store-level.ts";
import { lookAround } from "./surroundings.ts";
import { plaintextBrokerBeyondLoopback, refusePlaintextBrokers } from "./tcp-security.ts";
import { triedOut } from "./tried-out.ts";

/** The registry alone, for `init`, and the line on which it is asked. `close` ends its connection. `inboxPrefix`: of whoever asks, where that is no server. */
export async function openRegistry(
  settings: Settings,
  inboxPrefix = inboxes.server(settings.service, settings.server),
): Promise<{
  registry: Registry;
  line: Pick<NatsLine, "onFault" | "flush" | "inbox" | "request">;
  close: () => Promise<void>;
}> {
  const { service, server, limits, nats, registry } = settings;
  if (!nats.allowPlaintext) refusePlaintextBrokers(nats);
  const clock = openNodeClock();
  const log = openPinoLog({ service, server }, { level: "error" });
  const line = new NatsLine({ nats, name: `twinlog ${service} init`, inboxPrefix, clock, log });
  line.acquire();
  await line.ready();
  const { bucket, replicas } = registry;
  const opened = new JetStreamRegistry({ service, bucket, replicas, timeoutMs: limits.registryTimeoutMs, line });
  return { registry: opened, line, close: () => line.release() };
}

export interface RealWorld extends World {
  /** A random id of this process, as its greetings say it. */
  readonly processId: string;
}

const storeName = "store";

/** Throws StoreError `unsafe`. Folders of earlier versions, which others could read, are closed to them. */
async function secureDataDirectory(directory: string, log: Log): Promise<void> {
  const names = [storeName, lastWordsFile, lastBackupFile];
  await refuseFolderOfOthers(directory, names);
  const path = await realpath(directory).catch(() => directory);
  const closed = [
    ...((await closeToOthers(path, names)) ? [path] : []),
    ...((await closeToOthers(join(path, storeName))) ? [join(path, storeName)] : []),
  ];
  for (const folder of closed)
    log.warn({ folder }, "other users could read this folder until now: it is closed to them");
}

/** `log`: instead of lines of JSON on standard error. Throws LinkError `PLAINTEXT_REFUSED`, and StoreError `unsafe` where the data directory is not ours alone. */
export async function openRealWorld(
  settings: Settings,
  options: { log?: Log; logLevel?: LogLevel } = {},
): Promise<RealWorld> {
  const { service, server, servers, limits, nats, mainLink, registry } = settings;
  const clock = openNodeClock();
  const level = options.logLevel;
  const log = options.log ?? openPinoLog({ service, server }, level === undefined ? {} : { level });
  if (!nats.allowPlaintext) refusePlaintextBrokers(nats);
  const broker = plaintextBrokerBeyondLoopback(nats);
  if (broker !== null)
    log.warn({ broker }, "what is said to NATS leaves this machine unencrypted, as nats.allowPlaintext allows");
  const proof = await openPeerProof(settings, clock, log);
  for (const line of await openSecrets(nats)) log.warn({}, line);
  await secureDataDirectory(settings.dataDirectory, log);
  const name = `twinlog ${service} ${server}`;
  const inboxPrefix = inboxes.server(service, server);
  const lineFor = (what: string) => new NatsLine({ nats, name: `${name} ${what}`, inboxPrefix, clock, log });
  const [traffic, results, control] = [lineFor("bus"), lineFor("results"), lineFor("failsafe")];
  // What may be unconfirmed may wait here, and some heartbeats besides.
  const maxBufferedBytes = limits.maxUnconfirmedBytes + mainFrameBytes(limits);
  const processId = clock.randomId();
  const opened = new JetStreamRegistry({
    service,
    bucket: registry.bucket,
    replicas: registry.replicas,
    timeoutMs: limits.registryTimeoutMs,
    line: control,
  });
  const resultsStream = new ResultsStream({ service, timeoutMs: limits.registryTimeoutMs, line: control });
  const store = new LevelStore(join(settings.dataDirectory, storeName), clock);
  const main = new TcpLink({
    service,
    server,
    servers,
    processId,
    tls: mainLink.tls,
    allowPlaintext: mainLink.allowPlaintext,
    proof,
    maxFrameBytes: mainFrameBytes(limits),
    maxBufferedBytes,
    speaksWithinMs: limits.suspicionMs,
    clock,
    log,
  });
  return {
    processId,
    clock,
    log,
    main,
    failsafe: new NatsLink({
      service,
      server,
      servers: servers.map((each) => each.name),
      line: control,
      onDeath: (peer, of) => main.onDeath(peer, of),
      proof,
      maxBufferedBytes,
      clock,
      log,
    }),
    bus: new NatsBus(traffic, { results: { service, line: results }, others: [control] }),
    registry: opened,
    store,
    unproven: whoIsUnproven(settings) ?? undefined,
    noticeFor: (notice, to) => noticeBytes(notice, { service, to }, proof?.keys ?? null),
    triedOut: triedOut(settings, processId),
    lookAround: () => lookAround({ settings, line: control, registry: opened, store, resultsStream }),
    noteBackup: (backup) => writeLastBackup(settings.dataDirectory, backup),
  };
}
