/**
 * What a server sees around it: certificates by the first that is over, room on the volume, and null where nothing can be seen.
 * The certificates are made here, with openssl; where that program is missing the test says so and proves nothing.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import { lastBackupFile, writeLastBackup } from "../../actors/world/last-backup.ts";
import { lookAround } from "../../actors/world/surroundings.ts";
import { Settings } from "../../schemas/settings.ts";
import { temporaryDirectory } from "../helpers/temporary-directory.ts";

const dayMs = 86_400_000;
const hasOpenssl = spawnSync("openssl", ["version"]).status === 0;

function makeCertificate(directory: string, name: string, days: number): string {
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", `${name}.key`];
  const line = ["req", "-x509", ...key, "-out", `${name}.crt`, "-days", `${days}`, "-subj", `/CN=${name}`];
  execFileSync("openssl", line, { cwd: directory, stdio: "ignore" });
  return join(directory, `${name}.crt`);
}

const settingsOf = (dataDirectory: string, tls: Record<string, string> | undefined): Settings =>
  Settings.parse({
    service: "exchange",
    server: "alpha",
    servers: [{ name: "alpha", port: 4223 }],
    dataDirectory,
    mainLink: { tls },
    nats: { tls },
  });

const look = (settings: Settings) =>
  lookAround({
    settings,
    line: { info: undefined },
    registry: { warnings: () => Promise.resolve([]) },
    store: { usage: () => Promise.resolve({ bytes: 7, aside: [] }) },
    resultsStream: { look: () => Promise.reject(new Error("NATS does not answer")) },
  });

test("of a file with several certificates the first that is over counts, and each file is told once", async (t) => {
  if (!hasOpenssl) {
    t.log("openssl is missing: nothing was tried");
    t.pass();
    return;
  }
  const directory = await temporaryDirectory(t);
  const certFile = makeCertificate(directory, "alpha", 30);
  const chain = makeCertificate(directory, "chain", 2);
  writeFileSync(certFile, `${readFileSync(certFile, "utf8")}\n${readFileSync(chain, "utf8")}`);
  const broken = join(directory, "broken.crt");
  writeFileSync(broken, "-----BEGIN CERTIFICATE-----\nnone\n-----END CERTIFICATE-----\n");
  const { certificates } = await look(settingsOf(directory, { certFile, keyFile: "k", caFile: broken }));
  t.deepEqual(
    certificates.map(({ file }) => file),
    [certFile, broken],
  );
  const days = ((certificates[0]?.untilMs ?? 0) - Date.now()) / dayMs;
  t.true(days > 1.9 && days <= 2, String(days));
  t.is(certificates[1]?.untilMs, null);
});

test("the volume is looked at; what cannot be seen is null, and never an error", async (t) => {
  const directory = await temporaryDirectory(t);
  const { disk, broker, certificates } = await look(settingsOf(directory, undefined));
  t.is(disk?.storeBytes, 7);
  t.true((disk?.freeBytes ?? 0) > 0 && (disk?.freeBytes ?? 0) <= (disk?.sizeBytes ?? 0));
  t.is(broker, null);
  t.deepEqual(certificates, []);
  t.is((await look(settingsOf(join(directory, "nowhere"), undefined))).disk, null);
});

test("when the last backup was taken is kept whole in the data directory, by whichever process; what is damaged is none", async (t) => {
  const directory = await temporaryDirectory(t);
  const settings = settingsOf(directory, undefined);
  t.is((await look(settings)).backup, null);
  await writeLastBackup(directory, { atMs: 5, sequence: 7 });
  t.deepEqual((await look(settings)).backup, { atMs: 5, sequence: 7 });
  await writeLastBackup(directory, { atMs: 6, sequence: 8 });
  t.deepEqual((await look(settings)).backup, { atMs: 6, sequence: 8 });
  t.is(statSync(join(directory, lastBackupFile)).mode & 0o777, 0o600);
  writeFileSync(join(directory, lastBackupFile), '{"atMs":');
  t.is((await look(settings)).backup, null);
});
