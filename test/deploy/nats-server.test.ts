/**
 * The order in which nats-server is looked for and brought, and the one clear instruction when nothing helps.
 */
import { chmod, chown, readdir, rm, symlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { releaseVersion } from "../../deploy/nats/release.ts";
import { bringNatsServer, type NatsBringOptions, NatsServerMissing } from "../../deploy/nats-server.ts";
import { standIn, versionScript } from "../helpers/stand-in.ts";
import { temporaryDirectory } from "../helpers/temporary-directory.ts";
import { downloadServer } from "./download-server.ts";

type BareMachine = NatsBringOptions & { folder: string; environment: NodeJS.ProcessEnv };

/** A machine that has nothing: no server anywhere, no apt, and a download server that knows no release. */
async function bareMachine(t: ExecutionContext): Promise<BareMachine> {
  const folder = await temporaryDirectory(t);
  const { baseUrl } = await downloadServer(t, "not found");
  return {
    folder,
    dataFolder: join(folder, "data"),
    environment: { PATH: join(folder, "path"), TWINLOG_NATS_RELEASES: baseUrl },
    packageFolders: [join(folder, "sbin")],
  };
}

test("the path in the environment comes first", async (t) => {
  const machine = await bareMachine(t);
  const explicit = await standIn(join(machine.folder, "mine"), versionScript("2.11.1"));
  await standIn(join(machine.folder, "path", "nats-server"), versionScript("2.11.2"));
  machine.environment.TWINLOG_NATS_SERVER = explicit;
  t.deepEqual(await bringNatsServer(machine), { path: explicit, version: "2.11.1" });
});

test("a wrong path in the environment is an error, and nothing else is tried", async (t) => {
  const machine = await bareMachine(t);
  await standIn(join(machine.folder, "path", "nats-server"), versionScript("2.11.2"));
  machine.environment.TWINLOG_NATS_SERVER = join(machine.folder, "absent");
  const error = await t.throwsAsync(bringNatsServer(machine), { instanceOf: NatsServerMissing });
  t.regex(error.message, /^TWINLOG_NATS_SERVER must be the path of nats-server/);
});

test("then the PATH, then the packages' folders, then what an earlier run has brought", async (t) => {
  const machine = await bareMachine(t);
  const places = [
    join(machine.folder, "path", "nats-server"),
    join(machine.folder, "sbin", "nats-server"),
    join(machine.dataFolder, "bin", "nats-server"),
  ];
  for (const place of places) {
    await standIn(place, versionScript("2.10.0"));
  }
  for (const path of places) {
    t.deepEqual(await bringNatsServer(machine), { path, version: "2.10.0" });
    await rm(path);
  }
});

test("one that is too old or broken is passed over, and named if nothing else helps", async (t) => {
  const machine = await bareMachine(t);
  await standIn(join(machine.folder, "path", "nats-server"), versionScript("2.8.4"));
  await standIn(join(machine.folder, "sbin", "nats-server"), "exit 9");
  const error = await t.throwsAsync(bringNatsServer(machine), { instanceOf: NatsServerMissing });
  t.regex(error.tried.join("\n"), /2\.8\.4, and 2\.9 or newer is needed/);
  t.regex(error.tried.join("\n"), /ended with status 9/);
});

/** Says where it was run. */
const trapScript = (marks: string) => `touch ${join(marks, "was-run")}; ${versionScript("2.11.9")}`;

const unsafePrograms: [what: string, spoil: (path: string) => Promise<void>, says: RegExp, needsRoot?: boolean][] = [
  ["may be written by all", (path) => chmod(path, 0o777), /may be written by other users, mode 0777 \(chmod go-w /],
  ["lies where all may write", (path) => chmod(dirname(path), 0o777), /may be written by other users, mode 0777/],
  ["is another user's", (path) => chown(path, 65_534, 65_534), /belongs to user 65534, .*\(chown 0 /, true],
  ["lies in another user's folder", (path) => chown(dirname(path), 65_534, 65_534), /belongs to user 65534/, true],
];
for (const [what, spoil, says, needsRoot = false] of unsafePrograms) {
  test(`a program that ${what} is not run, wherever it is found, and the reason is said`, async (t) => {
    const uid = process.geteuid?.();
    if (uid === undefined || (needsRoot && uid !== 0)) {
      t.log("not tried: only the superuser can give files away");
      return t.pass();
    }
    const machine = await bareMachine(t);
    const { folder, environment, dataFolder } = machine;
    const places = [join(folder, "path"), join(folder, "sbin"), join(dataFolder, "bin")];
    for (const place of places) await spoil(await standIn(join(place, "nats-server"), trapScript(folder)));
    const error = await t.throwsAsync(bringNatsServer(machine), { instanceOf: NatsServerMissing });
    t.is(error.tried.filter((reason) => says.test(reason) && reason.includes("is not run")).length, 3);
    environment.TWINLOG_NATS_SERVER = join(folder, "path", "nats-server");
    await t.throwsAsync(bringNatsServer(machine), { instanceOf: NatsServerMissing, message: says });
    await symlink(environment.TWINLOG_NATS_SERVER, join(folder, "link"));
    environment.TWINLOG_NATS_SERVER = join(folder, "link");
    await t.throwsAsync(bringNatsServer(machine), { instanceOf: NatsServerMissing, message: says });
    t.false((await readdir(folder)).includes("was-run"));
    return undefined;
  });
}

test("nothing is brought to a folder that others may write", async (t) => {
  if (process.geteuid === undefined) return t.pass();
  const machine = await bareMachine(t);
  const { baseUrl, requests } = await downloadServer(t, "none");
  machine.environment.TWINLOG_NATS_RELEASES = baseUrl;
  const old = await standIn(join(machine.dataFolder, "bin", "nats-server"), versionScript("2.8.0"));
  await rm(old);
  await chmod(dirname(old), 0o777);
  const error = await t.throwsAsync(bringNatsServer(machine), { instanceOf: NatsServerMissing });
  t.regex(error.message, /nothing is brought to .*\/bin may be written by other users, mode 0777/);
  t.is(requests.length, 0);
  return undefined;
});

test("a release that was brought is kept, and found by the next run without a download", async (t) => {
  const machine = await bareMachine(t);
  const { baseUrl, requests } = await downloadServer(t, "none");
  const kept = join(machine.dataFolder, "bin", "nats-server");
  const told: string[] = [];
  machine.environment.TWINLOG_NATS_RELEASES = baseUrl;
  const options = { ...machine, tell: (sentence: string) => void told.push(sentence) };
  t.deepEqual(await bringNatsServer(options), { path: kept, version: releaseVersion });
  t.deepEqual(await bringNatsServer(options), { path: kept, version: releaseVersion });
  t.is(requests.length, 2);
  t.is(told.length, 1);
  t.deepEqual(await readdir(machine.dataFolder), ["bin"]);
});

test("when nothing helps there is one instruction, the reasons, and nothing left over", async (t) => {
  const machine = await bareMachine(t);
  const error = await t.throwsAsync(bringNatsServer(machine), { instanceOf: NatsServerMissing });
  t.is(error.code, "NATS_SERVER_MISSING");
  t.regex(
    error.message,
    /^nats-server could not be found or brought: install version 2\.9 or newer .* TWINLOG_NATS_SERVER/,
  );
  t.deepEqual(
    error.tried.map((reason) => reason.split(":")[0]),
    [`it is neither on the PATH nor in ${join(machine.dataFolder, "bin")}`, "official release", "Debian's package"],
  );
  t.deepEqual(await readdir(machine.dataFolder), []);
});
