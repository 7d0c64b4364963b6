/**
 * The crash notifier, with real processes and a real nats-server: what it tells and when, what it survives, and what the links make
 * of its word.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import test from "ava";
import { openNodeClock } from "../../actors/world/clock-node.ts";
import { NatsLine } from "../../actors/world/connection-nats.ts";
import { memoryFileOf } from "../../actors/world/crash-notifier.ts";
import { NatsLink } from "../../actors/world/link-nats.ts";
import type { BusMessage, LinkHandlers } from "../../actors/world/ports.ts";
import { readDeathNotice } from "../../schemas/death.ts";
import { subjects } from "../../schemas/subjects.ts";
import { atEnd } from "../helpers/at-end.ts";
import { keptLog } from "../helpers/kept-log.ts";
import { sharedNatsServer } from "../helpers/nats.ts";
import { until } from "../helpers/until.ts";

const broker = sharedNatsServer(test);
const program = fileURLToPath(new URL("./notified.js", import.meta.url));
const withinMs = 20_000;
/** Elsewhere a process has no crash notifier, and these tests are not there. */
const onLinux = existsSync(memoryFileOf("self")) ? test : () => undefined;
const children = new Set<ChildProcess>();
atEnd(() => {
  for (const child of children) child.kill("SIGKILL");
});

function openLine(): NatsLine {
  const nats = { servers: [`nats://127.0.0.1:${broker.current.port}`] };
  return new NatsLine({ nats, name: "test", inboxPrefix: "_INBOX", clock: openNodeClock(), log: keptLog() });
}

/** A process with a crash notifier, and what beta hears of its death. */
async function notified(service: string, life: string, ...command: string[]) {
  const heard: (ReturnType<typeof readDeathNotice> | null)[] = [];
  const line = openLine();
  line.acquire();
  line.subscribe(subjects.deaths(service, "beta"), ({ data }: BusMessage) => heard.push(readDeathNotice(data)));
  await line.ready();
  await line.flush();
  const settings = {
    service,
    server: "alpha",
    servers: [
      { name: "alpha", port: 1 },
      { name: "beta", port: 2 },
    ],
    dataDirectory: "nowhere",
    nats: { servers: [`nats://127.0.0.1:${broker.current.port}`] },
  };
  const child = spawn(process.execPath, [program, JSON.stringify(settings), life, ...command], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  children.add(child);
  const pids: number[] = [];
  const lines: string[] = [];
  createInterface({ input: child.stdout }).on("line", (line) => {
    lines.push(line);
    if (line !== "gone") pids.push(Number(line));
  });
  const watching = (nth: number) => until(() => pids[nth], { withinMs, waitedFor: `crash notifier ${nth} to watch` });
  const notice = () => until(() => heard[0], { withinMs, waitedFor: "a death notice" });
  return { child, lines, watching, heard, notice, close: () => line.release() };
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** Hundredths of a second of work that it has done. */
function workOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const [user = 0, system = 0] = stat.slice(stat.lastIndexOf(")")).split(" ").slice(12, 14).map(Number);
  return user + system;
}

const isGone = (pid: number) => until(() => !isAlive(pid), { withinMs, waitedFor: "the crash notifier to be gone" });

onLinux("crash notifier: it tells that its process was killed, names the life, and ends", async (t) => {
  const { child, watching, heard, notice, close } = await notified("killed", "first");
  const notifier = await watching(0);
  child.kill("SIGKILL");
  t.deepEqual(await notice(), { server: "alpha", life: "first" });
  await isGone(notifier);
  t.is(heard.length, 1);
  await close();
});

onLinux("crash notifier: it tells of an end by itself too", async (t) => {
  const { child, watching, notice, close } = await notified("ended", "first");
  const notifier = await watching(0);
  child.stdin?.end();
  t.deepEqual(await notice(), { server: "alpha", life: "first" });
  await isGone(notifier);
  await close();
});

onLinux("crash notifier: a paused process is not a dead one, and signals for its server do not end it", async (t) => {
  const { child, watching, heard, notice, close } = await notified("paused", "first");
  const notifier = await watching(0);
  child.kill("SIGSTOP");
  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) process.kill(notifier, signal);
  const before = workOf(notifier);
  // Many looks later it is still there and has told nothing.
  await until(() => workOf(notifier) >= before + 3, { withinMs, waitedFor: "the crash notifier to have looked" });
  t.deepEqual(heard, []);
  t.true(isAlive(notifier));
  child.kill("SIGKILL");
  t.deepEqual(await notice(), { server: "alpha", life: "first" });
  await isGone(notifier);
  await close();
});

onLinux("crash notifier: one that is killed is followed by another, which does the same", async (t) => {
  const { child, watching, heard, notice, close } = await notified("replaced", "first");
  const notifier = await watching(0);
  process.kill(notifier, "SIGKILL");
  const next = await watching(1);
  t.not(next, notifier);
  t.deepEqual(heard, []);
  child.kill("SIGKILL");
  t.deepEqual(await notice(), { server: "alpha", life: "first" });
  await isGone(next);
  await close();
});

onLinux("crash notifier: one that cannot be started harms nobody, and keeps nobody from ending", async (t) => {
  const { child, lines, close } = await notified("missing", "first", "/no/such/program");
  await until(() => lines.length >= 2, { withinMs, waitedFor: "a second try" });
  t.deepEqual(lines.slice(0, 2), ["gone", "gone"]);
  const ended = new Promise((resolve) => child.once("exit", resolve));
  child.stdin?.end();
  t.is(await ended, 0);
  await close();
});

test("crash notifier: the failsafe link takes its word for the life that the main link spoke with, and for no other", async (t) => {
  const line = openLine();
  const asked: string[] = [];
  const events: string[] = [];
  const link = new NatsLink({
    service: "word",
    server: "beta",
    servers: ["alpha", "beta"],
    line: openLine(),
    onDeath: (peer, life) => {
      asked.push(`${peer} ${life}`);
      return life === "second";
    },
    maxBufferedBytes: 1_000,
    clock: openNodeClock(),
    log: keptLog(),
  });
  const handlers: LinkHandlers = {
    onUp: (peer) => events.push(`up ${peer}`),
    onDown: (peer, reason) => events.push(`down ${peer} ${reason}`),
    onFrame: () => undefined,
  };
  await link.start(handlers);
  line.acquire();
  await line.ready();
  const tell = (notice: string) => line.publish(subjects.deaths("word", "beta"), Buffer.from(notice));
  const strange = ["{}", "no JSON", '{"server":"alpha"}', '{"server":"gamma","life":"second"}'];
  for (const notice of strange) tell(notice);
  tell('{"server":"alpha","life":"first"}');
  await until(() => asked.length === 1, { withinMs, waitedFor: "the notice of another life" });
  t.deepEqual(events, []);
  tell('{"server":"alpha","life":"second"}');
  await until(() => events.length === 1, { withinMs, waitedFor: "the notice of this life" });
  t.deepEqual(events, ["down alpha noResponders"]);
  t.deepEqual(asked, ["alpha first", "alpha second"]);
  await Promise.all([link.stop(), line.release()]);
});
