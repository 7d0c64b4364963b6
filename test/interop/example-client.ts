/**
 * One of the clients of deploy/examples/clients, as it stands, as a process: what it printed, and how it ended. It ends with its test.
 */
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { ExecutionContext } from "ava";
import { confText } from "../../deploy/nats/permissions.ts";
import type { RoleUser } from "../../schemas/roles.ts";
import { atEnd } from "../helpers/at-end.ts";

/** How the program is started; its own arguments and NATS_URL follow. */
export interface ClientProgram {
  readonly command: string;
  readonly args: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
}

export const clientsFolder = fileURLToPath(new URL("../../../deploy/examples/clients/", import.meta.url));

/** A broker that knows one user, and holds him to the permissions of his roles; whoever comes as nobody may do everything. */
export function brokerOf(logIn: string, roles: readonly RoleUser[]): string {
  return `authorization { users: [
    { user: anyone, password: x }
    { ${logIn}
    ${confText(roles)} }
  ] }
  no_auth_user: anyone
`;
}

export interface RunningClient {
  /** Whole lines of its standard output: replies. */
  readonly lines: readonly string[];
  readonly said: () => string;
  /** Its exit status; null where a signal ended it. */
  readonly ended: Promise<number | null>;
  kill(signal: NodeJS.Signals): void;
}

export function startClient(
  t: ExecutionContext,
  program: ClientProgram,
  natsUrl: string,
  args: readonly (string | number)[],
): RunningClient {
  const child = spawn(program.command, [...program.args, ...args.map(String)], {
    env: { ...process.env, ...program.environment, NATS_URL: natsUrl },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const lines: string[] = [];
  let rest = "";
  let said = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    const parts = (rest + text).split("\n");
    rest = parts.pop() ?? "";
    lines.push(...parts);
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    said += text;
  });
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", resolve);
  });
  const end = () => child.kill("SIGKILL");
  atEnd(end);
  t.teardown(async () => {
    end();
    await ended;
  });
  return { lines, said: () => said, ended, kill: (signal) => void child.kill(signal) };
}
