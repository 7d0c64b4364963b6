/**
 * Where operators log in at the console, and act. What always holds: nothing is done without a session whose cookie and token are
 * both shown, of an operator whom the file of passwords still has as he was; log-ins are checked one at a time, and slowed down where
 * they fail; who logged in, who could not and who did what is told, and no password, nor a name that is not there, ever is.
 */
import { z } from "zod";
import type { Clock } from "../../actors/world/ports.ts";
import { maxWallMs } from "../../schemas/ranges.ts";
import { OperatorName } from "../../schemas/status.ts";
import type { Actions } from "./actions.ts";
import { isPassword, maxPasswordLength, type Passwords, readPasswords } from "./passwords.ts";
import { Attempts, hasToken, type Secrets, type Session, type SessionLimits, Sessions } from "./sessions.ts";

export interface DeskOptions {
  readonly clock: Clock;
  readonly actions: Actions;
  /** Made by `twinlog password`. */
  readonly passwordsFile: string;
  readonly limits: SessionLimits;
  /** A line for whoever runs the console. */
  log(line: string): void;
}

/** What a request shows. */
export interface Asking {
  readonly address: string;
  readonly cookie: string | undefined;
  readonly token: string | undefined;
  readonly body: unknown;
}

export interface Told {
  readonly status: number;
  readonly body: SessionTold | { readonly why: string };
  /** A session's, to be kept by the browser; null: it is to be forgotten. */
  readonly cookie?: string | null;
  readonly retryAfterS?: number;
}

/** `name`: who is logged in; null: nobody. `token`: once, with the log-in. */
interface SessionTold {
  readonly name: string | null;
  readonly endsAtMs: number | null;
  readonly token?: string;
}

/** Paths of a POST. */
export const deskPaths = ["/log-in", "/log-out", "/act"] as const;
export type DeskPath = (typeof deskPaths)[number];

const LogIn = z.strictObject({ name: z.string().max(256), password: z.string().max(maxPasswordLength) });
const Act = z.strictObject({
  verb: z.enum(["switch", "pause", "resume", "pause-failover", "resume-failover", "flush"]),
  forMs: z.int().positive().max(maxWallMs).optional(),
});

export class Desk {
  readonly #options: DeskOptions;
  readonly #sessions: Sessions;
  readonly #attempts: Attempts;
  #isChecking = false;

  constructor(options: DeskOptions) {
    this.#options = options;
    this.#sessions = new Sessions(options.clock, options.limits);
    this.#attempts = new Attempts(options.clock, options.limits);
  }

  get sessionS(): number {
    return Math.floor(this.#options.limits.sessionMs / 1_000);
  }

  /** Whose cookie this is. */
  sessionOf(cookie: string | undefined): Session | undefined {
    return this.#sessions.of(cookie);
  }
  isOpen(session: Session): boolean {
    return this.#sessions.isOpen(session);
  }

  /** Who may act with what is shown. */
  who({ cookie, token }: Pick<Asking, "cookie" | "token">): SessionTold {
    const session = this.#sessions.of(cookie);
    return session !== undefined && hasToken(session, token) ? told(session) : nobody;
  }

  async answer(path: DeskPath, asking: Asking): Promise<Told> {
    switch (path) {
      case "/log-in":
        return await this.#logIn(asking);
      case "/log-out":
        return this.#logOut(asking);
      case "/act":
        return await this.#act(asking);
    }
  }

  async #logIn({ address, body }: Asking): Promise<Told> {
    const { log } = this.#options;
    const given = LogIn.safeParse(body).data;
    if (given === undefined) return refused(400, "give a name and a password");
    const waitS = Math.ceil(this.#attempts.waitMs(address) / 1_000);
    if (waitS > 0) return { ...refused(429, `wait ${waitS} s, and try again`), retryAfterS: waitS };
    if (this.#isChecking) return { ...refused(429, "another log-in is being checked: try again"), retryAfterS: 1 };
    this.#isChecking = true;
    try {
      const passwords = await this.#passwords();
      if (passwords === null) return refused(503, "the file of passwords cannot be read: the console's log says why");
      const known = OperatorName.safeParse(given.name).success ? ofName(passwords, given.name) : undefined;
      if (await isPassword(given.password, known)) {
        this.#attempts.onDone(address);
        log(`${given.name} logged in, from ${address}`);
        return begun(this.#sessions.begin(given.name, known?.hash ?? ""));
      }
      this.#attempts.onFailed(address);
      const whose = known === undefined ? "a name that nobody has" : given.name;
      log(`a log-in of ${whose} failed, from ${address}`);
      return refused(403, "the name or the password is wrong");
    } finally {
      this.#isChecking = false;
    }
  }

  #logOut(asking: Asking): Told {
    const session = this.#shown(asking);
    if (session !== undefined) {
      this.#sessions.end(session);
      this.#options.log(`${session.name} logged out, from ${asking.address}`);
    }
    return { status: 200, body: nobody, cookie: null };
  }

  async #act(asking: Asking): Promise<Told> {
    const { actions, log } = this.#options;
    const session = this.#shown(asking);
    if (session === undefined) return { ...refused(401, "log in first"), cookie: null };
    const action = Act.safeParse(asking.body).data;
    if (action === undefined) return refused(400, "there is no such action");
    const passwords = await this.#passwords();
    if (passwords === null) return refused(503, "the file of passwords cannot be read: the console's log says why");
    if (ofName(passwords, session.name)?.hash !== session.proof) {
      this.#sessions.end(session);
      return { ...refused(401, "this log-in is not good any more: log in again"), cookie: null };
    }
    const lasting = action.forMs === undefined ? "" : ` for ${action.forMs / 1_000} s`;
    const why = actions.begin(action, session.name);
    log(`${session.name}: ${action.verb}${lasting}${why === null ? "" : `, refused: ${why}`}, from ${asking.address}`);
    return why === null ? { status: 202, body: told(session) } : refused(409, why);
  }

  #shown({ cookie, token }: Asking): Session | undefined {
    const session = this.#sessions.of(cookie);
    return session !== undefined && hasToken(session, token) ? session : undefined;
  }

  async #passwords(): Promise<Passwords | null> {
    try {
      return await readPasswords(this.#options.passwordsFile);
    } catch (error) {
      this.#options.log((error as Error).message);
      return null;
    }
  }
}

const nobody: SessionTold = { name: null, endsAtMs: null };
const told = ({ name, endsAtMs }: Session): SessionTold => ({ name, endsAtMs });
const refused = (status: number, why: string): Told => ({ status, body: { why } });
const ofName = (passwords: Passwords, name: string) => (Object.hasOwn(passwords, name) ? passwords[name] : undefined);

function begun({ session, cookie, token }: Secrets & { readonly session: Session }): Told {
  return { status: 200, body: { ...told(session), token }, cookie };
}
