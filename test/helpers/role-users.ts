/**
 * deploy/nats/roles.conf as it ships, for a real nats-server: a user for each role, and one that may do everything, for whoever logs
 * in as nobody.
 */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const file = fileURLToPath(new URL("../../../deploy/nats/roles.conf", import.meta.url));

/** The users of the example, by role. */
export const roleUsers = {
  server: "alpha",
  client: "alice",
  integrator: "reports",
  viewer: "wall",
  operator: "olga",
  administrator: "ada",
} as const;

export const passwordOf = (user: string): string => `password-of-${user}`;

/** Lines for nats-server's configuration; its passwords go into this process's environment. */
export function rolesConf(): string {
  const text = readFileSync(file, "utf8");
  for (const [, variable = "", user = ""] of text.matchAll(/\$(TWINLOG_(\w+))/g))
    process.env[variable] = passwordOf(user.toLowerCase());
  // What the harness writes itself.
  const own = text
    .replace(/^write_deadline.*$/m, "")
    .replace("users: [", "users: [\n      { user: anyone, password: x }");
  return `${own}\nno_auth_user: anyone\n`;
}
