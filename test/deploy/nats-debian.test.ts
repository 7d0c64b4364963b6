/**
 * Debian's package, with stand-ins for apt and dpkg: the newest version that runs, fresh lists only if they are needed, and no waiting.
 */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { bringDebianPackage, type DebianOptions, newestFirst, unpackDebianPackages } from "../../deploy/nats/debian.ts";
import { standIn } from "../helpers/stand-in.ts";
import { temporaryDirectory } from "../helpers/temporary-directory.ts";

type Scripts = { madison?: string; depends?: string; update?: string; download?: string; dpkg?: string };

/** `download` leaves a package that names its version; `dpkg` unpacks it into a server that says this version. */
const goodDownload = 'echo "${package#*=}" > nats-server.deb';
const goodDpkg = `mkdir -p unpacked/usr/sbin
version=$(sed 's/-.*//' nats-server.deb)
printf '#!/bin/sh\\necho "nats-server: v%s"\\n' "$version" > unpacked/usr/sbin/nats-server
chmod +x unpacked/usr/sbin/nats-server`;

async function debian(t: ExecutionContext, scripts: Scripts): Promise<DebianOptions & { log: () => Promise<string> }> {
  const folder = await temporaryDirectory(t);
  const log = join(folder, "log");
  const flag = join(folder, "updated");
  const start = `for package in "$@"; do :; done
log() { echo "$1" >> '${log}'; }
updated() { test -e '${flag}'; }`;
  await standIn(
    join(folder, "bin", "apt-cache"),
    `${start}
case "$*" in
*depends*) log "depends $package"; ${scripts.depends ?? ":"};;
*) log madison; ${scripts.madison ?? ":"};;
esac`,
  );
  await standIn(
    join(folder, "bin", "apt-get"),
    `${start}
case "$*" in
*update*) log update; touch '${flag}'; ${scripts.update ?? ":"};;
*) log "download $package"; ${scripts.download ?? goodDownload};;
esac`,
  );
  await standIn(join(folder, "bin", "dpkg"), scripts.dpkg ?? goodDpkg);
  return {
    workFolder: join(folder, "work"),
    environment: { ...process.env, PATH: `${join(folder, "bin")}:${process.env.PATH}` },
    limits: { listMs: 2_000, downloadMs: 1_000, updateMs: 1_000, unpackMs: 2_000 },
    log: () => readFile(log, "utf8"),
  };
}

const offers = (...versions: string[]): string =>
  versions.map((version) => `echo 'nats-server | ${version} | http://deb.example/debian main'`).join("\n");

test("the package that the lists know is taken, without an update", async (t) => {
  const apt = await debian(t, { madison: offers("2.9.10-1+b3") });
  const binary = await bringDebianPackage(apt);
  t.like(binary, { version: "2.9.10" });
  t.is(await apt.log(), "madison\ndownload nats-server=2.9.10-1+b3\n");
});

test("of several versions the newest is taken", async (t) => {
  const apt = await debian(t, { madison: offers("2.9.10-1", "2.10.27-1", "2.10.3-1") });
  t.like(await bringDebianPackage(apt), { version: "2.10.27" });
});

test("a newest version that does not run here gives way to the next", async (t) => {
  const apt = await debian(t, {
    madison: offers("2.9.10-1", "2.10.27-1"),
    dpkg: `${goodDpkg}\nif [ "$version" = 2.10.27 ]; then echo 'exit 1' > unpacked/usr/sbin/nats-server; fi`,
  });
  t.like(await bringDebianPackage(apt), { version: "2.9.10" });
});

test("lists that do not know the package are fetched anew, into a folder of ours", async (t) => {
  const apt = await debian(t, {
    madison: `if updated; then ${offers("2.9.10-1")}; fi`,
    update: 'echo "$*" > update-arguments',
  });
  t.like(await bringDebianPackage(apt), { version: "2.9.10" });
  t.is(await apt.log(), "madison\nupdate\nmadison\ndownload nats-server=2.9.10-1\n");
  const given = await readFile(join(apt.workFolder, "update-arguments"), "utf8");
  t.true(given.includes(`Dir::State::Lists=${join(apt.workFolder, "lists")}`), given);
});

/** apt names a package and indents what it depends on. */
const needsLibrary = "printf 'libx-dev\\n  Depends: libx1\\nlibx1\\n  Depends: libc6\\nlibc6\\n<virtual>\\n'";
const oneFileEach = 'mkdir -p unpacked/usr\ncp "$2" "unpacked/usr/$(sed "s/=.*//" "$2")"';

test("a package is unpacked together with what it needs, as far as that is wanted", async (t) => {
  const apt = await debian(t, {
    depends: needsLibrary,
    download: 'echo "$package" > "$package.deb"',
    dpkg: oneFileEach,
  });
  const brought = await unpackDebianPackages(apt, "libx-dev", (name) => name.startsWith("libx"));
  if (typeof brought === "string") return t.fail(brought);
  t.deepEqual((await readdir(join(brought.root, "usr"))).toSorted(), ["libx-dev", "libx1"]);
  t.is(await apt.log(), "depends libx-dev\ndownload libx-dev\ndownload libx1\n");
});

test("packages that no list knows, and one that cannot be had, are a reason", async (t) => {
  const unknownPackage = "no configured apt source has the package libx-dev";
  const isWanted = () => true;
  const none = await debian(t, {});
  t.is(await unpackDebianPackages(none, "libx-dev", isWanted), `${unknownPackage}; then ${unknownPackage}`);
  const offline = await debian(t, { depends: needsLibrary, download: "echo 'E: no network' >&2; exit 100" });
  const why = "libx-dev: apt-get download ended with status 100: E: no network";
  t.is(await unpackDebianPackages(offline, "libx-dev", isWanted), `${why}; then ${why}`);
});

test("an update that fails for another source does not matter", async (t) => {
  const apt = await debian(t, { madison: `if updated; then ${offers("2.9.10-1")}; fi`, update: "exit 100" });
  t.like(await bringDebianPackage(apt), { version: "2.9.10" });
});

const unknown = "no configured apt source has the package nats-server";

test("sources without the package are a reason, and so is an update that failed", async (t) => {
  t.is(await bringDebianPackage(await debian(t, { madison: ":" })), `${unknown}; then ${unknown}`);
  const offline = await debian(t, { madison: ":", update: "echo 'E: no network' >&2; exit 100" });
  t.is(await bringDebianPackage(offline), `${unknown}; then apt-get update ended with status 100: E: no network`);
});

test("an apt that hangs is ended", async (t) => {
  const apt = await debian(t, {
    madison: offers("2.9.10-1"),
    download: "sleep 60 & sleep 60",
    update: "sleep 60",
  });
  const since = performance.now();
  t.is(await bringDebianPackage(apt), "apt-get download did not end in time; then apt-get update did not end in time");
  t.true(performance.now() - since < 10_000);
});

test("a machine without apt is told so", async (t) => {
  const workFolder = await temporaryDirectory(t);
  const reason = await bringDebianPackage({ workFolder, environment: { PATH: workFolder } });
  t.regex(String(reason), /apt.* ENOENT|this is not Debian/);
});

test("versions are compared as numbers, and each is named once", (t) => {
  const lines = [
    " nats-server | 2.9.10-1 | a",
    " nats-server | 2.10.3-1 | b",
    " nats-server | 2.10.27-1 | c",
    " nats-server | 2.9.10-1 | d",
  ];
  t.deepEqual(newestFirst(lines.join("\n")), ["2.10.27-1", "2.10.3-1", "2.9.10-1"]);
});
