/**
 * A role's permissions (schemas/roles.ts) as nats-server's configuration, as a command for `nsc`, and as JSON. What always
 * holds: the text can be pasted as it is, and says all: whoever may publish nothing is forbidden everything by name, since an empty list
 * allows all.
 */
import { type Grant, type Permissions, permissionsOf, type RoleUser } from "../../schemas/roles.ts";

/** As nats-server reads it. */
export type NatsRule = { allow: string[] } | { deny: string[] };

export interface NatsPermissions {
  readonly publish: NatsRule;
  readonly subscribe: NatsRule;
}

const nothing: NatsRule = { deny: [">"] };

export function natsPermissions(user: RoleUser): NatsPermissions {
  const { publish, subscribe } = permissionsOf(user);
  return { publish: ruleOf(publish), subscribe: ruleOf(subscribe) };
}

function ruleOf(grants: readonly Grant[]): NatsRule {
  return grants.length === 0 ? nothing : { allow: grants.map(({ subject }) => subject) };
}

/**
 * The block of a user in nats.conf, or under another name; of several roles, all that any of them may. Subjects are quoted: outside
 * quotes `$` begins a variable.
 */
export function confText(roles: RoleUser | readonly RoleUser[], name = "permissions"): string {
  const { publish, subscribe } = together([roles].flat().map(permissionsOf));
  const lines = [`${name}: {`, ...ruleLines("publish", publish), ...ruleLines("subscribe", subscribe), "}"];
  return lines.map((line) => `${line}\n`).join("");
}

function together(all: readonly Permissions[]): Permissions {
  const once = (grants: readonly Grant[]) => [...new Map(grants.map((grant) => [grant.subject, grant])).values()];
  return {
    publish: once(all.flatMap(({ publish }) => publish)),
    subscribe: once(all.flatMap(({ subscribe }) => subscribe)),
  };
}

function ruleLines(name: string, grants: readonly Grant[]): string[] {
  if (grants.length === 0) return [`  ${name}: { deny: [">"] }`];
  const width = Math.max(...grants.map(({ subject }) => subject.length));
  const line = ({ subject, purpose }: Grant) =>
    `    ${JSON.stringify(subject)}${" ".repeat(width - subject.length)}  # ${purpose}`;
  return [`  ${name}: { allow: [`, ...grants.map(line), "  ] }"];
}

/** One command line for a POSIX shell; a flag for each subject. */
export function nscText(user: RoleUser, account: string): string {
  const { publish, subscribe } = natsPermissions(user);
  const words = [
    `nsc add user --account ${quoted(account)} --name ${quoted(user.name)}`,
    ...flagsOf("pub", publish),
    ...flagsOf("sub", subscribe),
  ];
  return `${words.join(" \\\n  ")}\n`;
}

function flagsOf(what: "pub" | "sub", rule: NatsRule): string[] {
  return Object.entries(rule).flatMap(([verb, subjects]: [string, string[]]) =>
    subjects.map((subject) => `--${verb}-${what} ${quoted(subject)}`),
  );
}

function quoted(word: string): string {
  return /^[\w.-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
