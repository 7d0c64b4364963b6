/**
 * Who may talk on the main link, and with which brokers. What always holds: without TLS nothing leaves this machine unless the operator allowed
 * it; with TLS both sides show a certificate of the configured authority that names the server, or its configured host,
 * that it claims to be.
 */
import { readFileSync } from "node:fs";
import { isIP } from "node:net";
import { checkServerIdentity, type PeerCertificate, type SecureContextOptions } from "node:tls";
import { addressOf, asksForTls, shownUrl } from "./broker-url.ts";
import { LinkError } from "./link-error.ts";

export interface TlsFiles {
  readonly certFile: string;
  readonly keyFile: string;
  readonly caFile: string;
}

export interface Address {
  readonly name: string;
  readonly host: string;
}

export function isLoopback(host: string): boolean {
  if (host === "localhost" || host === "::1") return true;
  return isIP(host) === 4 && host.startsWith("127.");
}

/** Throws LinkError PLAINTEXT_REFUSED. */
export function refusePlaintextBeyondLoopback(addresses: readonly Address[]): void {
  const open = addresses.find(({ host }) => !isLoopback(host));
  if (open === undefined) return;
  throw new LinkError(
    "PLAINTEXT_REFUSED",
    `the main link of ${open.name} would leave this machine (${open.host}) unencrypted: set mainLink.tls, or mainLink.allowPlaintext if the network is trusted`,
  );
}

/** The first broker that is reached over a network without TLS, as it may be shown. */
export function plaintextBrokerBeyondLoopback(brokers: {
  readonly servers: readonly string[];
  readonly tls?: unknown;
}): string | null {
  if (brokers.tls !== undefined) return null;
  const leaves = (url: string) => {
    const address = addressOf(url);
    return !asksForTls(url) && address !== null && !isLoopback(address.host.toLowerCase());
  };
  const open = brokers.servers.find(leaves);
  return open === undefined ? null : shownUrl(open);
}

/** Throws LinkError PLAINTEXT_REFUSED. `remedy`: how whoever asks sets it up. */
export function refusePlaintextBrokers(
  brokers: Parameters<typeof plaintextBrokerBeyondLoopback>[0],
  remedy = "set nats.tls, or nats.allowPlaintext",
): void {
  const open = plaintextBrokerBeyondLoopback(brokers);
  if (open === null) return;
  throw new LinkError(
    "PLAINTEXT_REFUSED",
    `what is said to NATS at ${open} would leave this machine unencrypted: name it with tls://, ${remedy} if the network is trusted`,
  );
}

/** Throws LinkError TLS_FILES. */
export function readTlsFiles(files: TlsFiles): SecureContextOptions {
  const read = (name: keyof TlsFiles): Buffer => {
    try {
      return readFileSync(files[name]);
    } catch (cause) {
      throw new LinkError("TLS_FILES", `mainLink.tls.${name}: cannot read ${files[name]}`, { cause });
    }
  };
  return { cert: read("certFile"), key: read("keyFile"), ca: read("caFile"), minVersion: "TLSv1.2" };
}

/** True if the certificate (of which the chain was checked) names the server or its host. */
export function certificateNames(certificate: PeerCertificate, peer: Address): boolean {
  return [peer.name, peer.host].some((name) => checkServerIdentity(name, certificate) === undefined);
}
