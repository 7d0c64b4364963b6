/**
 * A broker's address as a person writes it, with or without a scheme, and with what he logs in with (`user:password@`, or
 * `token@`). What always holds: what is logged in with is shown nowhere.
 */
const defaultPort = 4222;

export interface Credentials {
  readonly user?: string;
  readonly pass?: string;
  readonly token?: string;
}

/** For logs and errors, and for whoever dials. */
export function shownUrl(url: string): string {
  const { scheme, rest, login } = partsOf(url);
  return login === "" ? url : `${scheme}${rest}`;
}

/** What the address says to log in with; empty where it says nothing. */
export function credentialsIn(url: string): Credentials {
  const { login } = partsOf(url);
  if (login === "") return {};
  const colon = login.indexOf(":");
  if (colon < 0) return { token: plain(login) };
  return { user: plain(login.slice(0, colon)), pass: plain(login.slice(colon + 1)) };
}

/** True if the address itself asks for TLS. */
export function asksForTls(url: string): boolean {
  return /^tls:\/\//i.test(url);
}

/** Null: it is no address. A port that is not said is NATS's own. */
export function addressOf(url: string): { host: string; port: number } | null {
  try {
    const shown = shownUrl(url);
    const { hostname, port } = new URL(shown.includes("://") ? shown : `nats://${shown}`);
    if (hostname === "") return null;
    return { host: hostname.replace(/^\[|\]$/g, ""), port: port === "" ? defaultPort : Number(port) };
  } catch {
    return null;
  }
}

function partsOf(url: string): { scheme: string; login: string; rest: string } {
  const scheme = /^[a-z+.-]+:\/\//i.exec(url)?.[0] ?? "";
  const address = url.slice(scheme.length);
  const at = address.lastIndexOf("@");
  return { scheme, login: address.slice(0, Math.max(0, at)), rest: address.slice(at + 1) };
}

function plain(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
