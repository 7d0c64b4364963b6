/**
 * What an operator should know about the broker under the registry: its version, its cluster, the bucket's settings. The
 * registry's safety is JetStream's (PROTOCOL.md), so what weakens that is said, in words.
 */
import type { StreamConfig } from "../../schemas/jetstream.ts";
import type { RegistryWarning } from "../../schemas/surroundings.ts";

interface Bucket {
  readonly bucket: string;
  readonly replicas: number;
}

const history = 64;
const duplicateWindowNs = 120_000_000_000;

/** As the key-value class would make it, so that other tools see a bucket, except for what safety needs. */
export function streamConfigOf({ bucket, replicas }: Bucket): object {
  return {
    name: `KV_${bucket}`,
    description: "Twinlog registry: one record a service, changed only by compare-and-set",
    subjects: [`$KV.${bucket}.>`],
    retention: "limits",
    storage: "file",
    discard: "new",
    num_replicas: replicas,
    max_consumers: -1,
    max_msgs: -1,
    max_bytes: -1,
    max_age: 0,
    max_msgs_per_subject: history,
    duplicate_window: duplicateWindowNs,
    allow_rollup_hdrs: true,
    deny_delete: true,
    allow_direct: false,
  };
}

export function bucketWarnings(config: StreamConfig, { bucket, replicas }: Bucket): RegistryWarning[] {
  const said: RegistryWarning[] = [];
  const say = (what: string) => said.push({ kind: "bucket", says: `registry bucket ${bucket}: ${what}` });
  if (config.storage !== "file") say(`its storage is ${config.storage}; a restart of NATS loses it`);
  if ((config.max_age ?? 0) !== 0) say("its records expire; set no TTL");
  if (config.allow_direct === true) say("allow_direct is on; other tools may read old records from replicas");
  if ((config.max_msgs_per_subject ?? history) !== history)
    say(`it keeps ${config.max_msgs_per_subject} old records; ${history} are wanted for finding out what happened`);
  if ((config.num_replicas ?? 1) !== replicas)
    say(`it has ${config.num_replicas ?? 1} replicas; configured are ${replicas}`);
  return said;
}

interface Broker {
  readonly version: string;
  readonly cluster?: string | undefined;
  readonly jetstream?: boolean | undefined;
}

/** Compares dotted versions, up to their first suffix. */
function compare(a: string, b: string): number {
  const [left, right] = [a, b].map((text) => text.split(/[.-]/).slice(0, 3).map(Number));
  for (let at = 0; at < 3; at += 1) {
    const difference = (left?.[at] ?? 0) - (right?.[at] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

export function brokerWarnings(broker: Broker | undefined, replicas: number): RegistryWarning[] {
  if (broker === undefined) return [];
  const { version } = broker;
  const within = (first: string, last: string) => compare(version, first) >= 0 && compare(version, last) <= 0;
  const said: RegistryWarning[] = [];
  const say = (kind: RegistryWarning["kind"], what: string) =>
    said.push({ kind, says: `nats-server ${version}: ${what}` });
  const isCluster = broker.cluster !== undefined || replicas > 1;
  if (broker.jetstream === false) say("unsafe", "JetStream is off, and the registry needs it");
  if (compare(version, "2.9.0") < 0) say("old", "older than 2.9 was never tried");
  if (isCluster && within("2.9.10", "2.9.20"))
    say("unsafe", "in a cluster, two compare-and-sets at once may both succeed (2.9.10 to 2.9.20): upgrade");
  if (!isCluster && within("2.10.19", "2.10.19"))
    say("unsafe", "with one replica, two compare-and-sets at once may both succeed (2.10.19): upgrade");
  if (compare(version, "2.10.27") < 0 || within("2.11.0", "2.11.0"))
    say(
      "old",
      "CVE-2025-30215: whoever may publish to $JS.> can delete the registry; grant that to nobody, and upgrade",
    );
  if (compare(version, "2.10.0") < 0)
    say("old", "it has no sync_interval: a crash of its machine may undo the latest changes of the registry");
  else
    say(
      "untold",
      "cannot be asked whether `sync_interval: always` is set; without it a crash of its machine may undo the latest changes",
    );
  return said;
}
