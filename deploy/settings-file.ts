/**
 * A server's settings from a JSON file, checked as a set; what is wrong is said in one line. What always holds: paths in the
 * settings are relative to their file, never to where the program was started.
 */
import { readFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import type { NatsAccess } from "../actors/world/log-in-nats.ts";
import { Settings } from "../schemas/settings.ts";
import { parseJson } from "./json-text.ts";

export class SettingsError extends Error {
  override readonly name = "SettingsError";
}

export async function readSettings(path: string): Promise<Settings> {
  let bytes: Uint8Array;
  try {
    bytes = await readFile(path);
  } catch (error) {
    throw new SettingsError(`cannot read ${path}: ${(error as Error).message}`);
  }
  let json: unknown;
  try {
    json = parseJson(bytes);
  } catch (error) {
    throw new SettingsError(`${path} is not JSON: ${(error as Error).message}`);
  }
  const checked = Settings.safeParse(json);
  if (checked.success) return withPathsFrom(dirname(path), checked.data);
  const issues = checked.error.issues
    .slice(0, 3)
    .map(({ path: at, message }) => `${at.join(".") || "settings"}: ${message}`);
  throw new SettingsError(`${path}: ${issues.join("; ")}`);
}

/** `application` is resolved where it is looked up: it may be a name. */
function withPathsFrom(folder: string, settings: Settings): Settings {
  const { dataDirectory, nats, mainLink, peers } = settings;
  return {
    ...settings,
    dataDirectory: resolve(folder, dataDirectory),
    nats: natsFrom(folder, nats),
    peers: { ...peers, ...pathsFrom(folder, { keyFile: peers.keyFile }) },
    mainLink: { ...mainLink, ...(mainLink.tls === undefined ? {} : { tls: pathsFrom(folder, mainLink.tls) }) },
  };
}

/** The files of the section `nats`, relative to a folder. */
export function natsFrom<Nats extends NatsAccess>(folder: string, nats: Nats): Nats {
  const { credsFile, nkeyFile, passwordFile, tokenFile, tls } = nats;
  return {
    ...nats,
    ...pathsFrom(folder, { credsFile, nkeyFile, passwordFile, tokenFile }),
    ...(tls === undefined ? {} : { tls: pathsFrom(folder, tls) }),
  };
}

/** What is not said stays unsaid. */
function pathsFrom<Files extends { readonly [name: string]: string | undefined }>(folder: string, files: Files): Files {
  const said = Object.entries(files).filter((entry): entry is [string, string] => entry[1] !== undefined);
  return Object.fromEntries(said.map(([name, path]) => [name, resolve(folder, path)])) as Files;
}
