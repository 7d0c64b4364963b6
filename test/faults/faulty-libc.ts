/**
 * A few lines of C before the C library: syncs of files that fail or take long, and a wall clock that jumps, switched on and
 * off while a server runs. Built where there is gcc; the environment names the folder in which its switches are.
 */
import { execFileSync } from "node:child_process";
import { renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import type { ExecutionContext } from "ava";
import { temporaryDirectory } from "../helpers/temporary-directory.ts";

const source = `
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

/* The file's first word is what to match, its second a number. 0: the switch is off. */
static int read_switch(const char *name, char *what, long *number) {
  char path[512], text[512];
  const char *folder = getenv("FAULTY_LIBC");
  if (!folder) return 0;
  snprintf(path, sizeof path, "%s/%s", folder, name);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  ssize_t length = read(fd, text, sizeof text - 1);
  close(fd);
  if (length <= 0) return 0;
  text[length] = 0;
  return sscanf(text, "%400s %ld", what, number) == 2;
}

/* -1: as always; else microseconds to wait, and with 0 the sync fails. */
static long sync_fault(int fd) {
  char what[512], link[64], path[512];
  long number;
  if (!read_switch("sync", what, &number)) return -1;
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, sizeof path - 1);
  if (length < 0) return -1;
  path[length] = 0;
  return strncmp(path, what, strlen(what)) == 0 ? number : -1;
}

#define SYNC(name)                                                   \\
  int name(int fd) {                                                 \\
    static int (*real)(int);                                         \\
    if (!real) real = (int (*)(int))dlsym(RTLD_NEXT, #name);         \\
    long fault = sync_fault(fd);                                     \\
    if (fault == 0) { errno = EIO; return -1; }                      \\
    if (fault > 0) usleep(fault);                                    \\
    return real(fd);                                                 \\
  }
SYNC(fsync)
SYNC(fdatasync)

static int (*real_clock)(clockid_t, struct timespec *);

/* Seconds by which this process's wall clock is wrong; looked up again ten times a second. */
static long wall_jump(void) {
  static long jump, looked_ms = -1000;
  static char own[4096];
  struct timespec now;
  real_clock(CLOCK_MONOTONIC, &now);
  long now_ms = now.tv_sec * 1000 + now.tv_nsec / 1000000;
  if (now_ms - looked_ms < 100) return jump;
  looked_ms = now_ms;
  if (!own[0]) {
    int fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
    ssize_t length = fd < 0 ? 0 : read(fd, own, sizeof own - 1);
    if (fd >= 0) close(fd);
    for (ssize_t at = 0; at + 1 < length; at++) if (!own[at]) own[at] = ' ';
  }
  char what[512];
  long number;
  jump = read_switch("wall", what, &number) && strstr(own, what) ? number : 0;
  return jump;
}

int clock_gettime(clockid_t id, struct timespec *ts) {
  if (!real_clock) real_clock = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
  int result = real_clock(id, ts);
  if (result == 0 && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) ts->tv_sec += wall_jump();
  return result;
}

int gettimeofday(struct timeval *restrict tv, void *restrict zone) {
  struct timespec ts;
  (void)zone;
  if (clock_gettime(CLOCK_REALTIME, &ts)) return -1;
  tv->tv_sec = ts.tv_sec;
  tv->tv_usec = ts.tv_nsec / 1000;
  return 0;
}
`;

export class FaultyLibc {
  readonly #folder: string;

  private constructor(folder: string) {
    this.#folder = folder;
  }

  /** Or why there is none. */
  static async build(t: ExecutionContext): Promise<FaultyLibc | string> {
    if (process.platform !== "linux") return "only Linux has LD_PRELOAD and /proc";
    const folder = await temporaryDirectory(t);
    writeFileSync(join(folder, "faulty.c"), source);
    const words = ["-shared", "-fPIC", "-O1", "-o", join(folder, "faulty.so"), join(folder, "faulty.c"), "-ldl"];
    try {
      execFileSync("gcc", words, { stdio: "pipe" });
    } catch (error) {
      return `gcc could not build the library: ${(error as Error).message.split("\n")[0]}`;
    }
    return new FaultyLibc(folder);
  }

  /** For the servers' processes. */
  get environment(): Record<string, string> {
    return { LD_PRELOAD: join(this.#folder, "faulty.so"), FAULTY_LIBC: this.#folder };
  }

  /** Syncs of files below the folder fail from now on. */
  failSyncs(below: string): void {
    this.#switch("sync", `${below} 0`);
  }
  slowSyncs(below: string, delayMs: number): void {
    this.#switch("sync", `${below} ${1_000 * delayMs}`);
  }
  /** The wall clock of processes whose command line has these words jumps by so many seconds. */
  jump(words: string, seconds: number): void {
    this.#switch("wall", `${words} ${seconds}`);
  }
  off(): void {
    for (const name of ["sync", "wall"]) rmSync(join(this.#folder, name), { force: true });
  }

  #switch(name: string, text: string): void {
    writeFileSync(join(this.#folder, `${name}.new`), `${text}\n`);
    renameSync(join(this.#folder, `${name}.new`), join(this.#folder, name));
  }
}
