/**
 * A stand-in for the place where nats-server's releases are downloaded, on loopback, which can misbehave in every way that matters.
 */
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createServer, type ServerResponse } from "node:http";
import { join } from "node:path";
import type { ExecutionContext } from "ava";
import { runCommand } from "../../deploy/nats/command.ts";
import { releaseVersion } from "../../deploy/nats/release.ts";
import { standIn, versionScript } from "../helpers/stand-in.ts";
import { temporaryDirectory } from "../helpers/temporary-directory.ts";

export type Misbehaviour =
  | "none"
  | "wrong checksum"
  | "no checksum"
  | "not found"
  | "truncated"
  | "too large"
  | "never answers"
  | "stalls in the middle"
  | "not a program inside";

export type DownloadServer = { baseUrl: string; requests: string[] };

const architecture = { x64: "amd64", arm64: "arm64", ia32: "386" }[process.arch as string] ?? process.arch;
const platform = process.platform === "win32" ? "windows" : process.platform;
const releaseName = `nats-server-v${releaseVersion}-${platform}-${architecture}`;

export async function downloadServer(t: ExecutionContext, misbehaviour: Misbehaviour): Promise<DownloadServer> {
  const archive = await makeArchive(
    t,
    misbehaviour === "not a program inside" ? "exit 3" : versionScript(releaseVersion),
  );
  const requests: string[] = [];
  const server = createServer((request, response) => {
    requests.push(request.url ?? "");
    if (misbehaviour === "never answers") {
      return;
    }
    if (misbehaviour === "not found") {
      response.writeHead(404).end();
    } else if (request.url === `/v${releaseVersion}/SHA256SUMS`) {
      response.end(checksums(archive, misbehaviour));
    } else {
      sendArchive(response, archive, misbehaviour);
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.teardown(() => {
    server.close();
    server.closeAllConnections();
  });
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  return { baseUrl: `http://127.0.0.1:${port}`, requests };
}

function checksums(archive: Buffer, misbehaviour: Misbehaviour): string {
  const right = createHash("sha256").update(archive).digest("hex");
  const shown = misbehaviour === "wrong checksum" ? "0".repeat(64) : right;
  const name = misbehaviour === "no checksum" ? "another.tar.gz" : `${releaseName}.tar.gz`;
  return `${"1".repeat(64)}  ${releaseName}.zip\n${shown}  ${name}\n`;
}

function sendArchive(response: ServerResponse, archive: Buffer, misbehaviour: Misbehaviour): void {
  const half = archive.subarray(0, archive.length / 2);
  response.writeHead(200, { "content-length": archive.length });
  if (misbehaviour === "truncated") {
    response.write(half, () => response.destroy());
  } else if (misbehaviour === "stalls in the middle") {
    response.write(half);
  } else {
    response.end(archive);
  }
}

async function makeArchive(t: ExecutionContext, script: string): Promise<Buffer> {
  const folder = await temporaryDirectory(t);
  await standIn(join(folder, releaseName, "nats-server"), script);
  const packed = await runCommand("tar", ["-czf", "release.tar.gz", releaseName], { cwd: folder, timeoutMs: 10_000 });
  t.is(packed.status, 0, packed.stderr);
  return readFile(join(folder, "release.tar.gz"));
}
