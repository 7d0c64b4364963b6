/**
 * Brings nats-server, or any packages, from Debian: downloaded and unpacked into a folder of ours, never installed.
 *
 * apt checks the package against its signed lists. The system's own lists are read where they know the package; where they do not,
 * fresh lists are fetched into our folder, so that no privilege is needed and nothing of the system is changed.
 * Of the versions that the configured sources offer, the newest one that runs here is taken.
 */
import { mkdir, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { inspectBinary, type NatsBinary } from "./binary.ts";
import { complaint, runCommand } from "./command.ts";

export type DebianOptions = {
  /** An empty folder to work in, which the caller removes. */
  workFolder: string;
  /** The environment of the commands; tests put stand-ins on its PATH. */
  environment?: NodeJS.ProcessEnv;
  limits?: Partial<typeof debianLimits>;
};

export const debianLimits = { listMs: 5_000, downloadMs: 20_000, updateMs: 25_000, unpackMs: 10_000, versionsTried: 2 };

type Apt = { options: DebianOptions; limits: typeof debianLimits; settings: string[] };

/** The unpacked program, or why it could not be brought. */
export function bringDebianPackage(options: DebianOptions): Promise<NatsBinary | string> {
  return bring(options, bringNewest);
}

/**
 * A package and those that it needs, as far as their names are wanted, unpacked together: the folder that stands for `/`, or why they
 * could not be brought.
 */
export function unpackDebianPackages(
  options: DebianOptions,
  name: string,
  isWanted: (name: string) => boolean,
): Promise<{ root: string } | string> {
  return bring(options, async (apt) => {
    const needs = await command(apt, "apt-cache", ["depends", "--recurse", "--important", name], apt.limits.listMs);
    if (needs.status !== 0) {
      return complaint(needs, "apt-cache depends");
    }
    // A package is a line that begins with its name; what it depends on is indented below.
    const names = needs.stdout.split("\n").filter((line) => /^[a-z0-9]/.test(line) && isWanted(line));
    if (names.length === 0) {
      return `no configured apt source has the package ${name}`;
    }
    for (const each of names) {
      const why = await unpack(apt, each, apt.options.workFolder);
      if (why !== "") {
        return `${each}: ${why}`;
      }
    }
    return { root: join(apt.options.workFolder, unpackedFolder) };
  });
}

/** With the lists that the system has, and where these do not suffice, with fresh ones of ours. */
async function bring<T extends object>(
  options: DebianOptions,
  bringBy: (apt: Apt) => Promise<T | string>,
): Promise<T | string> {
  if (process.platform !== "linux") {
    return "this is not Debian";
  }
  await mkdir(options.workFolder, { recursive: true });
  const apt: Apt = { options, limits: { ...debianLimits, ...options.limits }, settings: networkSettings };
  const withSystemLists = await bringBy(apt);
  if (typeof withSystemLists !== "string") {
    return withSystemLists;
  }
  const ownLists = { ...apt, settings: [...networkSettings, ...(await ownListSettings(options.workFolder))] };
  const updated = await command(ownLists, "apt-get", ["update"], apt.limits.updateMs);
  // An update may fail for one source and succeed for the one that matters: only whether the package is known now counts.
  const withOwnLists = await bringBy(ownLists);
  if (typeof withOwnLists !== "string") {
    return withOwnLists;
  }
  return `${withSystemLists}; then ${updated.status === 0 ? withOwnLists : complaint(updated, "apt-get update")}`;
}

/** Never wait long for a server, and say so when one cannot be reached. */
const networkSettings = [
  "-q",
  "-o",
  "Acquire::http::Timeout=8",
  "-o",
  "Acquire::https::Timeout=8",
  "-o",
  "Acquire::Retries=0",
  "-o",
  "APT::Update::Error-Mode=any",
];

/** Lists and packages go into our folder, which apt's own user could not write to. */
async function ownListSettings(folder: string): Promise<string[]> {
  const lists = join(folder, "lists");
  const cache = join(folder, "cache");
  await mkdir(join(lists, "partial"), { recursive: true });
  await mkdir(join(cache, "archives", "partial"), { recursive: true });
  const settings = [`Dir::State::Lists=${lists}`, `Dir::Cache=${cache}`, "APT::Sandbox::User=root"];
  return settings.flatMap((setting) => ["-o", setting]);
}

async function bringNewest(apt: Apt): Promise<NatsBinary | string> {
  const known = await command(apt, "apt-cache", ["madison", "nats-server"], apt.limits.listMs);
  if (known.status !== 0) {
    return complaint(known, "apt-cache");
  }
  const versions = newestFirst(known.stdout).slice(0, apt.limits.versionsTried);
  let reason = "no configured apt source has the package nats-server";
  for (const version of versions) {
    const brought = await bringVersion(apt, version);
    if (typeof brought !== "string") {
      return brought;
    }
    reason = brought;
  }
  return reason;
}

/** The versions in `apt-cache madison`'s lines of `package | version | source`, each once. */
export function newestFirst(madison: string): string[] {
  const versions = madison.split("\n").flatMap((line) => line.split("|")[1]?.trim() ?? []);
  const numbers = new Intl.Collator("en", { numeric: true });
  return [...new Set(versions)].toSorted((a, b) => numbers.compare(b, a));
}

async function bringVersion(apt: Apt, version: string): Promise<NatsBinary | string> {
  const folder = join(apt.options.workFolder, `package-${version.replaceAll(/[^\w.+~-]/g, "_")}`);
  const why = await unpack(apt, `nats-server=${version}`, folder);
  return why === "" ? inspectBinary(join(folder, unpackedFolder, "usr", "sbin", "nats-server")) : why;
}

const unpackedFolder = "unpacked";

/** What is in the package goes into a folder of the folder, beside what is there; the package itself goes. "" where that went well, else why not. */
async function unpack(apt: Apt, name: string, folder: string): Promise<string> {
  await mkdir(folder, { recursive: true });
  const downloaded = await command(apt, "apt-get", ["download", name], apt.limits.downloadMs, folder);
  if (downloaded.status !== 0) {
    return complaint(downloaded, "apt-get download");
  }
  const file = (await readdir(folder)).find((entry) => entry.endsWith(".deb"));
  if (file === undefined) {
    return "apt-get download left no package";
  }
  const environment = apt.options.environment;
  const unpacked = await runCommand("dpkg", ["-x", file, unpackedFolder], {
    cwd: folder,
    timeoutMs: apt.limits.unpackMs,
    ...(environment === undefined ? {} : { environment }),
  });
  await rm(join(folder, file));
  return unpacked.status === 0 ? "" : complaint(unpacked, "dpkg");
}

function command(apt: Apt, program: string, args: string[], timeoutMs: number, cwd = apt.options.workFolder) {
  const environment = { ...(apt.options.environment ?? process.env), DEBIAN_FRONTEND: "noninteractive", LC_ALL: "C" };
  return runCommand(program, [...apt.settings, ...args], { timeoutMs, cwd, environment });
}
