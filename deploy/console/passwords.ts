/**
 * Who may act at the console: a file with a name and a scrypt hash of a password for each operator, made by `twinlog password` and
 * read anew whenever it is needed. What always holds: no password is in the file, nor ever written anywhere; a file into which
 * others may write is not believed; a name that is not there takes as long as one that is; what a hash costs is bounded, whatever
 * the file says.
 */
import { randomBytes, scrypt, timingSafeEqual } from "node:crypto";
import { existsSync } from "node:fs";
import { z } from "zod";
import { readSecret } from "../../actors/world/secret-file.ts";
import { OperatorName } from "../../schemas/status.ts";
import { parseJson } from "../json-text.ts";
import { writeOwn } from "../up/secrets.ts";

/** Why there is no file of passwords, or none with this in it; it shows nothing of the file. */
export class PasswordError extends Error {
  override readonly name = "PasswordError";
}

/** In the access folder of a service on this machine, where `up` has its console look. */
export const passwordsFileName = "console-passwords.json";

export const minPasswordLength = 12;
/** In UTF-16 units; longer ones cost time and nothing else. */
export const maxPasswordLength = 256;

const hashBytes = 32;
const saltBytes = 16;
/** As OWASP recommends for scrypt: 32 MiB, three times. */
const usualCost = { cost: 2 ** 15, blockSize: 8, parallelization: 3 };
/** What one check may take, whatever a file asks for. */
const maxMemoryBytes = 256 * 1024 * 1024;

const base64 = (bytes: number) =>
  z.string().refine((text) => Buffer.from(text, "base64").length === bytes, `must be ${bytes} bytes in base64`);

const PasswordHash = z.strictObject({
  cost: z
    .int()
    .min(2 ** 14)
    .max(2 ** 20)
    .refine((cost) => (cost & (cost - 1)) === 0, "must be a power of two"),
  blockSize: z.int().min(1).max(32),
  parallelization: z.int().min(1).max(16),
  salt: base64(saltBytes),
  hash: base64(hashBytes),
});
type PasswordHash = z.infer<typeof PasswordHash>;

const PasswordFile = z.strictObject({ operators: z.record(OperatorName, PasswordHash) });
export type Passwords = z.infer<typeof PasswordFile>["operators"];

/** By name; nobody where there is no file. Throws PasswordError, SecretFileError. */
export async function readPasswords(path: string): Promise<Passwords> {
  if (!existsSync(path)) return {};
  const text = await readSecret(path);
  let value: unknown;
  try {
    value = parseJson(Buffer.from(text));
  } catch {
    throw new PasswordError(`${path} is not JSON: \`twinlog password\` writes such files`);
  }
  const parsed = PasswordFile.safeParse(value);
  if (parsed.success) return parsed.data.operators;
  const [issue] = parsed.error.issues;
  throw new PasswordError(
    `${path} is no file of passwords (${issue?.path.join(".")}): \`twinlog password\` writes such files`,
  );
}

/** `password` null: this operator has none any more. Throws PasswordError, SecretFileError. */
export async function setPassword(path: string, name: string, password: string | null): Promise<void> {
  const { [name]: before, ...others } = await readPasswords(path);
  if (password === null && before === undefined) throw new PasswordError(`there is no ${name} in ${path}`);
  const operators = password === null ? others : { ...others, [name]: await hashOf(password) };
  writeOwn(path, `${JSON.stringify({ operators }, null, 2)}\n`);
}

/** Null where it may be one. */
export function whyNoPassword(password: string): string | null {
  if (password.length < minPasswordLength) return `a password has at least ${minPasswordLength} characters`;
  return password.length > maxPasswordLength ? `a password has at most ${maxPasswordLength} characters` : null;
}

async function hashOf(password: string): Promise<PasswordHash> {
  const salt = randomBytes(saltBytes);
  const hash = await derive(password, salt, usualCost);
  return { ...usualCost, salt: salt.toString("base64"), hash: hash.toString("base64") };
}

/** Nobody's: for names that are not there. */
const nobodys: PasswordHash = {
  ...usualCost,
  salt: randomBytes(saltBytes).toString("base64"),
  hash: randomBytes(hashBytes).toString("base64"),
};

/** It is this operator's password. `known`: undefined where there is no such operator. */
export async function isPassword(password: string, known: PasswordHash | undefined): Promise<boolean> {
  const { salt, hash, ...cost } = known ?? nobodys;
  const derived = await derive(password, Buffer.from(salt, "base64"), cost);
  return timingSafeEqual(derived, Buffer.from(hash, "base64")) && known !== undefined;
}

function derive(password: string, salt: Buffer, cost: typeof usualCost): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    scrypt(password.normalize("NFC"), salt, hashBytes, { ...cost, maxmem: maxMemoryBytes }, (error, key) => {
      if (error === null) resolve(key);
      else reject(new PasswordError(`the password cannot be checked: ${error.message}`));
    });
  });
}
