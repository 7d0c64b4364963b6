/**
 * Where NATS is and how a command logs in there: the options that all commands have, and which of all that is said counts.
 *
 * What always holds:
 * 1. Each of where, log-in and TLS comes whole from the first that says it: the command line, the environment, the folder's file, the
 *    normal address. In each of the first two a single option goes before a context, and a context before a settings file.
 * 2. A context or settings file on the command line is all that is asked beside the options there.
 * 3. No secret is an option: others see a process's arguments. No error shows one.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { type Command, Option } from "commander";
import { addressOf, credentialsIn, shownUrl } from "../../actors/world/broker-url.ts";
import { type NatsAccess, openSecrets } from "../../actors/world/log-in-nats.ts";
import { whoElseReads } from "../../actors/world/secret-file.ts";
import { isLoopback } from "../../actors/world/tcp-security.ts";
import type { ServiceFile } from "../../schemas/service-file.ts";
import { type Settings, whyNoLogIn } from "../../schemas/settings.ts";
import { readContext } from "../nats/context.ts";
import { readSettings } from "../settings-file.ts";
import type { LocalUser } from "../up/users.ts";

/** Where brokers are, how to log in, and where answers come to. */
export interface Access {
  readonly nats: NatsAccess;
  /** The brokers, for people. */
  readonly shown: string;
  /** Without TLS, beyond this machine. */
  readonly allowPlaintext: boolean;
  /** undefined: where those of the command's own kind do. */
  readonly inboxPrefix: string | undefined;
  /** Of a settings file that was named. */
  readonly settings: Settings | undefined;
  /** A line for each secret that others can read. */
  readonly warnings: readonly string[];
}

export class AccessError extends Error {
  override readonly name = "AccessError";
}

export interface AccessFlags {
  nats?: string;
  creds?: string;
  nkey?: string;
  user?: string;
  passwordFile?: string;
  tokenFile?: string;
  tlsca?: string;
  tlscert?: string;
  tlskey?: string;
  allowPlaintext?: boolean;
  context?: string;
  config?: string;
}

interface AccessWorld {
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly serviceFile: ServiceFile | undefined;
}

const normalNats = "nats://127.0.0.1:4222";

/** As the environment has them. */
const variables: Readonly<Record<Exclude<keyof AccessFlags, "allowPlaintext">, string>> = {
  nats: "TWINLOG_NATS",
  creds: "TWINLOG_CREDS",
  nkey: "TWINLOG_NKEY",
  user: "TWINLOG_USER",
  passwordFile: "TWINLOG_PASSWORD_FILE",
  tokenFile: "TWINLOG_TOKEN_FILE",
  tlsca: "TWINLOG_TLSCA",
  tlscert: "TWINLOG_TLSCERT",
  tlskey: "TWINLOG_TLSKEY",
  context: "TWINLOG_CONTEXT",
  config: "TWINLOG_CONFIG",
};
const allowPlaintext = "TWINLOG_ALLOW_PLAINTEXT";

/** On every command alike; those that are seldom wanted stand in one line, and in OPERATING.md. */
const seldom: readonly (readonly [flags: string, says: string])[] = [
  ["--nkey <file>", "log in with the nkey seed in this file"],
  ["--user <name>", "log in as this user, with --password-file"],
  ["--password-file <file>", "a file with the user's password on its only line"],
  ["--token-file <file>", "log in with the token on this file's only line"],
  ["--tlsca <file>", "TLS: who is believed, PEM"],
  ["--tlscert <file>", "TLS: a certificate of one's own, PEM"],
  ["--tlskey <file>", "TLS: its key, PEM"],
  ["--allow-plaintext", "without TLS also beyond this machine"],
];

