/**
 * Finds nats-server on this machine or brings it: the one place that knows the order of the ways.
 *
 * 1. the path in TWINLOG_NATS_SERVER (if it is set and wrong, that is an error and nothing else is tried)
 * 2. the PATH, and the folders where packages put servers
 * 3. `.twinlog/bin/`, where an earlier run has left it
 * 4. the official release, checked against its published checksum
 * 5. Debian's package
 * What always holds: nothing is run or brought where another user could change it; whatever is returned has been run and has named its version; no way hangs, since each of its steps has a named
 * time; a program is put into `.twinlog/bin/` by one rename, so that two runs at once do not harm each other.
 */
import { existsSync } from "node:fs";
import { copyFile, mkdir, mkdtemp, rename, rm } from "node:fs/promises";
import { basename, delimiter, join } from "node:path";
import { inspectBinary, type NatsBinary, whyUnsafe } from "./nats/binary.ts";
import { bringDebianPackage, type DebianOptions } from "./nats/debian.ts";
import { bringRelease, type ReleaseOptions, releaseBaseUrl } from "./nats/release.ts";

export type NatsBringOptions = {
  /** The folder for what belongs to this machine alone; by default the clone's `.twinlog`. */
  dataFolder: string;
  /** Where settings and PATH are read from; by default the process's own. */
  environment?: NodeJS.ProcessEnv;
  /** Folders to look in after the PATH; by default those where packages put servers. */
  packageFolders?: string[];
  /** Is told what is being tried, once it takes longer than looking. */
  tell?: (sentence: string) => void;
  releaseLimits?: ReleaseOptions["limits"];
  debianLimits?: DebianOptions["limits"];
};

/** No way led to a nats-server: the message is the instruction for whoever runs us, `tried` the reasons, one for each way. */
export class NatsServerMissing extends Error {
  override readonly name = "NatsServerMissing";
  readonly code = "NATS_SERVER_MISSING";
  readonly tried: string[];

  constructor(instruction: string, tried: string[]) {
    super([instruction, ...tried.map((reason) => `  - ${reason}`)].join("\n"));
    this.tried = tried;
  }
}

const instruction =
  "nats-server could not be found or brought: install version 2.9 or newer (https://nats.io/download) " +
  "and put it on the PATH, or name its path in TWINLOG_NATS_SERVER. What was tried:";

export async function bringNatsServer(options: NatsBringOptions): Promise<NatsBinary> {
  const environment = options.environment ?? process.env;
  const explicit = environment.TWINLOG_NATS_SERVER;
  if (explicit !== undefined && explicit !== "") {
    const binary = await inspectBinary(explicit);
    if (typeof binary === "string") {
      throw new NatsServerMissing("TWINLOG_NATS_SERVER must be the path of nats-server 2.9 or newer:", [binary]);
    }
    return binary;
  }
  const onPath = (environment.PATH ?? "").split(delimiter).filter((folder) => folder !== "");
  const folders = [...onPath, ...(options.packageFolders ?? packageFolders), join(options.dataFolder, "bin")];
  const tried: string[] = [];
  return (await findInFolders(folders, tried)) ?? (await bring(options, environment, tried));
}

async function findInFolders(folders: string[], tried: string[]): Promise<NatsBinary | undefined> {
  const present = [...new Set(folders)].map((folder) => join(folder, programName)).filter((path) => existsSync(path));
  for (const path of present) {
    const binary = await inspectBinary(path);
    if (typeof binary !== "string") {
      return binary;
    }
    tried.push(binary);
  }
  if (present.length === 0) {
    tried.push(`it is neither on the PATH nor in ${folders.at(-1)}`);
  }
  return undefined;
}

async function bring(
  { dataFolder, tell = () => {}, ...limits }: NatsBringOptions,
  environment: NodeJS.ProcessEnv,
  tried: string[],
): Promise<NatsBinary> {
  for (const folder of [dataFolder, join(dataFolder, "bin")]) {
    const unsafe = await whyUnsafe(folder);
    if (unsafe !== "") {
      throw new NatsServerMissing(instruction, [...tried, `nothing is brought to ${dataFolder}: ${unsafe}`]);
    }
  }
  await mkdir(dataFolder, { recursive: true, mode: 0o700 });
  const workFolder = await mkdtemp(join(dataFolder, "bring-"));
  const baseUrl = environment.TWINLOG_NATS_RELEASES ?? releaseBaseUrl;
  const ways = [
    async () => {
      tell("bringing nats-server from its official release …");
      const release = await bringRelease({
        baseUrl,
        workFolder: join(workFolder, "release"),
        ...(limits.releaseLimits === undefined ? {} : { limits: limits.releaseLimits }),
      });
      return typeof release === "string" ? `official release: ${release}` : inspectBinary(release.path);
    },
    async () => {
      tell("bringing nats-server from Debian's package …");
      const binary = await bringDebianPackage({
        workFolder: join(workFolder, "debian"),
        environment,
        ...(limits.debianLimits === undefined ? {} : { limits: limits.debianLimits }),
      });
      return typeof binary === "string" ? `Debian's package: ${binary}` : binary;
    },
  ];
  try {
    for (const way of ways) {
      const binary = await way();
      if (typeof binary !== "string") {
        return await keep(binary, dataFolder, workFolder);
      }
      tried.push(binary);
    }
  } finally {
    await rm(workFolder, { recursive: true, force: true });
  }
  throw new NatsServerMissing(instruction, tried);
}

/** Moves a program that was brought to where the next run finds it. */
async function keep(binary: NatsBinary, dataFolder: string, workFolder: string): Promise<NatsBinary> {
  const kept = join(dataFolder, "bin", basename(binary.path));
  const copy = join(workFolder, "checked");
  await mkdir(join(dataFolder, "bin"), { recursive: true, mode: 0o700 });
  await copyFile(binary.path, copy);
  await rename(copy, kept);
  return { ...binary, path: kept };
}

const programName = process.platform === "win32" ? "nats-server.exe" : "nats-server";

const packageFolders = process.platform === "win32" ? [] : ["/usr/sbin", "/usr/local/bin", "/usr/local/sbin"];
