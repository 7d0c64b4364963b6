/**
 * Looks at what is around a server (schemas/surroundings.ts): the volume of its data directory, the broker under the registry,
 * the certificates that its settings name, and when its last backup was taken. What always holds: it changes nothing, and what cannot be looked at is null.
 */
import { X509Certificate } from "node:crypto";
import { readFile, statfs } from "node:fs/promises";
import type { Settings } from "../../schemas/settings.ts";
import type { Surroundings } from "../../schemas/surroundings.ts";
import type { NatsLine } from "./connection-nats.ts";
import { readLastBackup } from "./last-backup.ts";
import type { Registry, Store } from "./ports.ts";
import type { ResultsStream } from "./results-stream-jetstream.ts";

export interface SurroundingsOptions {
  readonly settings: Settings;
  readonly line: Pick<NatsLine, "info">;
  readonly registry: Pick<Registry, "warnings">;
  readonly store: Pick<Store, "usage">;
  readonly resultsStream: Pick<ResultsStream, "look">;
}

export async function lookAround(options: SurroundingsOptions): Promise<Surroundings> {
  const { settings, line, registry, store, resultsStream } = options;
  const [disk, warnings, certificates, backup, stream] = await Promise.all([
    lookAtDisk(settings.dataDirectory, store).catch(() => null),
    registry.warnings(),
    lookAtCertificates(settings),
    readLastBackup(settings.dataDirectory),
    resultsStream.look().catch(() => undefined),
  ]);
  const version = line.info?.version;
  return {
    disk,
    broker: version === undefined ? null : { version, warnings },
    certificates,
    backup,
    ...(stream === undefined ? {} : { resultsStream: stream }),
  };
}

async function lookAtDisk(directory: string, store: Pick<Store, "usage">): Promise<Surroundings["disk"]> {
  const { bavail, blocks, bsize } = await statfs(directory);
  const { bytes } = await store.usage();
  return { freeBytes: bavail * bsize, sizeBytes: blocks * bsize, storeBytes: bytes };
}

/** Of TLS with the brokers and between the servers: own certificates, and who is believed. */
export function lookAtCertificates({ nats, mainLink }: Settings): Promise<Surroundings["certificates"]> {
  const files = [nats.tls, mainLink.tls].flatMap((tls) => [tls?.certFile, tls?.caFile]);
  const named = new Set(files.filter((file) => file !== undefined));
  return Promise.all([...named].map(async (file) => ({ file, untilMs: await firstEnd(file) })));
}

const pem = /-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g;

/** When the first certificate of a file is over; null: there is none that can be read. */
async function firstEnd(file: string): Promise<number | null> {
  try {
    const text = await readFile(file, "utf8");
    const ends = [...text.matchAll(pem)].map(([block]) => Date.parse(new X509Certificate(block).validTo));
    const first = Math.min(...ends);
    return Number.isFinite(first) ? first : null;
  } catch {
    return null;
  }
}
