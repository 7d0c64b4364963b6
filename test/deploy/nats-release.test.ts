/**
 * The official release: brought when everything is right, refused with its reason and in bounded time when anything is not.
 */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import test from "ava";
import { inspectBinary } from "../../deploy/nats/binary.ts";
import { bringRelease, releaseVersion } from "../../deploy/nats/release.ts";
import { freePort } from "../helpers/free-port.ts";
import { temporaryDirectory } from "../helpers/temporary-directory.ts";
import { downloadServer, type Misbehaviour } from "./download-server.ts";

const limits = { answerMs: 400, stallMs: 400, downloadMs: 2_000, maxBytes: 1024 * 1024 };

test("the release for this platform is downloaded, checked and unpacked", async (t) => {
  const { baseUrl, requests } = await downloadServer(t, "none");
  const workFolder = join(await temporaryDirectory(t), "work");
  const release = await bringRelease({ baseUrl: `${baseUrl}/`, workFolder, limits });
  if (typeof release === "string") {
    return t.fail(release);
  }
  t.deepEqual(await inspectBinary(release.path), { path: release.path, version: releaseVersion });
  t.is(requests.length, 2);
});

const refusals: [misbehaviour: Misbehaviour, reason: RegExp][] = [
  ["wrong checksum", /checksum of nats-server-v.* is not the published one/],
  ["no checksum", /has no checksum for nats-server-v/],
  ["not found", /SHA256SUMS answered with status 404/],
  ["truncated", /could not be downloaded/],
  ["too large", /larger than 100 bytes/],
  ["never answers", /no answer in 400 ms/],
  ["stalls in the middle", /nothing came for 400 ms/],
];

for (const [misbehaviour, reason] of refusals) {
  test(`a download server with the fault "${misbehaviour}" is refused, and nothing is unpacked`, async (t) => {
    const { baseUrl } = await downloadServer(t, misbehaviour);
    const workFolder = await temporaryDirectory(t);
    const maxBytes = misbehaviour === "too large" ? 100 : limits.maxBytes;
    const since = performance.now();
    const release = await bringRelease({ baseUrl, workFolder, limits: { ...limits, maxBytes } });
    t.regex(String(release), reason);
    t.true(performance.now() - since < limits.downloadMs + limits.answerMs);
    t.deepEqual(await readdir(workFolder), []);
  });
}

test("a place where nobody listens is refused at once", async (t) => {
  const workFolder = await temporaryDirectory(t);
  const release = await bringRelease({ baseUrl: `http://127.0.0.1:${await freePort()}`, workFolder, limits });
  t.regex(String(release), /could not be downloaded: connect ECONNREFUSED/);
});
