/**
 * What servers of one service that share keys prove to each other besides the messages of the failsafe link: the notice that one
 * of them is dead, and in a greeting of the main link who speaks. What always holds: a proof names the service, who gives it
 * and to whom, and serves for nothing else.
 */
import { type DeathNotice, readDeathNotice } from "../../schemas/death.ts";
import type { Settings } from "../../schemas/settings.ts";
import { LinkError } from "./link-error.ts";
import { PeerKeys, proofBytes } from "./peer-keys.ts";
import type { Clock, Log } from "./ports.ts";
import { whoElseReads } from "./secret-file.ts";
import { brokerBeyondLoopback, firstBeyondLoopback } from "./tcp-security.ts";

export interface PeerProof {
  readonly keys: PeerKeys;
  /** False: who proves nothing is believed too, while the servers get their key one after the other. */
  readonly isRequired: boolean;
}

/**
 * By the settings; undefined: nothing is proven, and each who can speak where the servers do is on this machine, or an operator
 * allowed it. Throws LinkError `KEY_MISSING`, `KEY_FILE`.
 */
export async function openPeerProof(settings: Settings, clock: Clock, log: Log): Promise<PeerProof | undefined> {
  const { keyFile, allowUnproven } = settings.peers;
  if (keyFile !== undefined) {
    const keys = await PeerKeys.open(keyFile, clock, log);
    const open = await whoElseReads(keyFile);
    if (open !== "") log.warn({}, open);
    return { keys, isRequired: !allowUnproven };
  }
  const where = whereStrangersAre(settings);
  if (where === null || allowUnproven) return undefined;
  throw new LinkError(
    "KEY_MISSING",
    `the servers speak with each other over ${where}, where others could speak in their names: give all of them one key (peers.keyFile; make it with: openssl rand -base64 32), or set peers.allowUnproven if everybody there is trusted`,
  );
}

/** Who is believed without a proof, for operators; null: nobody who is not on this machine. */
export function whoIsUnproven(settings: Settings): string | null {
  const { keyFile, allowUnproven } = settings.peers;
  const where = whereStrangersAre(settings);
  if (!allowUnproven || settings.servers.length < 2 || (keyFile === undefined && where === null)) return null;
  const then = keyFile === undefined ? "set peers.keyFile on all servers" : "take peers.allowUnproven away";
  return `who speaks in another server's name is believed without a proof (peers.allowUnproven): ${then}`;
}

/** What the servers say to each other leaves this machine, and nothing but a key of theirs shows who says it. */
function whereStrangersAre({ servers, nats, mainLink }: Settings): string | null {
  if (servers.length < 2) return null;
  const broker = brokerBeyondLoopback(nats.servers);
  if (broker !== null) return `NATS at ${broker}`;
  const address = mainLink.tls === undefined ? firstBeyondLoopback(servers) : undefined;
  return address === undefined ? null : `the main link of ${address.name} (${address.host}), without TLS`;
}

/** For people: what is wrong with what was said in a peer's name. */
export function whyUnproven(hasProof: boolean): string {
  return hasProof
    ? "its proof is of another key: is peers.keyFile the same on all servers?"
    : "it proves nothing: has that server a peers.keyFile?";
}

/** To one server. */
export interface NoticeTo {
  readonly service: string;
  readonly to: string;
}

/** As bytes: the proof, where there are keys, and the notice as JSON behind it. */
export function noticeBytes(notice: DeathNotice, { service, to }: NoticeTo, keys: PeerKeys | null): Uint8Array {
  const json = Buffer.from(JSON.stringify(notice));
  if (keys === null) return json;
  return Buffer.concat([keys.sign([contextOf(service, notice.server, to), json]), json]);
}

/** Null: it is none. A notice said again is no harm: it is of one process, and that is dead. */
export function noticeIn(
  data: Uint8Array,
  { service, to }: NoticeTo,
  proof: PeerProof | undefined,
): { notice: DeathNotice | null; isProven: boolean } {
  const plain = readDeathNotice(data);
  if (plain !== null) return { notice: plain, isProven: proof?.isRequired !== true };
  const json = data.subarray(proofBytes);
  const notice = readDeathNotice(json);
  if (notice === null || proof === undefined) return { notice, isProven: true };
  const isProven = proof.keys.proves(data.subarray(0, proofBytes), [contextOf(service, notice.server, to), json]);
  return { notice, isProven };
}

const contextOf = (service: string, from: string, to: string): Uint8Array =>
  Buffer.from(["twinlog death", service, from, to, ""].join("\0"));
