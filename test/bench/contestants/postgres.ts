/** PostgreSQL by hand: a primary and a synchronous standby that has written what is acknowledged. */
import { chown, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { freePort } from "../../helpers/free-port.ts";
import type { Contestant } from "./contestant.ts";
import { listens, missingProgram, run, start, startResponder, stopAll } from "./programs.ts";

const service = "postgres";
/** Debian keeps the server's programs off the PATH. */
const binaries = ["/usr/lib/postgresql/17/bin", "/usr/lib/postgresql/16/bin", "/usr/lib/postgresql/15/bin"];
const path = [process.env["PATH"], ...binaries].join(":");
const programs = ["initdb", "postgres", "pg_basebackup", "pg_isready"];

type User = { readonly uid: number; readonly gid: number };

/** PostgreSQL does not run as root. */
async function user(): Promise<User | null> {
  if (process.getuid?.() !== 0) return null;
  const id = async (flag: string) => Number((await run("id", [flag, "postgres"])).stdout);
  return { uid: await id("-u"), gid: await id("-g") };
}

const settings = (port: number, folder: string) => [
  "-p",
  String(port),
  "-k",
  folder,
  "-c",
  "listen_addresses=127.0.0.1",
  "-c",
  "synchronous_commit=remote_write",
  "-c",
  "synchronous_standby_names=*",
];

export const postgres: Contestant = {
  name: "PostgreSQL",
  means: "an INSERT with a unique key; on the primary's disk, written by the standby (remote_write)",
  async missing() {
    process.env["PATH"] = path;
    const missing = await missingProgram(...programs);
    if (missing !== null || process.getuid?.() !== 0) return missing;
    return (await user().catch(() => null)) === null ? "it does not run as root, and there is no user postgres" : null;
  },
  async start(arena) {
    const as = (await user()) ?? undefined;
    const folder = join(arena.folder, service);
    await mkdir(folder);
    if (as !== undefined) await chown(folder, as.uid, as.gid);
    const [primaryPort, standbyPort] = [await freePort(), await freePort()];
    const [primaryData, standbyData] = [join(folder, "primary"), join(folder, "standby")];
    const options = { ...as, env: { ...process.env, PATH: path } };
    await run("initdb", ["-D", primaryData, "-U", "bench", "--auth=trust", "--no-sync"], options);
    const primary = start("postgres", ["-D", primaryData, ...settings(primaryPort, folder)], as);
    await listens(primaryPort);
    const from = `host=127.0.0.1 port=${primaryPort} user=bench`;
    await run("pg_basebackup", ["-D", standbyData, "-d", from, "-R", "--checkpoint=fast"], options);
    const standby = start("postgres", ["-D", standbyData, ...settings(standbyPort, folder)], as);
    await listens(standbyPort);
    const url = `postgres://bench@127.0.0.1:${primaryPort}/postgres`;
    const responder = await startResponder(arena, service, { name: "postgres", url });
    return {
      service,
      processes: {
        responder: responder.child.pid ?? 0,
        primary: primary.child.pid ?? 0,
        standby: standby.child.pid ?? 0,
      },
      stop: () => stopAll([primary, standby, responder], "SIGINT"),
    };
  },
};
