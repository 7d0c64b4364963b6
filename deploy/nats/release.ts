/**
 * Brings nats-server from its official release: the archive for this platform, checked against the checksum published with it.
 *
 * What always holds: nothing of an archive is unpacked or run before its checksum was found right, no step waits longer than its
 * named time, and every way to fail is a string that says what failed.
 */
import { createHash } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { complaint, runCommand } from "./command.ts";

export const releaseVersion = "2.12.7";
export const releaseBaseUrl = "https://github.com/nats-io/nats-server/releases/download";

export type ReleaseOptions = {
  /** Where releases are found; an archive is at `<baseUrl>/v<version>/<name>.tar.gz`. */
  baseUrl: string;
  /** An empty folder to work in, which the caller removes. */
  workFolder: string;
  limits?: Partial<typeof releaseLimits>;
};

export const releaseLimits = {
  /** From asking for a file to its first byte, redirects included. */
  answerMs: 5_000,
  /** Between two pieces of a file. */
  stallMs: 10_000,
  /** For one whole file. */
  downloadMs: 120_000,
  unpackMs: 20_000,
  maxBytes: 100 * 1024 * 1024,
};

const platforms: Record<string, string> = { linux: "linux", darwin: "darwin", win32: "windows" };
const architectures: Record<string, string> = { x64: "amd64", arm64: "arm64", ia32: "386" };

/** The path of the unpacked program, or why it could not be brought. */
export async function bringRelease(options: ReleaseOptions): Promise<{ path: string } | string> {
  const platform = platforms[process.platform];
  const architecture = architectures[process.arch];
  if (platform === undefined || architecture === undefined) {
    return `there is no official release for ${process.platform} on ${process.arch}`;
  }
  const limits = { ...releaseLimits, ...options.limits };
  const name = `nats-server-v${releaseVersion}-${platform}-${architecture}`;
  const folderUrl = `${options.baseUrl.replace(/\/+$/, "")}/v${releaseVersion}`;

  const sums = await download(`${folderUrl}/SHA256SUMS`, limits);
  if (typeof sums === "string") {
    return sums;
  }
  const expected = publishedChecksum(sums.toString("utf8"), `${name}.tar.gz`);
  if (expected === undefined) {
    return `${folderUrl}/SHA256SUMS has no checksum for ${name}.tar.gz`;
  }
  const archive = await download(`${folderUrl}/${name}.tar.gz`, limits);
  if (typeof archive === "string") {
    return archive;
  }
  if (createHash("sha256").update(archive).digest("hex") !== expected) {
    return `the checksum of ${name}.tar.gz is not the published one: it was thrown away`;
  }
  return unpack(archive, name, options.workFolder, limits.unpackMs);
}

async function unpack(
  archive: Buffer,
  name: string,
  folder: string,
  timeoutMs: number,
): Promise<{ path: string } | string> {
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, "release.tar.gz"), archive);
  const result = await runCommand("tar", ["-xzf", "release.tar.gz"], { cwd: folder, timeoutMs });
  if (result.status !== 0) {
    return complaint(result, "tar");
  }
  return { path: join(folder, name, process.platform === "win32" ? "nats-server.exe" : "nats-server") };
}

/** The checksum of one file in a list of `<sha256>  <file>` lines. */
function publishedChecksum(sums: string, file: string): string | undefined {
  const line = sums.split("\n").find((text) => text.trim().split(/\s+\*?/)[1] === file);
  return line?.trim().split(/\s+/)[0]?.toLowerCase();
}

async function download(url: string, limits: typeof releaseLimits): Promise<Buffer | string> {
  const stop = new AbortController();
  const timers = new Set<NodeJS.Timeout>();
  const limit = (ms: number, reason: string): NodeJS.Timeout => {
    const timer = setTimeout(() => stop.abort(reason), ms);
    timers.add(timer);
    return timer;
  };
  limit(limits.downloadMs, `it took longer than ${limits.downloadMs} ms`);
  const answer = limit(limits.answerMs, `there was no answer in ${limits.answerMs} ms`);
  try {
    const response = await fetch(url, { signal: stop.signal });
    clearTimeout(answer);
    if (!response.ok || response.body === null) {
      return `${url} answered with status ${response.status}`;
    }
    const stall = limit(limits.stallMs, `nothing came for ${limits.stallMs} ms`);
    const pieces: Uint8Array[] = [];
    let bytes = 0;
    for await (const piece of response.body) {
      stall.refresh();
      pieces.push(piece);
      bytes += piece.length;
      if (bytes > limits.maxBytes) {
        return `${url} is larger than ${limits.maxBytes} bytes`;
      }
    }
    return Buffer.concat(pieces);
  } catch (error) {
    return `${url} could not be downloaded: ${stop.signal.aborted ? String(stop.signal.reason) : reasonOf(error)}`;
  } finally {
    stop.abort("the download is over");
    for (const timer of timers) {
      clearTimeout(timer);
    }
  }
}

/** fetch says only "fetch failed" and keeps the reason one level down. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) {
    return String(error);
  }
  return error.cause instanceof Error ? error.cause.message : error.message;
}
