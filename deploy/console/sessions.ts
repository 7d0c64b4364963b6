/**
 * Who is logged in at the console, and whose log-ins have to wait. What always holds: a session is proved by two secrets, a cookie
 * that no script can read and a token that the browser sends to no other port of this host, and acting takes both; of neither
 * more than a hash is kept; sessions end by themselves, and are bounded; whoever gives wrong passwords waits longer each time.
 */
import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import type { Clock } from "../../actors/world/ports.ts";

export interface SessionLimits {
  /** From the log-in on, whatever is done. */
  readonly sessionMs: number;
  /** The oldest gives way to the next. */
  readonly maxSessions: number;
  /** After the first wrong password of an address; twice as long after each further one. */
  readonly firstWaitMs: number;
  readonly longestWaitMs: number;
  /** Without a wrong one for so long, an address begins anew. */
  readonly forgiveMs: number;
  /** Addresses of which something is remembered. */
  readonly maxAddresses: number;
}

export const sessionLimits: SessionLimits = {
  sessionMs: 8 * 3_600_000,
  maxSessions: 64,
  firstWaitMs: 1_000,
  longestWaitMs: 60_000,
  forgiveMs: 15 * 60_000,
  maxAddresses: 1_024,
};

export interface Session {
  readonly name: string;
  /** What the file of passwords said of this operator. */
  readonly proof: string;
  /** Monotonic, and as a wall clock shows it. */
  readonly endsMs: number;
  readonly endsAtMs: number;
  readonly tokenHash: Buffer;
}

export interface Secrets {
  readonly cookie: string;
  readonly token: string;
}

const secretBytes = 32;

export class Sessions {
  readonly #clock: Clock;
  readonly #limits: SessionLimits;
  /** By the cookie's hash; the oldest first. */
  readonly #sessions = new Map<string, Session>();

  constructor(clock: Clock, limits: SessionLimits) {
    this.#clock = clock;
    this.#limits = limits;
  }

  begin(name: string, proof: string): Secrets & { readonly session: Session } {
    const { sessionMs, maxSessions } = this.#limits;
    const [cookie, token] = [newSecret(), newSecret()];
    const session: Session = {
      name,
      proof,
      endsMs: this.#clock.nowMs() + sessionMs,
      endsAtMs: this.#clock.wallMs() + sessionMs,
      tokenHash: hashed(token),
    };
    for (const [key, { endsMs }] of this.#sessions) if (endsMs <= this.#clock.nowMs()) this.#sessions.delete(key);
    this.#sessions.set(keyOf(cookie), session);
    const [oldest] = this.#sessions.keys();
    if (this.#sessions.size > maxSessions && oldest !== undefined) this.#sessions.delete(oldest);
    return { cookie, token, session };
  }

  /** undefined: there is none, or it is over. */
  of(cookie: string | undefined): Session | undefined {
    const session = cookie === undefined ? undefined : this.#sessions.get(keyOf(cookie));
    return session !== undefined && this.isOpen(session) ? session : undefined;
  }

  isOpen(session: Session): boolean {
    return session.endsMs > this.#clock.nowMs() && [...this.#sessions.values()].includes(session);
  }

  end(ended: Session): void {
    for (const [key, session] of this.#sessions) if (session === ended) this.#sessions.delete(key);
  }
}

/** The token belongs to this session. */
export function hasToken({ tokenHash }: Session, token: string | undefined): boolean {
  return token !== undefined && timingSafeEqual(tokenHash, hashed(token));
}

/** Log-ins by address: how long each has to wait. */
export class Attempts {
  readonly #clock: Clock;
  readonly #limits: SessionLimits;
  readonly #failed = new Map<string, { readonly count: number; readonly untilMs: number }>();

  constructor(clock: Clock, limits: SessionLimits) {
    this.#clock = clock;
    this.#limits = limits;
  }

  /** 0: it may try now. */
  waitMs(address: string): number {
    const { untilMs = 0 } = this.#failed.get(place(address)) ?? {};
    return Math.max(0, untilMs - this.#clock.nowMs());
  }

  onFailed(address: string): void {
    const { firstWaitMs, longestWaitMs, forgiveMs, maxAddresses } = this.#limits;
    const [key, nowMs] = [place(address), this.#clock.nowMs()];
    const before = this.#failed.get(key);
    const count = before === undefined || nowMs - before.untilMs > forgiveMs ? 1 : before.count + 1;
    this.#failed.delete(key);
    this.#failed.set(key, { count, untilMs: nowMs + Math.min(longestWaitMs, firstWaitMs * 2 ** (count - 1)) });
    const [oldest] = this.#failed.keys();
    if (this.#failed.size > maxAddresses && oldest !== undefined) this.#failed.delete(oldest);
  }

  onDone(address: string): void {
    this.#failed.delete(place(address));
  }
}

/** Whoever has an IPv6 address has all of its network: the first 64 bits. */
function place(address: string): string {
  if (!address.includes(":") || address.includes(".")) return address;
  const [head = "", tail] = address.split("::");
  const [first, last] = [head, tail ?? ""].map((part) => part.split(":").filter((group) => group !== ""));
  const zeros = Array.from({ length: Math.max(0, 8 - (first?.length ?? 0) - (last?.length ?? 0)) }, () => "0");
  return [...(first ?? []), ...(tail === undefined ? [] : zeros), ...(last ?? [])].slice(0, 4).join(":");
}

const newSecret = (): string => randomBytes(secretBytes).toString("base64url");
const hashed = (secret: string): Buffer => createHash("sha256").update(secret).digest();
const keyOf = (cookie: string): string => hashed(cookie).toString("base64");
