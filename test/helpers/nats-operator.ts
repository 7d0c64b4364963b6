/**
 * A nats-server's operator mode in a few lines: an operator, an account with JetStream, and users whose JWTs are signed here, as
 * `nsc` makes them. A user is made with the time at which his JWT ends.
 */
import { createHash } from "node:crypto";
import { nkeys } from "nats";

type KeyPair = ReturnType<typeof nkeys.createUser>;

const base64url = (data: string | Uint8Array) => Buffer.from(data).toString("base64url");
const withoutLimits = { subs: -1, conn: -1, leaf: -1, imports: -1, exports: -1, data: -1, payload: -1 };
const storage = { mem_storage: -1, disk_storage: -1, streams: -1, consumer: -1 };

function sign(by: KeyPair, subject: KeyPair, name: string, nats: object, endsAtS?: number): string {
  const claims = {
    iat: Math.floor(Date.now() / 1_000),
    iss: by.getPublicKey(),
    name,
    sub: subject.getPublicKey(),
    ...(endsAtS === undefined ? {} : { exp: endsAtS }),
    nats: { ...nats, version: 2 },
  };
  const jti = createHash("sha256").update(JSON.stringify(claims)).digest("hex");
  const body = [
    { typ: "JWT", alg: "ed25519-nkey" },
    { jti, ...claims },
  ].map((part) => base64url(JSON.stringify(part)));
  return `${body.join(".")}.${base64url(by.sign(Buffer.from(body.join("."))))}`;
}

export class TestOperator {
  readonly #operator = nkeys.createOperator();
  readonly #account = nkeys.createAccount();
  readonly #system = nkeys.createAccount();

  /** For nats-server's configuration. */
  config(): string {
    const limits = { ...withoutLimits, wildcards: true };
    const account = { type: "account", limits: { ...limits, ...storage } };
    const operator = sign(this.#operator, this.#operator, "test", { type: "operator" });
    const preload = [
      `${this.#account.getPublicKey()}: ${sign(this.#operator, this.#account, "test", account)}`,
      `${this.#system.getPublicKey()}: ${sign(this.#operator, this.#system, "SYS", { type: "account", limits })}`,
    ];
    return [
      `operator: ${operator}`,
      `system_account: ${this.#system.getPublicKey()}`,
      "resolver: MEMORY",
      `resolver_preload: { ${preload.join(", ")} }`,
    ].join("\n");
  }

  /** What a `.creds` file says of a new user. */
  creds(name: string, endsInS?: number): string {
    const pair = nkeys.createUser();
    const ends = endsInS === undefined ? undefined : Math.floor(Date.now() / 1_000) + endsInS;
    const jwt = sign(this.#account, pair, name, { type: "user", subs: -1, data: -1, payload: -1 }, ends);
    const seed = Buffer.from(pair.getSeed()).toString();
    const block = (what: string, text: string) => `-----BEGIN ${what}-----\n${text}\n------END ${what}------\n`;
    return `${block("NATS USER JWT", jwt)}\n************ IMPORTANT ************\n${block("USER NKEY SEED", seed)}`;
  }
}
