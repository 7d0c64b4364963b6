/**
 * The folder of `up`: whose it is, on real directories.
 */
import { chmodSync, chownSync, lstatSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import { ServiceFolder, UpError } from "../../deploy/up/folder.ts";
import { temporaryDirectory } from "../helpers/temporary-directory.ts";

const servers = ["alpha", "beta"];
const modeOf = (path: string) => lstatSync(path).mode & 0o777;

test("a folder that others may write, or in which a link leads elsewhere, is refused in one line before anything is written", async (t) => {
  const path = join(await temporaryDirectory(t), "data");
  const folder = new ServiceFolder(path);
  if (process.geteuid === undefined) return t.pass();
  chmodSync(path, 0o777);
  const says = /^\S+ may be written by other users \(mode 0777\): look at what is in it, then chmod -R go-w \S+$/;
  await t.throwsAsync(folder.lock(servers), { instanceOf: UpError, message: says });
  chmodSync(path, 0o700);
  symlinkSync("/somewhere/else.log", join(path, "alpha.log"));
  await t.throwsAsync(folder.lock(servers), { instanceOf: UpError, message: /alpha\.log is a symbolic link/ });
  t.deepEqual(readdirSync(path), ["alpha.log"]);
  return undefined;
});

test("a folder of another user is refused, and how to mend it is said", async (t) => {
  const path = join(await temporaryDirectory(t), "data");
  const folder = new ServiceFolder(path);
  if (process.geteuid?.() !== 0) {
    t.log("not tried: only the superuser can give files away");
    return t.pass();
  }
  chownSync(path, 65_534, 65_534);
  await t.throwsAsync(folder.lock(servers), { instanceOf: UpError, message: /belongs to user 65534.* chown -R 0 / });
  t.deepEqual(readdirSync(path), []);
  return undefined;
});

test("a folder that others could read is closed to them; where other things lie in it, what is ours is", async (t) => {
  if (process.geteuid === undefined) return t.pass();
  const path = join(await temporaryDirectory(t), "data");
  const folder = new ServiceFolder(path);
  const ours = ["nats", "alpha"].map((name) => join(path, name));
  for (const each of ours) mkdirSync(each);
  writeFileSync(join(path, "service.json"), "{}");
  for (const each of [path, ...ours]) chmodSync(each, 0o755);
  await (await folder.lock(servers)).release();
  t.deepEqual(await folder.closeToOthers(servers), [path, ...ours]);
  t.deepEqual([path, ...ours].map(modeOf), [0o700, 0o700, 0o700]);
  t.deepEqual(await folder.closeToOthers(servers), []);
  writeFileSync(join(path, "package.json"), "{}");
  symlinkSync("/", join(path, "node_modules"));
  for (const each of [path, ...ours]) chmodSync(each, 0o755);
  await (await folder.lock(servers)).release();
  t.deepEqual(await folder.closeToOthers(servers), ours);
  t.is(modeOf(path), 0o755);
  return undefined;
});

test("a folder goes on with a module that has moved, and not with another application", async (t) => {
  const folder = new ServiceFolder(join(await temporaryDirectory(t), "data"));
  const owned = {
    nats: "nats://127.0.0.1:1",
    servers: [],
    testService: false,
    nkeyFile: () => "",
    httpPort: () => undefined,
  };
  folder.writeService({ ...owned, service: "counter", application: "/old/counter.ts" });
  t.notThrows(() => folder.checkOwner("counter", "/new/counter.js"));
  t.throws(() => folder.checkOwner("counter", "exchange"), { instanceOf: UpError, message: /choose another --data/ });
  t.throws(() => folder.checkOwner("other", "/new/counter.js"), { instanceOf: UpError });
});
