/**
 * Where a log's lines go: a file, a pipe or a terminal. What always holds:
 * 1. A line is written before the call returns, whole lines in their order, or it is counted as lost and why.
 * 2. Nothing is thrown and nothing waits for long: a full disk, a reader that is gone or one that does not read cost lines,
 *    never the server. How many were lost is told in the log itself as soon as it takes lines again.
 */
import { closeSync, constants, fstatSync, openSync, readlinkSync, writeSync } from "node:fs";

export interface LostLines {
  readonly lines: number;
  /** The newest fault's code. */
  readonly reason: string;
}

const standardError = 2;
/** How long a pipe's reader is waited for that has not read; once, until it has read again. */
export const readerWaitMs = 20;

/** `file`: instead of standard error. `describe` makes the line that tells of those that were lost. */
export class LogSink {
  readonly #describe: (lost: LostLines) => string;
  #fd: number;
  /** Opened by us, so ours to close. */
  #isOwn: boolean;
  /** null: it is no file that has a name. */
  readonly #path: string | null;
  /** Of a line of which a part was written. */
  #rest: Buffer | null = null;
  #lost = 0;
  #reason = "";

  constructor(describe: (lost: LostLines) => string, file?: string) {
    this.#describe = describe;
    this.#path = file ?? pathOf(standardError);
    const own = file === undefined ? openUnblocked(standardError) : openSync(file, "a");
    this.#isOwn = own !== null;
    this.#fd = own ?? standardError;
  }

  write(line: string): void {
    if (this.#catchUp() && this.#put(Buffer.from(line))) return;
    this.#lost += 1;
  }

  /** Lines that are lost and not told yet, after another try to tell. */
  get lost(): LostLines | null {
    return this.#catchUp() ? null : { lines: this.#lost, reason: this.#reason };
  }

  /** Opens its file again, by the name that it had at the start; says what came of it. */
  reopen(): string {
    if (this.#path === null) return "the log is no file: there is nothing to open again";
    try {
      const fd = openSync(this.#path, "a");
      this.close();
      this.#fd = fd;
      this.#isOwn = true;
    } catch (error) {
      return `the log cannot be opened again: ${(error as Error).message}`;
    }
    // The rest of a line would be no line there.
    if (this.#rest !== null) this.#lost += 1;
    this.#rest = null;
    return "the log was opened again";
  }

  close(): void {
    if (this.#isOwn) closeSync(this.#fd);
    this.#isOwn = false;
  }

  #catchUp(): boolean {
    const rest = this.#rest;
    this.#rest = null;
    if (rest !== null && !this.#put(rest)) {
      this.#rest ??= rest;
      return false;
    }
    if (this.#rest !== null) return false;
    if (this.#lost === 0) return true;
    const told = this.#put(Buffer.from(this.#describe({ lines: this.#lost, reason: this.#reason })));
    if (told) this.#lost = 0;
    return told;
  }

  /** False: nothing of it was written. What is missing of one that was begun is kept for the next time. */
  #put(bytes: Buffer): boolean {
    let at = 0;
    let isPatient = this.#lost === 0 && this.#rest === null;
    while (at < bytes.length) {
      try {
        at += writeSync(this.#fd, bytes, at);
      } catch (error) {
        this.#reason = (error as NodeJS.ErrnoException).code ?? String(error);
        if (this.#reason === "EAGAIN" && isPatient) {
          isPatient = false;
          Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, readerWaitMs);
          continue;
        }
        if (at > 0) this.#rest = bytes.subarray(at);
        return at > 0;
      }
    }
    return true;
  }
}

/** The name of a regular file that a descriptor stands for; only Linux tells. */
function pathOf(fd: number): string | null {
  try {
    return fstatSync(fd).isFile() ? readlinkSync(`/proc/self/fd/${fd}`) : null;
  } catch {
    return null;
  }
}

/**
 * A pipe or a terminal through a description of our own, on which a write never waits; others share theirs with us. A socket has
 * none to open: Node makes it so that no write waits as soon as it opens its own stream there, as every command does.
 */
function openUnblocked(fd: number): number | null {
  try {
    const stat = fstatSync(fd);
    if (!stat.isFIFO() && !stat.isCharacterDevice()) return null;
    return openSync(`/proc/self/fd/${fd}`, constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  } catch {
    return null;
  }
}
