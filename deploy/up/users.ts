/**
 * Who may speak with the nats-server of a service that runs on one machine: each of its servers, and a user for each of the roles
 * (schemas/roles.ts), all of them this machine's user, who may take any name. In the service's folder:
 *
 *   access/alpha.nk, client.nk …   their nkey seeds        access/client.json …   contexts of the `nats` tool that name them
 * What always holds: nats-server gets public keys alone, and no seed is ever sent; who is not listed is not let in.
 */
import { rmSync } from "node:fs";
import { join } from "node:path";
import { makeNkey, userOfNkey } from "../../actors/world/log-in-nats.ts";
import { anyone, type Role } from "../../schemas/roles.ts";
import { inboxes } from "../../schemas/subjects.ts";
import { passwordsFileName } from "../console/passwords.ts";
import { confText } from "../nats/permissions.ts";
import { keptSecret, writeOwn } from "./secrets.ts";

/**
 * `drill` has all that a drill needs: there is one only where a drill may kill and cut. `trader` is a page in a browser, which sends requests
 * and follows all results: there is one only where NATS listens for WebSockets.
 */
const people = {
  client: ["client"],
  integrator: ["integrator"],
  viewer: ["viewer"],
  operator: ["operator"],
  administrator: ["administrator"],
  drill: ["client", "integrator", "operator"],
  trader: ["client", "integrator"],
} as const satisfies Readonly<Record<string, readonly Role[]>>;

/** The bucket of the settings' default. */
export const registryBucket = "twinlog";

/** Contexts are named for their users. */
export type LocalUser = keyof typeof people;

export interface UsersPlan {
  readonly service: string;
  readonly servers: readonly string[];
  readonly bucket: string;
  readonly testService: boolean;
  readonly websocket: boolean;
}

/** nats-server's own 2 s are short on a machine that is busy. */
const logInWithinS = 10;

export class LocalUsers {
  readonly #folder: string;
  readonly #plan: UsersPlan;
  readonly #names: readonly LocalUser[];

  /** `folder`: absolute; made with the first of them. */
  constructor(folder: string, plan: UsersPlan) {
    this.#folder = folder;
    this.#plan = plan;
    this.#names = (Object.keys(people) as LocalUser[]).filter((name) => this.#isThere(name));
  }

  /** For nats-server's configuration. What is missing of the secrets is made. */
  conf(): string {
    const { servers, service, bucket } = this.#plan;
    const of = (role: Role, name: string) => ({ role, name, service, bucket });
    const users = [
      ...servers.map((name) => this.#user(name, [of("server", name)])),
      ...this.#names.map((name) =>
        this.#user(
          name,
          people[name].map((role) => of(role, anyone)),
        ),
      ),
    ];
    return `authorization: {\n  timeout: ${logInWithinS}\n  users: [\n${users.join("")}  ]\n}`;
  }

  /** A file with its nkey seed. */
  nkeyFile(name: string): string {
    return join(this.#folder, `${name}.nk`);
  }
  /** Of who may act at the console: there is one as soon as somebody has a password. */
  get passwordsFile(): string {
    return join(this.#folder, passwordsFileName);
  }
  contextFile(name: LocalUser): string {
    return join(this.#folder, `${name}.json`);
  }

  /** Written at every start: the address may be another one. */
  writeContexts(url: string): void {
    for (const name of this.#names) {
      const context = {
        description: `${name} of ${this.#plan.service}, on this machine`,
        url,
        nkey: this.nkeyFile(name),
        inbox_prefix: name === "client" || name === "trader" ? inboxes.client("local") : inboxes.operator("local"),
      };
      writeOwn(this.contextFile(name), `${JSON.stringify(context, null, 2)}\n`);
    }
    for (const name of Object.keys(people) as LocalUser[])
      if (!this.#isThere(name)) rmSync(this.contextFile(name), { force: true });
  }

  #isThere(name: LocalUser): boolean {
    const { testService, websocket } = this.#plan;
    return name === "drill" ? testService : name === "trader" ? websocket : true;
  }

  #user(name: string, roles: Parameters<typeof confText>[0]): string {
    const key = userOfNkey(keptSecret(this.nkeyFile(name), makeNkey));
    const lines = [`# ${name}`, `nkey: ${key}`, ...confText(roles).trimEnd().split("\n")];
    return `    {\n${lines.map((line) => `      ${line}\n`).join("")}    }\n`;
  }
}
