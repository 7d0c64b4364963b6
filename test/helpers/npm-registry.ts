/**
 * A registry of npm packages on this machine: what is installed in this clone, each in the one version that is there, and nothing else. So
 * that a project is installed as its users install it, in any layout, without the network.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdir, readFile, symlink } from "node:fs/promises";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import type { ExecutionContext } from "ava";
import { temporaryDirectory } from "./temporary-directory.ts";

/** `modules`: a folder `node_modules`. The address, until the test is over. */
export async function npmRegistry(t: ExecutionContext, modules: string): Promise<string> {
  const staged = await temporaryDirectory(t);
  const server = createServer((request, response) => {
    answer(decodeURIComponent(request.url ?? "/").slice(1), response).catch((error: unknown) => {
      response.destroy(error as Error);
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return url;

  async function answer(path: string, response: ServerResponse): Promise<void> {
    const isArchive = path.startsWith("archive/");
    const name = isArchive ? path.slice("archive/".length, -".tgz".length) : path;
    const folder = join(modules, name);
    if (!/^(@[\w.-]+\/)?[\w.-]+$/.test(name) || !existsSync(join(folder, "package.json"))) {
      response.writeHead(404).end("{}");
      return;
    }
    if (isArchive) await sendArchive(name, folder, response);
    else await sendManifest(name, folder, response);
  }

  async function sendManifest(name: string, folder: string, response: ServerResponse): Promise<void> {
    const manifest = JSON.parse(await readFile(join(folder, "package.json"), "utf8")) as { version: string };
    const { version } = manifest;
    const dist = { tarball: `${url}/archive/${encodeURIComponent(name)}.tgz` };
    const versions = { [version]: { ...manifest, dist } };
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify({ name, "dist-tags": { latest: version }, versions }));
  }

  /** Not packed: it goes no further than this machine. */
  async function sendArchive(name: string, folder: string, response: ServerResponse): Promise<void> {
    const stage = join(staged, encodeURIComponent(name));
    await mkdir(stage, { recursive: true });
    if (!existsSync(join(stage, "package"))) await symlink(folder, join(stage, "package"));
    const words = ["-chf", "-", "--exclude", "package/node_modules", "package"];
    const tar = spawn("tar", ["-C", stage, ...words], { stdio: ["ignore", "pipe", "inherit"] });
    tar.stdout.pipe(response);
    await once(tar, "close");
  }
}
