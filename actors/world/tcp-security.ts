/**
 * Who may talk on the main link, and with which brokers. What always holds: without TLS nothing leaves this machine unless the operator allowed
 * it; with TLS both sides show a certificate of the configured authority that names the server that it claims to be: its
 * host is not enough, since others may be there too.
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

export function firstBeyondLoopback<T extends Address>(addresses: readonly T[]): T | undefined {
  return addresses.find(({ host }) => !isLoopback(host));
}

/** Throws LinkError PLAINTEXT_REFUSED. */
export function refusePlaintextBeyondLoopback(addresses: readonly Address[]): void {
  const open = firstBeyondLoopback(addresses);
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
  return brokerBeyondLoopback(brokers.servers.filter((url) => !asksForTls(url)));
}

/** The first broker that is reached over a network, as it may be shown. */
export function brokerBeyondLoopback(urls: readonly string[]): string | null {
  const open = urls.find((url) => {
    const address = addressOf(url);
    return address !== null && !isLoopback(address.host.toLowerCase());
  });
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

/** True if the certificate (of which the chain was checked) names the server. */
export function certificateNames(certificate: PeerCertificate, server: string): boolean {
  return checkServerIdentity(server, certificate) === undefined;
}
