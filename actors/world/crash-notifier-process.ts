/**
 * The program of a crash notifier (crash-notifier.ts): reads whom to watch, watches, tells, ends. What always holds: it ends when its server
 * has, however that went, and never before because of a signal that was meant for its server; it watches the process that
 * started it and no other that got the same number later, because the file stays open.
 */
import { openSync, readFileSync, readSync } from "node:fs";
import process from "node:process";
import { text } from "node:stream/consumers";
import { type DeathNotice, readLastWords } from "../../schemas/death.ts";
import { inboxes, subjects } from "../../schemas/subjects.ts";
import { openNodeClock } from "./clock-node.ts";
import { NatsLine } from "./connection-nats.ts";
import { memoryFileOf, type Watch } from "./crash-notifier.ts";
import { PeerKeys } from "./peer-keys.ts";
import { noticeBytes } from "./peer-proof.ts";
import type { Log } from "./ports.ts";

/** How often it looks. That costs some two percent of a core, and half of it is what a takeover waits for a look, in the mean. */
const lookEveryMs = 2;
/** How long the broker may take to have the notice. */
const tellWithinMs = 500;

const silent = () => undefined;
const log: Log = { debug: silent, info: silent, warn: silent, error: silent };

process.stdout.on("error", silent);
process.on("SIGINT", silent);
process.on("SIGTERM", silent);
process.on("SIGHUP", silent);

const watch = JSON.parse(await text(process.stdin)) as Watch;
const { pid, processId, service, server, lastWordsFile, peers, nats, keyFile } = watch;
const hasMemory = openLook(pid);
const clock = openNodeClock();
const keys = keyFile === undefined ? null : await PeerKeys.open(keyFile, clock, log);
const line = new NatsLine({
  nats,
  name: `twinlog ${service} ${server} crash notifier`,
  inboxPrefix: inboxes.server(service, server),
  clock,
  log,
});
line.onState((connected) => {
  if (connected) process.stdout.write("watching\n");
});
line.acquire();
const looking = setInterval(() => {
  if (hasMemory()) {
    keys?.refresh();
    return;
  }
  clearInterval(looking);
  setTimeout(() => process.exit(1), tellWithinMs);
  const notice = noticeOfDeath();
  for (const peer of peers)
    line.publish(subjects.deaths(service, peer), noticeBytes(notice, { service, to: peer }, keys));
  void line.flush().then(() => process.exit(0));
}, lookEveryMs);

/** With its last words, where a watchdog ended it. */
function noticeOfDeath(): DeathNotice {
  try {
    const words = readLastWords(readFileSync(lastWordsFile));
    return words?.life === processId ? { server, life: processId, lastWords: words } : { server, life: processId };
  } catch {
    return { server, life: processId };
  }
}

/** Whether the process that started this one still has memory. */
function openLook(of: number): () => boolean {
  if (process.ppid !== of) process.exit(0);
  const file = openSync(memoryFileOf(of), "r");
  // Opened before it was checked that the number still is our parent's: now the file is that process's for ever.
  if (process.ppid !== of) process.exit(0);
  const pages = Buffer.alloc(2);
  return () => {
    try {
      // The size in pages: "0 0 0 0 0 0 0" once the memory is gone, an error once the process is.
      return readSync(file, pages, 0, pages.length, 0) === pages.length && pages.toString("latin1") !== "0 ";
    } catch {
      return false;
    }
  };
}
