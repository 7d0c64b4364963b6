/**
 * Runs another program to its end, within a named time.
 *
 * What always holds: the program reads no terminal (so it cannot ask), it runs in a process group of its own, the whole group is
 * gone when the time is over, and whatever happens is a value: a program that cannot be started has status 127, as in a shell.
 */
import { spawn } from "node:child_process";

export type CommandResult = { status: number; stdout: string; stderr: string; timedOut: boolean };
export type CommandOptions = { timeoutMs: number; cwd?: string; environment?: NodeJS.ProcessEnv };

const maxOutputBytes = 1024 * 1024;

export function runCommand(program: string, args: string[], options: CommandOptions): Promise<CommandResult> {
  return new Promise((resolve) => {
    const child = spawn(program, args, {
      cwd: options.cwd,
      env: options.environment ?? process.env,
      stdio: ["ignore", "pipe", "pipe"],
      detached: true,
    });
    const output = { stdout: "", stderr: "" };
    let timedOut = false;
    const timer = setTimeout(() => {
      timedOut = true;
      killGroup(child.pid);
      child.stdout.destroy();
      child.stderr.destroy();
    }, options.timeoutMs);
    for (const stream of ["stdout", "stderr"] as const) {
      child[stream].setEncoding("utf8").on("data", (text: string) => {
        output[stream] = (output[stream] + text).slice(-maxOutputBytes);
      });
    }
    child.on("error", (error) => {
      clearTimeout(timer);
      resolve({ ...output, status: 127, stderr: error.message, timedOut });
    });
    child.on("close", (code) => {
      clearTimeout(timer);
      resolve({ ...output, status: code ?? 128, timedOut });
    });
  });
}

/** What a command that did not succeed had to say, in one line. */
export function complaint({ status, stderr, timedOut }: CommandResult, program: string): string {
  if (timedOut) {
    return `${program} did not end in time`;
  }
  const reason = reasonIn(stderr);
  return `${program} ended with status ${status}${reason === "" ? "" : `: ${reason}`}`;
}

/** The last line; of a Node that died of an exception the error's own, for its stack and Node's version come after that. */
export function reasonIn(stderr: string): string {
  const lines = stderr.trim().split("\n");
  const last = lines.at(-1) ?? "";
  return /^Node\.js v\d/.test(last) ? (lines.find((line) => /^\w*Error\b/.test(line)) ?? last) : last;
}

function killGroup(pid: number | undefined): void {
  if (pid === undefined) {
    return;
  }
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // The group is gone already.
  }
}