/** `hasConfig`: the command has a --config of its own. */
export function addAccessOptions(command: Command, { hasConfig = false } = {}): Command {
  command
    .option(
      "--nats <url>",
      `where nats-server listens; also from TWINLOG_NATS (default: the folder's, or ${normalNats})`,
    )
    .option("--context <name>", "log in as this context of the `nats` tool says, or its file")
    .option("--creds <file>", "log in with this .creds file");
  if (!hasConfig) command.option("--config <file>", "log in as the section `nats` of this settings file says");
  for (const [flags, says] of seldom) command.addOption(new Option(flags, says).hideHelp());
  const others = seldom.map(([flags]) => flags.split(" ", 1)[0]).join(", ");
  return command.addHelpText(
    "after",
    `\nLog-in, besides: ${others};\nand each as an environment variable (OPERATING.md).`,
  );
}

/** As a context says, and nothing else: to a broker that we started. */
export async function accessBy(context: string): Promise<Access> {
  return await accessOf({ environment: {}, serviceFile: undefined }, { context });
}

export interface AccessNeeds {
  /** Which of the users of a service on this machine the command is given by. */
  readonly user: LocalUser;
  /** Settings that were named for more than the log-in: what nobody says, they do. */
  readonly base?: Settings;
}

export async function accessOf(
  world: AccessWorld,
  flags: AccessFlags,
  { user, base }: Partial<AccessNeeds> = {},
): Promise<Access> {
  const { serviceFile, environment } = world;
  const told = await read(flags, environment, (flag) => `--${dashed(flag)}`);
  const isWhole = flags.context !== undefined || flags.config !== undefined;
  const around = isWhole ? nothing : await read(flagsIn(environment), environment, (flag) => variables[flag]);
  const last = base === undefined ? nothing : partsOf(base);
  // Settings that were named name the broker too: an address from the environment is of another one.
  const servers = told.servers ?? last.servers ?? around.servers ?? [serviceFile?.nats ?? normalNats];
  const here = user === undefined || serviceFile === undefined ? nothing : await ownParts(serviceFile, servers, user);
  const { logIn = {}, tls } = firstOf(told, around, here, last);
  // Where a log-in may listen goes with it.
  const from = [told, around, here].find((one) => one.logIn !== undefined || one.inboxPrefix !== undefined);
  const nats: NatsAccess = { servers: [...servers], ...logIn, ...(tls === undefined ? {} : { tls }) };
  const contexts = [told, around].flatMap(({ openContext }) => openContext ?? []);
  return {
    nats,
    shown: servers.map(shownUrl).join(", "),
    allowPlaintext: [told, around, last].some(({ allows = [] }) => allows.includes("all") || allows.includes(servers)),
    inboxPrefix: from?.inboxPrefix,
    settings: told.settings ?? around.settings,
    warnings: [...contexts, ...(await openSecrets(nats))],
  };
}

type LogIn = Omit<NatsAccess, "servers" | "tls">;

/** What one of both, command line or environment, says. */
interface Parts {
  readonly servers?: readonly string[] | undefined;
  readonly logIn?: LogIn | undefined;
  readonly tls?: NatsAccess["tls"] | undefined;
  readonly inboxPrefix?: string | undefined;
  /** Without TLS: whatever brokers, or those alone that the same settings name. */
  readonly allows?: readonly ("all" | readonly string[])[] | undefined;
  readonly settings?: Settings | undefined;
  /** A line of the context's file, where others can read a secret in it. */
  readonly openContext?: string | undefined;
}
const nothing: Parts = {};

async function read(
  flags: AccessFlags,
  environment: AccessWorld["environment"],
  nameOf: (flag: keyof typeof variables) => string,
): Promise<Parts> {
  const own = singleParts(flags, nameOf);
  const context = flags.context === undefined ? nothing : await contextParts(flags.context, environment);
  const settings = flags.config === undefined ? undefined : await readSettings(flags.config);
  const parts = firstOf(own, context, settings === undefined ? nothing : partsOf(settings));
  return { ...parts, settings, openContext: context.openContext };
}

