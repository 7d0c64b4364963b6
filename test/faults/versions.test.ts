/**
 * An old and a new version side by side (situation 39): a copy of this program whose messages, links or records have another
 * version runs as the backup. It is refused with a clear message, the primary is not disturbed, and the right version joins.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { cp, readFile, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import test, { type ExecutionContext } from "ava";
import { startPair } from "../helpers/pair/pair.ts";
import { temporaryDirectory } from "../helpers/temporary-directory.ts";
import { until } from "../helpers/until.ts";
import { inFull } from "./full.ts";
import { Proof } from "./proof.ts";

const full = inFull(test);
const root = fileURLToPath(new URL("../../..", import.meta.url));
const withinMs = 30_000;

interface Change {
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

/** A copy of the built program with a constant changed. */
async function otherVersion(t: ExecutionContext, { file, from, to }: Change): Promise<string> {
  const folder = await temporaryDirectory(t);
  for (const room of ["actors", "machines", "schemas", "deploy"])
    await cp(join(root, "dist", room), join(folder, "dist", room), { recursive: true });
  await symlink(join(root, "node_modules"), join(folder, "node_modules"));
  await cp(join(root, "package.json"), join(folder, "package.json"));
  const path = join(folder, "dist", file);
  const text = await readFile(path, "utf8");
  t.true(text.includes(from), `${file} has ${from}`);
  await writeFile(path, text.replaceAll(from, to));
  return join(folder, "dist", "deploy", "twinlog.js");
}

class Run {
  readonly child: ChildProcess;
  said = "";
  hasEnded = false;

  constructor(program: string, config: string) {
    this.child = spawn(process.execPath, [program, "server", "--config", config], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    for (const stream of [this.child.stdout, this.child.stderr])
      stream?.on("data", (data: Buffer) => {
        this.said += data.toString();
      });
    this.child.on("exit", () => {
      this.hasEnded = true;
    });
  }

  async kill(): Promise<void> {
    this.child.kill("SIGKILL");
    await until(() => this.hasEnded, { withinMs });
  }
}

/** `joins`: it may still follow, over NATS. */
async function sideBySide(t: ExecutionContext, change: Change, message: RegExp, joins = false): Promise<void> {
  const program = await otherVersion(t, change);
  const pair = await startPair(t, { start: ["alpha"], limits: { suspicionMs: 2_000 } });
  const proof = await Proof.begin(t, pair, { rate: 150 });
  const other = new Run(program, pair.server("beta").configFile);
  t.teardown(() => other.kill());
  const said = () => [...pair.server("alpha").lines, ...other.said.split("\n")].find((line) => message.test(line));
  t.log(await until(said, { withinMs, waitedFor: `${message} from either` }));
  await proof.answers(50, "answers beside the other version");
  const primary = await pair.newStatus("alpha");
  t.is(primary.role, "primary");
  if (joins) t.is(primary.links.main, "down");
  else t.is((await pair.registryRecord()).inSync.length, 1, "the other version is in nobody's in-sync set");
  await other.kill();
  pair.server("beta").start();
  t.deepEqual(await pair.normal(), { primary: "alpha", backup: "beta" });
  await proof.gap("kill -9 of the primary, the right version takes over", () => pair.server("alpha").kill());
  await pair.waitFor("beta", ({ state }) => state === "hot.alone");
  pair.server("alpha").start();
  await proof.prove();
}

test.serial("a server whose messages have another version", (t) =>
  sideBySide(
    t,
    { file: "machines/codec/message.js", from: "messageVersion = 1", to: "messageVersion = 2" },
    /a message of version [12]; this program knows [12]/,
  ),
);

full("a server whose main link speaks another version", (t) =>
  sideBySide(
    t,
    { file: "schemas/greeting.js", from: "linkProtocolVersion = 1", to: "linkProtocolVersion = 2" },
    /version [12] of the link, this server [12]/,
    true,
  ),
);

full("a server whose records have another version", (t) =>
  sideBySide(
    t,
    { file: "machines/codec/record.js", from: "recordVersion = 1", to: "recordVersion = 2" },
    /a record of version [12]; this program knows [12]/,
  ),
);
