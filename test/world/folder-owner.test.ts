/**
 * Whose a data directory is, on real directories: what is another user's, may be written by others, or holds a link that leads
 * elsewhere is refused in one line, and nothing in it is touched.
 */
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { rename } from "node:fs/promises";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { StoreError } from "../../actors/world/ports.ts";
import { openRealWorld } from "../../actors/world/real-world.ts";
import { LevelStore } from "../../actors/world/store-level.ts";
import { DirectoryLock } from "../../actors/world/store-lock.ts";
import { Settings } from "../../schemas/settings.ts";
import { realRig } from "../conformance/rig.ts";
import { keptLog } from "../helpers/kept-log.ts";
import { temporaryDirectory } from "../helpers/temporary-directory.ts";

const { clock } = realRig();
const nobody = 65_534;
const isRoot = process.geteuid?.() === 0;
const hasOwners = process.geteuid !== undefined;

const modeOf = (path: string) => lstatSync(path).mode & 0o777;

async function openWorld(dataDirectory: string, log = keptLog()) {
  const servers = [{ name: "alpha", port: 4223 }];
  return await openRealWorld(Settings.parse({ service: "exchange", server: "alpha", servers, dataDirectory }), { log });
}

/** A data directory with a store that a server has opened and closed. */
async function usedDirectory(t: ExecutionContext): Promise<{ data: string; store: string }> {
  const data = join(await temporaryDirectory(t), "data");
  const store = join(data, "store");
  const level = new LevelStore(store, clock);
  await level.open();
  await level.release();
  return { data, store };
}

interface Place {
  readonly data: string;
  readonly store: string;
}
type Spoil = (place: Place) => Promise<void> | void;

const wrongs: [what: string, spoil: Spoil, says: RegExp, needsRoot: boolean][] = [
  [
    "the folder others may write",
    ({ data, store }) => [data, store].forEach((each) => void chmodSync(each, 0o777)),
    /may be written by other users \(mode 0777\): .* chmod -R go-w /,
    false,
  ],
  [
    "the store's group may write",
    ({ store }) => chmodSync(store, 0o770),
    /\/store may be written by other users \(mode 0770\)/,
    false,
  ],
  [
    "a file others may write",
    ({ store }) => chmodSync(join(store, "active"), 0o666),
    /\/active may be written by other users/,
    false,
  ],
  [
    "the folder is another user's",
    ({ data, store }) => [data, store].forEach((each) => void chownSync(each, nobody, nobody)),
    /belongs to user 65534, and this program runs as user 0: .* chown -R 0 /,
    true,
  ],
  [
    "the store is another user's",
    ({ store }) => chownSync(store, nobody, nobody),
    /\/store belongs to user 65534/,
    true,
  ],
  [
    "the database is another user's",
    ({ store }) => chownSync(join(store, "store-1"), nobody, nobody),
    /\/store-1 belongs to user 65534/,
    true,
  ],
  [
    "a link leads from the database to a file elsewhere",
    ({ data, store }) => symlinkSync(join(data, "..", "elsewhere"), join(store, "store-1", "LOG.old.1")),
    /\/LOG\.old\.1 is a symbolic link/,
    false,
  ],
  [
    "the database is a link",
    async ({ data, store }) => {
      await rename(join(store, "store-1"), join(data, "..", "moved"));
      symlinkSync(join(data, "..", "moved"), join(store, "store-1"));
    },
    /\/store-1 is a symbolic link/,
    false,
  ],
];

for (const [what, spoil, says, needsRoot] of wrongs) {
  test(`data directory: refused, and nothing is touched, where ${what}`, async (t) => {
    if (!hasOwners || (needsRoot && !isRoot)) {
      t.log("not tried: only the superuser can give files away");
      return t.pass();
    }
    const place = await usedDirectory(t);
    await spoil(place);
    const before = [readdirSync(place.data), readdirSync(place.store), modeOf(place.data)];
    for (const attempt of [() => openWorld(place.data), () => new LevelStore(place.store, clock).open()]) {
      const error = await t.throwsAsync(attempt(), { instanceOf: StoreError });
      t.is((error as StoreError).code, "unsafe");
      t.regex(error?.message ?? "", says);
      t.false(error?.message.includes("\n"));
    }
    t.deepEqual([readdirSync(place.data), readdirSync(place.store), modeOf(place.data)], before);
    return undefined;
  });
}

test("data directory: a store that is a link in it is refused", async (t) => {
  if (!hasOwners) return t.pass();
  const { data, store } = await usedDirectory(t);
  await rename(store, join(data, "..", "moved"));
  symlinkSync(join(data, "..", "moved"), store);
  await t.throwsAsync(openWorld(data), { instanceOf: StoreError, message: /\/store is a symbolic link/ });
  return undefined;
});

test("data directory: the configured path may be a link itself", async (t) => {
  const { data } = await usedDirectory(t);
  const link = join(data, "..", "link");
  symlinkSync(data, link);
  const { store } = await openWorld(link);
  await t.notThrowsAsync(store.open());
  await store.release();
});

test("data directory: one that others could read opens, is closed to them, and the log says so", async (t) => {
  if (!hasOwners) return t.pass();
  const { data, store } = await usedDirectory(t);
  for (const path of [data, store]) chmodSync(path, 0o755);
  const log = keptLog();
  const world = await openWorld(data, log);
  await world.store.open();
  await world.store.release();
  t.deepEqual([modeOf(data), modeOf(store)], [0o700, 0o700]);
  t.is(log.lines.filter((line) => line.includes("other users could read this folder")).length, 2);
  const again = keptLog();
  await openWorld(data, again);
  t.deepEqual(again.lines, []);
  return undefined;
});

test("data directory: where something else lies beside the store the folder stays as it is, and the store is closed", async (t) => {
  if (!hasOwners) return t.pass();
  const { data, store } = await usedDirectory(t);
  writeFileSync(join(data, "of-somebody"), "");
  symlinkSync("/", join(data, "of-somebody-too"));
  for (const path of [data, store]) chmodSync(path, 0o755);
  await openWorld(data);
  t.deepEqual([modeOf(data), modeOf(store)], [0o755, 0o700]);
  return undefined;
});

test("data directory: a new one is its user's alone, whatever the umask", async (t) => {
  if (!hasOwners) return t.pass();
  const { data, store } = await usedDirectory(t);
  t.deepEqual([modeOf(data), modeOf(store)], [0o700, 0o700]);
  return undefined;
});

test("data directory: who only looks does not lock what is not his, and leaves nothing in it", async (t) => {
  if (!hasOwners) return t.pass();
  const { store } = await usedDirectory(t);
  writeFileSync(join(store, "holder"), "{}");
  mkdirSync(join(store, "store-2"));
  chmodSync(join(store, "store-2"), 0o777);
  t.is(await DirectoryLock.takeIfUsed(store), null);
  t.true(existsSync(join(store, "store-2")));
  return undefined;
});
