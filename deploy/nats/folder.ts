/**
 * What is in nats-server's folder besides its data: the configuration that we write, and the file in which it says its port.
 *
 * The two together tell whether a server lives in a folder: one answers on the written port under the configured name.
 */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { isAtLeast } from "./binary.ts";
import { probeNats } from "./probe.ts";

export type NatsConfig = {
  /** The folder for its data, configuration and log; made if it is not there. */
  storeDir: string;
  port: number;
  maxPayloadBytes?: number;
  /** Where it listens for WebSockets, on loopback and in plain text; it does not where none is given. */
  websocketPort?: number;
  /** Further lines of nats-server's configuration. */
  extraConfig?: string;
};

export const configName = "nats.conf";
const defaultMaxPayloadBytes = 1024 * 1024;
/**
 * Who does not read what he asked for is cut off after so long. nats-server's own is 10 s, and while it waits to write to one
 * client it reads nothing from the server whose messages those are: everybody waits.
 */
const writeDeadline = "500ms";
const probeTimeoutMs = 1_000;

/** Makes the folder ready for a start: its configuration is there and no port of an earlier run. Returns the configuration's path. */
export function writeConfig(config: NatsConfig, serverName: string, version: string): string {
  mkdirSync(config.storeDir, { recursive: true });
  for (const name of portsFiles(config.storeDir)) {
    rmSync(join(config.storeDir, name));
  }
  const path = join(config.storeDir, configName);
  writeFileSync(path, natsConfig(config, serverName, version));
  return path;
}

/** The configuration of a server for one machine. Before 2.10 it cannot be told to sync every write. */
export function natsConfig(options: NatsConfig, serverName: string, version: string): string {
  const syncs = isAtLeast(version, 2, 10);
  return [
    "# Written by twinlog each time it starts nats-server: a change made here does not last.",
    `server_name: ${JSON.stringify(serverName)}`,
    `listen: "127.0.0.1:${options.port}"`,
    `ports_file_dir: ${JSON.stringify(options.storeDir)}`,
    `max_payload: ${options.maxPayloadBytes ?? defaultMaxPayloadBytes}`,
    `write_deadline: "${writeDeadline}"`,
    `jetstream: { store_dir: ${JSON.stringify(options.storeDir)}${syncs ? ", sync_interval: always" : ""} }`,
    ...(options.websocketPort === undefined ? [] : [websocketConfig(options.websocketPort)]),
    ...(options.extraConfig === undefined ? [] : [options.extraConfig]),
    "",
  ].join("\n");
}

/** A page of any origin may dial: who gets in, and what he may do, is for the log-in alone. */
function websocketConfig(port: number): string {
  return `websocket: { host: "127.0.0.1", port: ${port}, no_tls: true, same_origin: false }`;
}

/** It writes the port that it has to a file named for its process. */
function portFromFile(storeDir: string, pid: number | undefined): number | undefined {
  try {
    const { nats } = JSON.parse(readFileSync(join(storeDir, `nats-server_${pid}.ports`), "utf8"));
    return Number(new URL(nats[0]).port);
  } catch {
    return undefined;
  }
}

/** The port of the nats-server that lives in this folder now, if one does. */
export async function portOfServerIn(storeDir: string): Promise<number | undefined> {
  const serverName = configuredName(storeDir);
  for (const name of serverName === undefined ? [] : portsFiles(storeDir)) {
    const port = portFromFile(storeDir, Number(/_(\d+)\.ports$/.exec(name)?.[1]));
    const probe = port === undefined ? undefined : await probeNats(port, serverName ?? "", probeTimeoutMs);
    if (probe?.state === "ready" || probe?.state === "starting") {
      return port;
    }
  }
  return undefined;
}

function configuredName(storeDir: string): string | undefined {
  try {
    return /^server_name: "(.*)"$/m.exec(readFileSync(join(storeDir, configName), "utf8"))?.[1];
  } catch {
    return undefined;
  }
}

function portsFiles(storeDir: string): string[] {
  try {
    return readdirSync(storeDir).filter((name) => name.endsWith(".ports"));
  } catch {
    return [];
  }
}
