/**
 * The commands' world on Node: NATS, files, standard input and output, signals. What always holds: output is written in
 * full before the process ends; a reader of it that went away (`| head`), or a terminal that is gone, is no error of ours.
 */
import { createReadStream, existsSync, readFileSync, statSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { type Readable, Writable } from "node:stream";
import { fileURLToPath } from "node:url";
import { createGunzip } from "node:zlib";
import { openNodeClock } from "../../actors/world/clock-node.ts";
import { isOfAnother, othersMayWrite } from "../../actors/world/folder-owner.ts";
import { normalDataFolder, ServiceFile, serviceFileName } from "../../schemas/service-file.ts";
import { plainText } from "../plain-text.ts";
import { SignalDesk, signals } from "../signals.ts";
import { connectTo } from "./connect.ts";
import { CommandError, type CommandWorld, operatorInboxes, ReaderGone } from "./world.ts";

export function openNodeWorld(): CommandWorld {
  const clock = openNodeClock();
  const err = (text: string): void => void process.stderr.write(shownOn(process.stderr, text));
  const desk = new SignalDesk({
    nowMs: () => clock.nowMs(),
    tell: (line) => err(`twinlog: ${line}\n`),
    exit: (status) => process.exit(status),
  });
  for (const signal of signals) process.on(signal, () => desk.onSignal(signal));
  let isReaderGone = false;
  process.stdout.on("error", () => {
    isReaderGone = true;
    desk.onReaderGone();
  });
  process.stderr.on("error", () => undefined);
  return {
    clock,
    connect: async (access, onState, inboxPrefix) => {
      const prefix = access.inboxPrefix ?? inboxPrefix ?? operatorInboxes(process.env);
      return await connectTo(access, prefix, { onState, clock, err });
    },
    out: async (text) => {
      if (!isReaderGone)
        await new Promise<void>((resolve) => process.stdout.write(shownOn(process.stdout, text), () => resolve()));
      if (isReaderGone && desk.endsWithoutReader) throw new ReaderGone("nobody reads the output");
    },
    err,
    get terminal() {
      return process.stdout.isTTY ? { columns: process.stdout.columns } : null;
    },
    readInput,
    confirm,
    askSecret,
    readLines,
    writeFile: (path, text) => writeFile(path, text),
    signals: desk,
    stopped: desk.stopped,
    environment: process.env,
    serviceFile: readServiceFile(process.env),
  };
}

export function programVersion(): string {
  const found = ["../../package.json", "../../../package.json"]
    .map((path) => fileURLToPath(new URL(path, import.meta.url)))
    .find((path) => existsSync(path));
  if (found === undefined) return "unknown";
  const { version } = JSON.parse(readFileSync(found, "utf8")) as { version: string };
  return version;
}

/** On a terminal nobody's text is obeyed; files and pipes get it as it is. */
function shownOn({ isTTY }: { readonly isTTY: boolean }, text: string): string {
  return isTTY ? plainText(text) : text;
}

async function readInput(): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of process.stdin) parts.push(part as Buffer);
  return Buffer.concat(parts).toString();
}

async function confirm(question: string): Promise<boolean | null> {
  if (!process.stdin.isTTY || !process.stderr.isTTY) return null;
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const answer = await new Promise<string>((resolve) => {
      terminal.on("close", () => resolve(""));
      terminal.question(question, resolve);
    });
    return /^\s*y(es)?\s*$/i.test(answer);
  } finally {
    terminal.close();
  }
}

async function askSecret(question: string): Promise<string | null> {
  if (!process.stdin.isTTY || !process.stderr.isTTY) return null;
  const unseen = new Writable({ write: (_piece, _encoding, done) => done() });
  const terminal = createInterface({ input: process.stdin, output: unseen, terminal: true });
  process.stderr.write(question);
  try {
    return await new Promise<string>((resolve) => {
      terminal.on("close", () => resolve(""));
      terminal.question("", resolve);
    });
  } finally {
    terminal.close();
    process.stderr.write("\n");
  }
}

async function* readLines(path: string): AsyncGenerator<string> {
  const file = createReadStream(path);
  const input: Readable = path.endsWith(".gz") ? file.pipe(createGunzip()) : file;
  // An error of the file does not pass through the pipe by itself.
  file.on("error", (error: Error) => input.destroy(error));
  try {
    yield* createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY });
  } catch (error) {
    throw new CommandError(`cannot read ${path}: ${(error as Error).message}`);
  }
}

function readServiceFile({ TWINLOG_DATA = normalDataFolder }: NodeJS.ProcessEnv): ServiceFile | undefined {
  const path = join(TWINLOG_DATA, serviceFileName);
  if (!existsSync(path)) return undefined;
  try {
    // It says to whom a log-in goes.
    const others = [TWINLOG_DATA, path]
      .map((each) => statSync(each))
      .find((each) => isOfAnother(each) || othersMayWrite(each));
    if (others !== undefined) {
      process.stderr.write(`twinlog: ${path} is another user's, or others may write it, and is passed over\n`);
      return undefined;
    }
    return ServiceFile.parse(JSON.parse(readFileSync(path, "utf8")));
  } catch {
    process.stderr.write(`twinlog: ${path} cannot be read and is passed over\n`);
    return undefined;
  }
}
