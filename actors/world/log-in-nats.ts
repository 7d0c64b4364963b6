/**
 * What a dial logs in with: what the broker's address says itself, else what the settings name. What always holds: files are
 * read anew for each dial, so that credentials are replaced without a restart; an error names the file and shows nothing of it.
 */
import { type ConnectionOptions, jwtAuthenticator, nkeyAuthenticator, nkeys } from "nats";
import type { Settings } from "../../schemas/settings.ts";
import { addressOf, asksForTls, credentialsIn } from "./broker-url.ts";
import { jwtIn, seedLineIn } from "./creds-text.ts";
import { readPlain, readSecret, readSecretLine, SecretFileError, whoElseReads } from "./secret-file.ts";

/** Where the brokers are, and how to log in. */
export type NatsAccess = Omit<Settings["nats"], "allowPlaintext">;

export type LogInOptions = Pick<ConnectionOptions, "user" | "pass" | "token" | "authenticator" | "tls">;

/** Throws an error that says "cannot log in", and why. */
export async function logInFor(server: string, nats: NatsAccess): Promise<LogInOptions> {
  const said = credentialsIn(server);
  try {
    return { ...(Object.keys(said).length > 0 ? said : await logInOf(nats)), ...(await tlsFor(server, nats)) };
  } catch (error) {
    if (error instanceof SecretFileError) throw new Error(`cannot log in: ${error.message}`, { cause: error });
    throw error;
  }
}

async function logInOf(nats: NatsAccess): Promise<LogInOptions> {
  const { user, password, passwordFile, token, tokenFile, credsFile, nkeyFile } = nats;
  if (credsFile !== undefined) return { authenticator: credsIn(await readSecret(credsFile), credsFile) };
  if (nkeyFile !== undefined) return { authenticator: nkeyAuthenticator(seedIn(await readSecret(nkeyFile), nkeyFile)) };
  if (tokenFile !== undefined) return { token: await readSecretLine(tokenFile) };
  if (token !== undefined) return { token };
  if (user === undefined) return {};
  return { user, pass: passwordFile === undefined ? (password ?? "") : await readSecretLine(passwordFile) };
}

/**
 * The library ignores an address's scheme, and speaks plaintext where the broker offers nothing else; and it holds the certificate
 * of a broker that is named by its IP address against "localhost", unless it is told the host.
 */
async function tlsFor(server: string, { tls }: NatsAccess): Promise<LogInOptions> {
  if (tls === undefined && !asksForTls(server)) return {};
  const { certFile, keyFile, caFile } = tls ?? {};
  const host = { host: addressOf(server)?.host };
  return {
    tls: {
      ...host,
      ...(certFile === undefined ? {} : { cert: await readPlain(certFile) }),
      ...(keyFile === undefined ? {} : { key: await readSecret(keyFile) }),
      ...(caFile === undefined ? {} : { ca: await readPlain(caFile) }),
    },
  };
}

/** Who a dial logs in as, as it may be shown: a user's name, a file's path; "" where nobody does. */
export function whoLogsIn({ servers, user, token, tokenFile, credsFile, nkeyFile, tls }: NatsAccess): string {
  const said = servers.map(credentialsIn).find((one) => Object.keys(one).length > 0) ?? {};
  const shown = said.user ?? (said.token === undefined ? user : undefined);
  if (shown !== undefined) return `of ${shown}`;
  if (said.token !== undefined || token !== undefined) return "with a token";
  const file = credsFile ?? nkeyFile ?? tokenFile ?? tls?.certFile;
  return file === undefined ? "" : `with ${file}`;
}

/** What others can read of what is logged in with, a line for each file. */
export async function openSecrets(nats: NatsAccess): Promise<string[]> {
  const { passwordFile, tokenFile, credsFile, nkeyFile, tls } = nats;
  const files = [passwordFile, tokenFile, credsFile, nkeyFile, tls?.keyFile].filter((file) => file !== undefined);
  return (await Promise.all(files.map(whoElseReads))).filter((line) => line !== "");
}

/** A new user's seed, as its file holds it. */
export const makeNkey = (): string => new TextDecoder().decode(nkeys.createUser().getSeed());

/** The public key that a broker knows the user of this seed by. */
export const userOfNkey = (seed: string): string =>
  nkeys.fromSeed(new TextEncoder().encode(seed.trim())).getPublicKey();

function credsIn(text: string, file: string) {
  const jwt = jwtIn(text);
  if (jwt === undefined) throw new SecretFileError(`${file} holds no user's JWT, which a .creds file begins with`);
  return jwtAuthenticator(jwt, seedIn(text, file));
}

function seedIn(text: string, file: string): Uint8Array {
  const seed = seedLineIn(text);
  if (seed === undefined) throw new SecretFileError(`${file} holds no user's nkey seed (a line that begins with SU)`);
  const bytes = new TextEncoder().encode(seed);
  try {
    nkeys.fromSeed(bytes);
  } catch {
    throw new SecretFileError(`${file} holds an nkey seed that is damaged`);
  }
  return bytes;
}