/** Each part from the first that has it. */
function firstOf(...all: readonly Parts[]): Parts {
  const first = <Name extends keyof Parts>(name: Name): Parts[Name] =>
    all.map((one) => one[name]).find((part) => part !== undefined);
  return {
    servers: first("servers"),
    logIn: first("logIn"),
    tls: first("tls"),
    inboxPrefix: first("inboxPrefix"),
    allows: all.flatMap(({ allows = [] }) => allows),
  };
}

function singleParts(flags: AccessFlags, nameOf: (flag: keyof typeof variables) => string): Parts {
  const { nats, creds, nkey, user, passwordFile, tokenFile, tlsca, tlscert, tlskey } = flags;
  const logIn = given({ credsFile: creds, nkeyFile: nkey, user, passwordFile, tokenFile });
  const unclear = whyNoLogIn(logIn ?? {});
  if (unclear !== "") throw new AccessError(`${unclear} (${loginNames(flags).map(nameOf).join(", ")})`);
  if ((tlscert === undefined) !== (tlskey === undefined))
    throw new AccessError(`${nameOf("tlscert")} and ${nameOf("tlskey")} belong together`);
  const tls = given({ caFile: tlsca, certFile: tlscert, keyFile: tlskey });
  return {
    servers: nats?.split(",").map((url) => url.trim()),
    logIn,
    tls,
    allows: flags.allowPlaintext === true ? ["all"] : [],
  };
}

const loginNames = (flags: AccessFlags) =>
  (["creds", "nkey", "user", "passwordFile", "tokenFile"] as const).filter((name) => flags[name] !== undefined);

/** Of a service on this machine, towards its own broker alone. */
async function ownParts({ nats, access }: ServiceFile, servers: readonly string[], user: LocalUser): Promise<Parts> {
  const context = access === undefined ? "" : join(access, `${user}.json`);
  if (!existsSync(context) || !servers.every((server) => isSameHere(server, nats))) return nothing;
  const { nats: said, inboxPrefix } = await readContext(context, {});
  return { logIn: given({ nkeyFile: said.nkeyFile }), inboxPrefix };
}

/** Both are of this machine, and of one port; and the first says nothing of a log-in itself. */
function isSameHere(server: string, own: string): boolean {
  const [one, other] = [addressOf(server), addressOf(own)];
  if (one === null || other === null || Object.keys(credentialsIn(server)).length > 0) return false;
  return one.port === other.port && isLoopback(one.host) && isLoopback(other.host);
}

async function contextParts(name: string, environment: AccessWorld["environment"]): Promise<Parts> {
  const { path, nats, inboxPrefix, isSecret } = await readContext(name, environment);
  const { servers, tls, ...logIn } = nats;
  const open = isSecret ? await whoElseReads(path) : "";
  return { servers, logIn: given(logIn), tls, inboxPrefix, openContext: open === "" ? undefined : open };
}

function partsOf({ nats }: Settings): Parts {
  const { servers, tls, allowPlaintext: allows, ...logIn } = nats;
  return { servers, logIn: given(logIn), tls, allows: allows ? [servers] : [] };
}

/** Without what is not said; undefined where that is all. */
function given<Fields extends object>(fields: Fields): Fields | undefined {
  const said = Object.entries(fields).filter(([, value]) => value !== undefined);
  return said.length === 0 ? undefined : (Object.fromEntries(said) as Fields);
}

function flagsIn(environment: AccessWorld["environment"]): AccessFlags {
  const said = Object.entries(variables).flatMap(([flag, variable]) => {
    const value = environment[variable];
    return value === undefined || value === "" ? [] : [[flag, value] as const];
  });
  const allows = environment[allowPlaintext] ?? "";
  if (!["", "0", "1"].includes(allows)) throw new AccessError(`${allowPlaintext}: give 1, or nothing`);
  return { ...Object.fromEntries(said), ...(allows === "1" ? { allowPlaintext: true } : {}) };
}

function dashed(flag: string): string {
  return flag.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}
