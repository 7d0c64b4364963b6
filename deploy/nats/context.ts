/**
 * A context of the `nats` tool: where a broker is and how to log in, in a file of its own, by its name or by its path. What always
 * holds: nothing is read that others may write; what would be needed to reach the broker and is not understood here is an error,
 * never passed over.
 */
import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { z } from "zod";
import type { NatsAccess } from "../../actors/world/log-in-nats.ts";
import { readPlain, readSecret } from "../../actors/world/secret-file.ts";
import { whyNoLogIn } from "../../schemas/settings.ts";
import { parseJson } from "../json-text.ts";

/** Why a context cannot be used; names the file, and shows nothing of it. */
export class ContextError extends Error {
  override readonly name = "ContextError";
}

export interface NatsContext {
  readonly path: string;
  readonly nats: NatsAccess;
  readonly inboxPrefix: string | undefined;
  /** It holds a secret itself, and does not only name a file. */
  readonly isSecret: boolean;
}

/** Stands for the one that `nats context select` has chosen. */
export const selectedContext = "-";

const text = z.string().optional();
/** As the tool writes it: what is not set is "". */
const ContextFile = z.looseObject({
  url: text,
  user: text,
  password: text,
  token: text,
  creds: text,
  nkey: text,
  cert: text,
  key: text,
  ca: text,
  inbox_prefix: text,
});
type ContextFile = z.infer<typeof ContextFile>;

/** Other fields say how things are shown, or are of features that no command uses. These change who logs in, or where. */
const notUnderstood = [
  "nsc",
  "user_jwt",
  "user_seed",
  "socks_proxy",
  "tls_first",
  "jetstream_domain",
  "jetstream_api_prefix",
];
const normalUrl = "nats://127.0.0.1:4222";

/** Where the tool keeps its files. */
function toolFolder({ XDG_CONFIG_HOME }: Readonly<Record<string, string | undefined>>): string {
  const parent = XDG_CONFIG_HOME === undefined || XDG_CONFIG_HOME === "" ? join(homedir(), ".config") : XDG_CONFIG_HOME;
  return join(parent, "nats");
}

/** Throws ContextError, and SecretFileError where the file cannot be read. */
export async function readContext(
  name: string,
  environment: Readonly<Record<string, string | undefined>>,
): Promise<NatsContext> {
  const path = await pathOf(name, environment);
  const fields = read(await readSecret(path), path);
  const unknown = notUnderstood.find((field) => ![undefined, "", false].includes(fields[field] as string | undefined));
  if (unknown !== undefined)
    throw new ContextError(`the context ${path} says ${unknown}, which is not understood here`);
  const { url = "", inbox_prefix: prefix } = fields;
  const servers = (url === "" ? normalUrl : url).split(",").map((one) => one.trim());
  const { user, password, token, creds: credsFile, nkey: nkeyFile, cert: certFile, key: keyFile, ca: caFile } = fields;
  const logIn = saying({ user, password, token, credsFile: file(credsFile), nkeyFile: file(nkeyFile) });
  const tls = saying({ certFile: file(certFile), keyFile: file(keyFile), caFile: file(caFile) });
  const unclear = whyNoLogIn(logIn);
  if (unclear !== "") throw new ContextError(`the context ${path}: ${unclear}`);
  if ((tls.certFile === undefined) !== (tls.keyFile === undefined))
    throw new ContextError(`the context ${path}: cert and key belong together`);
  return {
    path,
    nats: { servers, ...logIn, ...(Object.keys(tls).length === 0 ? {} : { tls }) },
    inboxPrefix: prefix === "" ? undefined : prefix,
    isSecret: logIn.password !== undefined || logIn.token !== undefined || /:\/\/[^/]*@/.test(url),
  };
}

async function pathOf(name: string, environment: Readonly<Record<string, string | undefined>>): Promise<string> {
  const folder = toolFolder(environment);
  if (name !== selectedContext && name.endsWith(".json") && existsSync(name)) return resolve(name);
  const chosen = name === selectedContext ? await selectedIn(folder) : name;
  if (chosen === "" || chosen.includes("..") || chosen.includes("/") || chosen.includes("\\"))
    throw new ContextError(
      `there is no context ${JSON.stringify(chosen)}: give its name, or the path of its file (….json)`,
    );
  const path = join(folder, "context", `${chosen}.json`);
  if (!existsSync(path))
    throw new ContextError(`there is no context ${chosen} (${path}): \`nats context ls\` shows which there are`);
  return path;
}

async function selectedIn(folder: string): Promise<string> {
  const path = join(folder, "context.txt");
  const name = existsSync(path) ? (await readPlain(path)).trim() : "";
  if (name === "") throw new ContextError("no context is selected: `nats context select` does, or give its name");
  return name;
}

function read(json: string, path: string): ContextFile {
  let value: unknown;
  try {
    value = parseJson(Buffer.from(json));
  } catch {
    throw new ContextError(`the context ${path} is not JSON`);
  }
  const fields = ContextFile.safeParse(value).data;
  if (fields === undefined) throw new ContextError(`the context ${path} is none: its fields are texts, such as "url"`);
  return fields;
}

/** As the tool has it: `~/` is the user's home, and else it is from where the command is given. */
function file(path: string | undefined): string | undefined {
  if (path === undefined || path === "") return undefined;
  return path.startsWith("~/") ? join(homedir(), path.slice(2)) : resolve(path);
}

/** Without what is not said. */
function saying<Fields extends Readonly<Record<string, string | undefined>>>(fields: Fields): Partial<Fields> {
  const said = Object.entries(fields).filter(([, value]) => value !== undefined && value !== "");
  return Object.fromEntries(said) as Partial<Fields>;
}
