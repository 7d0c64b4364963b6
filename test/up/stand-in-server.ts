/**
 * A server's outside without its inside, for tests of `twinlog up`: it says on NATS that all is well and stops when it is told to.
 * A file `behaviour` in its data directory changes that: `deaf` (does not stop), `dies` (at once, with a word), `dies:<n>` (n times),
 * `stops badly`.
 * What it did is in `story` beside it, a line for each thing. `init` only notes that it was called. `console` prints what it was told.
 */
import { appendFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import process from "node:process";
import { setTimeout as delay } from "node:timers/promises";
import { connect, nkeyAuthenticator } from "nats";
import { endWithParent } from "../../deploy/up/parent.ts";
import { Settings } from "../../schemas/settings.ts";
import { subjects } from "../../schemas/subjects.ts";
import { statusOf } from "../helpers/status-of.ts";

const [command, ...words] = process.argv.slice(2);
if (command === "console") {
  console.log(`told ${words.join(" ")}`);
  process.on("SIGTERM", () => process.exit(0));
  endWithParent(() => process.exit(0));
  await new Promise(() => setInterval(() => undefined, 1_000));
}
const [, config = ""] = words;
const settings = Settings.parse(JSON.parse(readFileSync(config, "utf8")));
const { dataDirectory, service, server, nats } = settings;
if (command === "init") {
  appendFileSync(join(dirname(dataDirectory), "initialised"), `${server}\n`);
} else {
  await serve();
}

function note(what: string): void {
  appendFileSync(join(dataDirectory, "story"), `${what}\n`);
}

function behaviour(): string {
  const path = join(dataDirectory, "behaviour");
  const said = existsSync(path) ? readFileSync(path, "utf8").trim() : "";
  const times = Number(/^dies:(\d+)$/.exec(said)?.[1] ?? Number.NaN);
  if (Number.isNaN(times)) return said;
  writeFileSync(path, times > 1 ? `dies:${times - 1}` : "");
  return "dies";
}

async function serve(): Promise<void> {
  mkdirSync(dataDirectory, { recursive: true });
  const how = behaviour();
  let isStopping = false;
  let lastWord = (): Promise<void> => Promise.resolve();
  const stop = async (why: string): Promise<void> => {
    if (isStopping || how === "deaf") return;
    isStopping = true;
    if (how === "stops badly") {
      console.error(JSON.stringify({ msg: "the disk is gone" }));
      process.exit(4);
    }
    await lastWord();
    note(`stopped by ${why}`);
    process.exit(0);
  };
  process.on("SIGTERM", () => void stop("SIGTERM"));
  endWithParent(() => void stop("its parent's end"));
  note(`started ${process.pid}`);
  if (how === "dies") {
    console.error(JSON.stringify({ msg: "this server has no heart" }));
    process.exit(3);
  }
  const { servers, nkeyFile = "" } = nats;
  const authenticator = nkeyAuthenticator(readFileSync(nkeyFile));
  const connection = await connect({ servers, authenticator, maxReconnectAttempts: -1, reconnectTimeWait: 20 });
  const isFirst = settings.servers[0]?.name === server;
  const status = statusOf({
    ...(isFirst ? {} : { role: "backup", state: "following.warm", application: "warm" }),
    service,
    name: server,
    pid: process.pid,
    incarnation: `${process.pid}`,
    epoch: 1,
    why: "the test says so",
  });
  const timer = setInterval(() => {
    if (connection.isClosed()) return;
    connection.publish(subjects.status(service, server), JSON.stringify({ ...status, atMs: Date.now() }));
  }, 20);
  // As a clean stop does: a word with NATS before it ends.
  lastWord = async () => {
    clearInterval(timer);
    for (;;) {
      try {
        await connection.flush();
        return;
      } catch {
        // The connection was just lost; the library dials again.
        await delay(20);
      }
    }
  };
}
