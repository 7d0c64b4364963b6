/**
 * A pair of its own for a drill: nats-server, two servers as processes, a cable between them that can be cut, all in a
 * temporary folder on free ports. What always holds: it is marked as a test service; a server that dies is started again;
 * whatever way the drill ends, nothing of it goes on running.
 */
import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { z } from "zod";
import { answeredPrefixes } from "../../schemas/roles.ts";
import { normalDataFolder } from "../../schemas/service-file.ts";
import type { Settings } from "../../schemas/settings.ts";
import { complaint, runCommand } from "../nats/command.ts";
import { bringNatsServer } from "../nats-server.ts";
import { freePort } from "../ports.ts";
import { KeptChild, keepLimits } from "../up/kept-child.ts";
import { KeptNats } from "../up/kept-nats.ts";
import { LocalUsers, registryBucket } from "../up/users.ts";
import { TcpProxy } from "./proxy.ts";

const program = fileURLToPath(new URL("../twinlog.js", import.meta.url));
const cloneBin = fileURLToPath(new URL("../../../.twinlog/bin", import.meta.url));
const initWithinMs = 20_000;

export const drillService = "drill";
const names = ["alpha", "beta"] as const;

export interface DrillPairOptions {
  readonly application: string;
  /** The main link leads through a cable that can be cut; it costs time, so only where that is wanted. */
  readonly hasCable: boolean;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly tell: (line: string) => void;
}

export class DrillPair {
  readonly folder: string;
  /** What a drill logs in with: a context's file. */
  readonly context: string;
  readonly #nats: KeptNats;
  readonly #cable: TcpProxy;
  readonly #servers: readonly KeptChild[];

  private constructor(
    { folder, context }: Pick<DrillPair, "folder" | "context">,
    nats: KeptNats,
    cable: TcpProxy,
    servers: readonly KeptChild[],
  ) {
    this.folder = folder;
    this.context = context;
    this.#nats = nats;
    this.#cable = cable;
    this.#servers = servers;
  }

  static async start({ application, hasCable, environment, tell }: DrillPairOptions): Promise<DrillPair> {
    const folder = mkdtempSync(join(tmpdir(), "twinlog-drill-"));
    const path = [environment.PATH ?? "", cloneBin].join(delimiter);
    const binary = await bringNatsServer({
      dataFolder: normalDataFolder,
      environment: { ...environment, PATH: path },
      tell,
    });
    const storeDir = join(folder, "nats");
    mkdirSync(storeDir);
    const plan = { service: drillService, servers: names, bucket: registryBucket, testService: true, websocket: false };
    const users = new LocalUsers(join(folder, "access"), plan);
    const extraConfig = users.conf();
    const nats = await KeptNats.start({ binary: binary.path, storeDir, extraConfig }, keepLimits, tell);
    users.writeContexts(nats.url);
    const ports = [await freePort(), await freePort()] as const;
    const cable = new TcpProxy(() => ports[1]);
    try {
      await cable.listen();
      const servers = names.map((name) => {
        // Of a pair the one whose name sorts first dials: its way to the other leads through the cable.
        const portOf = { alpha: ports[0], beta: hasCable && name === "alpha" ? cable.port : ports[1] };
        const settings: z.input<typeof Settings> = {
          service: drillService,
          server: name,
          application,
          servers: names.map((other) => ({ name: other, port: portOf[other] })),
          dataDirectory: join(folder, name),
          nats: { servers: [nats.url], nkeyFile: users.nkeyFile(name) },
          replyPrefixes: [...answeredPrefixes],
          testService: true,
        };
        const config = join(folder, `${name}.json`);
        writeFileSync(config, `${JSON.stringify(settings, null, 2)}\n`);
        return new KeptChild({
          name,
          command: [process.execPath, program, "server", "--config", config],
          logFile: join(folder, `${name}.log`),
          limits: keepLimits,
          tell: () => undefined,
          onPid: () => nats.outlive(servers.flatMap(({ pid }) => (pid === null ? [] : [pid]))),
        });
      });
      const as = ["--config", join(folder, "alpha.json"), "--context", users.contextFile("administrator")];
      const init = await runCommand(process.execPath, [program, "init", ...as], { timeoutMs: initWithinMs });
      if (init.status !== 0) throw new Error(complaint(init, "twinlog init"));
      for (const server of servers) server.start();
      return new DrillPair({ folder, context: users.contextFile("drill") }, nats, cable, servers);
    } catch (error) {
      await cable.close();
      await nats.stop();
      throw error;
    }
  }

  cut(): Promise<void> {
    return this.#cable.cut();
  }
  mend(): Promise<void> {
    return this.#cable.listen();
  }

  /** `keep`: the folder with its logs stays, for those who want to look closer. */
  async stop({ keep }: { keep: boolean }): Promise<void> {
    await Promise.all(this.#servers.map((server) => server.stop()));
    await this.#cable.close();
    await this.#nats.stop();
    if (!keep) await rm(this.folder, { recursive: true, force: true, maxRetries: 5 });
  }
}
